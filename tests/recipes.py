"""The blocks of docs/recipes.rst, and hosts of the lab that run them."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor

from hatwist.lab.lab import TWISTD, Lab
from hatwist.lab.lan import Host

DOCUMENT = Path(__file__).parent.parent / "docs/recipes.rst"
# The networks of the document, and those of the lab
NETWORKS = {"192.168.1.": "10.99.0.", "10.0.0.": "10.99.1."}

reactor: Any = _reactor


def block(name: str, changes: Mapping[str, str] | None = None) -> str:
    """
    The block of this name, for the lab's networks.

    @param changes: what else is to be another; each must be there.
    """
    found = re.findall(
        rf"^\.\. code-block:: \w+\n   :name: {re.escape(name)}\n\n((?:   .*\n|\n)+)",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
    assert len(found) == 1, f"{name}: {len(found)} blocks"
    text = textwrap.dedent(found[0]).strip() + "\n"
    for old, new in NETWORKS.items():
        text = text.replace(old, new)
    for old, new in (changes or {}).items():
        assert old in text, f"{old!r} is not in {name}"
        text = text.replace(old, new)
    return text


class Rig:
    """
    Hosts that run the daemon with a configuration of the document, each with programs of its own.

    @ivar here: what all hosts share, such as what fakes remember.
    @ivar log: what fakes write.
    """

    def __init__(
        self,
        here: Path,
        text: str,
        hosts: tuple[str, ...] = ("alpha", "beta"),
        links: int = 1,
        others: tuple[str, ...] = (),
    ) -> None:
        """
        @param text: the configuration.
        @param others: hosts without a daemon.
        """
        self.here = here
        self.log = here / "log"
        self._file = here / "hatwist.toml"
        self._file.write_text(text)
        for host in hosts:
            (here / host).mkdir()
        self.lab = Lab(reactor, hosts=(*hosts, *others), daemon=self._daemon, links=links)
        self.lab.names = hosts

    def install(self, name: str, script: str, *hosts: str) -> None:
        """Put a program on the PATH of these hosts; none: of all."""
        for host in hosts or self.lab.names:
            file = self.here / host / name
            file.write_text(script)
            file.chmod(0o755)

    def environment(self, host: str) -> dict[str, str]:
        """What a program on a host is started with, besides what all are."""
        path = os.pathsep.join([str(self.here / host), os.environ["PATH"]])
        return {"PATH": path, "HOST": host, "HERE": str(self.here), "LOG": str(self.log)}

    def _daemon(self, lab: Lab, host: str) -> list[str]:
        more = [f"{key}={value}" for key, value in self.environment(host).items()]
        return [
            *("env", *more, sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile="),
            *("ha", "--config", str(self._file), "--node", host),
        ]

    def run(self, host: str, *argv: str) -> str:
        """Run a short program there, as the daemon would."""
        more = [f"{key}={value}" for key, value in self.environment(host).items()]
        return self.host(host).run(["env", *more, *argv])

    def host(self, name: str) -> Host:
        return self.lab.host(name)

    async def until(
        self, condition: Callable[[], object], what: str, timeout: float = 15.0
    ) -> None:
        """Wait for what no event tells of."""
        end = reactor.seconds() + timeout
        while not condition():
            assert reactor.seconds() < end, f"not within {timeout} s: {what}\n{self.lab.said()}"
            await self.lab.elapse(0.02)

    def said(self) -> list[str]:
        """What fakes have written since it was last asked for."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return lines

    async def close(self) -> None:
        await self.lab.close()
