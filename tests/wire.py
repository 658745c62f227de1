"""A wire for live tests: near0 in the world of the tests, far0 on another host at its end."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable

from pyroute2 import IPRoute
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.lab.namespace import Namespace
from hatwist.lab.switch import writeSysctl

PATIENCE = 5.0


def ip(*arguments: str) -> str:
    """Run ip(8), and return what it says."""
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Wire:
    """
    Two hosts: 10.9.0.1/24 and fd09::1/64 here, .2 and ::2 there.

    @param tentative: link-local addresses are checked first, as on a real host (1-2 s).
    """

    near, far = "near0", "far0"
    # The kernel tells at once of a carrier only where the far end's index is another (urgent, in
    # net/core/link_watch.c); with the same one it takes the wire for a physical interface.
    indexes = itertools.count(10_000)
    mac, farMac = bytes.fromhex("020000000101"), bytes.fromhex("020000000102")

    def __init__(self, tentative: bool = False) -> None:
        self.there = Namespace()
        self._tentative = tentative
        with self.there.entered():
            self._dad()
        self._dad()
        ip("link", "set", "lo", "up")
        self.make()

    def _dad(self) -> None:
        for which in ("all", "default"):
            writeSysctl(f"net/ipv6/conf/{which}/accept_dad", "1" if self._tentative else "0")

    def make(self) -> None:
        """Lay the wire; again, after L{cut}, with other interfaces of the same names."""
        with IPRoute() as netlink:
            netlink.link(
                "add",
                ifname=self.near,
                kind="veth",
                index=next(self.indexes),
                address=self.mac.hex(":"),
                peer={
                    "ifname": self.far,
                    "net_ns_fd": self.there.fd,
                    "address": self.farMac.hex(":"),
                },
            )
        self.farIp("link", "set", self.far, "up")
        ip("link", "set", self.near, "up")
        for number, run, name in ((1, ip, self.near), (2, self.farIp, self.far)):
            run("address", "add", f"10.9.0.{number}/24", "dev", name)
            run("address", "add", f"fd09::{number}/64", "dev", name, "nodad")

    def farIp(self, *arguments: str) -> str:
        """Run ip(8) on the other host."""
        with self.there.entered():
            return ip(*arguments)

    def cut(self) -> None:
        """Take both interfaces away."""
        ip("link", "delete", self.near)

    async def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait for it, looking every millisecond; fail after some seconds."""
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            await deferLater(reactor, 0.001)

    def close(self) -> None:
        with IPRoute() as netlink:
            if netlink.link_lookup(ifname=self.near):
                self.cut()
        self.there.close()
