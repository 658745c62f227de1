"""What every kind of check is made of: a description that never changes, and what asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred

from hatwist.core.errors import HatwistError
from hatwist.core.phrases import printable
from hatwist.linux.interfaces import INetlink

WIDTH = 160
"""Characters of a reason; several must find room in a heartbeat."""


class CheckFailed(HatwistError):
    """The answer is no; the text says what was found, such as C{"connection refused"}."""


class CheckWorld(NamedTuple):
    """
    What asking takes.

    @ivar reactor: provides IReactorTime, IReactorProcess, IReactorTCP and IReactorFDSet.
    @ivar netlink: for the kinds ping and carrier.
    @ivar env: variables for programs.
    """

    reactor: Any
    netlink: INetlink | None = None
    env: Mapping[str, str] = {}

    @property
    def kernel(self) -> INetlink:
        """
        The netlink.

        @raise ValueError: there is none.
        """
        if self.netlink is None:
            raise ValueError("the checks ping and carrier need a netlink")
        return self.netlink


class Probe(Protocol):
    """Asks one question, again and again, never twice at once."""

    def start(self) -> None:
        """Before the first question."""

    def run(self, limit: float) -> Deferred[None]:
        """
        Ask. Fires when all is well, and fails with L{CheckFailed} when not.

        Whoever asks cancels it after C{limit} seconds. Then it ends what it began, processes and
        connections, and fails when that is done.
        """

    def stop(self) -> None:
        """After the last question."""


class CheckKind(Protocol):
    """What is asked: a value that never changes, and compares by what it says."""

    @property
    def name(self) -> str:
        """What logs and errors call it, such as C{"tcp 127.0.0.1:80"}."""

    def problems(self) -> list[str]:
        """What keeps it from being asked on this host, now, without its name; empty: nothing."""

    def probe(self, world: CheckWorld) -> Probe:
        """What asks."""


class Stateless:
    """A probe that has nothing to begin or end between its questions."""

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


def brief(text: str) -> str:
    """What somebody else said, in one line of at most L{WIDTH} printable characters."""
    short = " ".join(text[: 4 * WIDTH].split())
    return printable(short if len(short) <= WIDTH else short[: WIDTH - 3] + "...")
