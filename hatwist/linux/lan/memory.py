"""A LAN in memory: L{IAsker} for tests, also for those of programs that use us."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hatwist.linux.interfaces import IAsker, Seen
from hatwist.linux.netlink.messages import Address


class MemoryNeighbours:
    """
    The hosts of one LAN, and who of them uses which address. What is asked is answered at once.

    @ivar users: the MACs that use an address; the first answers first.
    @ivar deaf: addresses whose questions get lost.
    @ivar asked: every question, in order.
    """

    def __init__(self) -> None:
        self.users: dict[Address, list[bytes]] = {}
        self.deaf: set[Address] = set()
        self.asked: list[Address] = []
        self.askers: list[MemoryAsker] = []

    def use(self, address: Address, mac: bytes) -> None:
        """A host adds the address, without a word."""
        users = self.users.setdefault(address, [])
        if mac not in users:
            users.append(mac)

    def leave(self, address: Address, mac: bytes) -> None:
        """A host deletes it."""
        if mac in self.users.get(address, ()):
            self.users[address].remove(mac)

    def announce(self, address: Address, mac: bytes) -> None:
        """A host says to everybody that it uses the address."""
        for asker in list(self.askers):
            asker.hear(address, mac, asked=False)

    def asker(self, mac: bytes, interface: str = "eth0") -> MemoryAsker:
        """An L{IAsker} of a host with this MAC."""
        return MemoryAsker(self, mac, interface)


@implementer(IAsker)
class MemoryAsker:
    """L{IAsker} on L{MemoryNeighbours}."""

    def __init__(self, lan: MemoryNeighbours, mac: bytes, interface: str) -> None:
        self.interface = interface
        self._lan = lan
        self._mac = mac
        self._addresses: frozenset[Address] = frozenset()
        self._answered: Seen = lambda address, mac: None
        self._claimed: Seen = lambda address, mac: None
        self.broken = False

    def start(self, addresses: Iterable[Address], answered: Seen, claimed: Seen) -> Deferred[None]:
        """See L{IAsker.start}."""
        if self.broken:
            raise OSError(errno.ENODEV, "No such device")
        self._addresses = frozenset(addresses)
        self._answered, self._claimed = answered, claimed
        self._lan.askers.append(self)
        return succeed(None)

    def serve(self, addresses: Iterable[Address]) -> None:
        """See L{Asker.serve<hatwist.linux.lan.neighbours.Asker.serve>}."""
        if self.broken:
            raise OSError(errno.ENODEV, "No such device")
        self._addresses = frozenset(addresses)

    def ask(self, address: Address) -> None:
        """See L{IAsker.ask}."""
        if address not in self._addresses:
            return
        self._lan.asked.append(address)
        if address not in self._lan.deaf:
            for mac in list(self._lan.users.get(address, ())):
                self.hear(address, mac, asked=True)

    def hear(self, address: Address, mac: bytes, asked: bool) -> None:
        """Something on the LAN says who uses an address."""
        if address in self._addresses and mac != self._mac:
            (self._answered if asked else self._claimed)(address, mac)

    def close(self) -> None:
        """See L{IAsker.close}."""
        self._addresses = frozenset()
        if self in self._lan.askers:
            self._lan.askers.remove(self)
