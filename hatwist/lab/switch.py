"""The switch of the lab: bridges in a namespace of their own, and cuts in the wires."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

from hatwist.core.errors import HatwistError
from hatwist.lab.namespace import Namespace

TABLE = "hatwist_lab"
FIRST_PORT = 1000


class Switch:
    """
    One bridge per link, all in one namespace. A port is named after host and link: C{alpha0}.

    Every cut is one or two rules of a bridge-family nftables chain; any change replaces the whole
    chain in one transaction.
    """

    def __init__(self, links: int) -> None:
        from pyroute2 import IPRoute

        self.namespace = Namespace()
        self._rules: dict[tuple[str, ...], tuple[str, ...]] = {}
        with self.namespace.entered():
            # The switch itself has no business on the LAN.
            for which in ("all", "default"):
                writeSysctl(f"net/ipv6/conf/{which}/disable_ipv6", "1")
            self._netlink: Any = IPRoute()
        self._bridges = []
        for link in range(links):
            self._netlink.link(
                "add", ifname=f"br{link}", kind="bridge", br_mcast_snooping=0, br_forward_delay=0
            )
            index = self._netlink.link_lookup(ifname=f"br{link}")[0]
            self._netlink.link("set", index=index, state="up")
            self._bridges.append(index)
        self._ports: dict[str, int] = {}
        self._made = 0

    def connect(self, host: str, link: int, peer: dict[str, Any]) -> None:
        """Make a wire from a new port to C{peer} (pyroute2's words for the far end)."""
        name = portName(host, link)
        # Of a wire with the same index at both ends the kernel tells changes late (net/core/link_watch.c).
        self._made += 1
        index = FIRST_PORT + self._made
        self._netlink.link("add", ifname=name, kind="veth", index=index, peer=peer)
        self._netlink.link("set", index=index, master=self._bridges[link], state="up")
        self._ports[name] = index

    def setPort(self, host: str, link: int, up: bool) -> None:
        """Take carrier from a host, or give it back."""
        index = self._ports[portName(host, link)]
        self._netlink.link("set", index=index, state="up" if up else "down")

    def drop(self, key: tuple[str, ...], *rules: str) -> None:
        """
        Install C{rules} (nft's words, without the verdict) under C{key}, in place of what was
        there. In force when this returns.

        @raise HatwistError: nft is missing, or refuses.
        """
        self._rules[key] = rules
        self._apply()

    def allow(self, *keys: tuple[str, ...]) -> None:
        """Remove the rules under C{keys}, if any, all at one moment."""
        for key in keys:
            self._rules.pop(key, None)
        self._apply()

    def healAll(self) -> None:
        """Remove every rule."""
        self._rules.clear()
        self._apply()

    def _apply(self) -> None:
        lines = [
            f"add table bridge {TABLE}",
            f"delete table bridge {TABLE}",
            f"table bridge {TABLE} {{",
            "chain wires { type filter hook forward priority -200; policy accept;",
            *(f"{rule} drop" for rules in self._rules.values() for rule in rules),
            "}",
            "}",
        ]
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        nft = shutil.which("nft", path=path)
        if nft is None:
            raise HatwistError("cutting wires needs the nft program: install the package nftables")
        with self.namespace.entered():
            done = subprocess.run(
                [nft, "-f", "-"],
                input="\n".join(lines) + "\n",
                text=True,
                capture_output=True,
                check=False,
            )
        if done.returncode != 0:
            raise HatwistError(f"nft refused the lab's rules: {done.stderr.strip()}")

    def close(self) -> None:
        """Pull every wire; the namespace goes with its last user."""
        self._netlink.close()
        self.namespace.close()


def portName(host: str, link: int) -> str:
    """The switch's name for the port of C{host} on C{link}."""
    return f"{host}{link}"


def writeSysctl(name: str, value: str) -> None:
    """Set a sysctl of the namespace this thread is in; C{name} is a path below /proc/sys."""
    with open(f"/proc/sys/{name}", "w") as switch:
        switch.write(value)
