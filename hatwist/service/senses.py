"""What a node perceives of one group besides heartbeats: carriers, and who else serves its addresses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import cycle
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.core.claims import Role
from hatwist.core.errors import ResourceError
from hatwist.core.reports import Judged, Served
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import IAsker, INetlink
from hatwist.linux.netlink.carrier import CarrierWatch
from hatwist.linux.netlink.messages import Address
from hatwist.resources.addresses.placing import Finder
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.runtime.node import Node
from hatwist.service.heldcarriers import HeldCarriers

COPIES = 60.0
"""Seconds in which a holder asks once for each of its addresses, whether another host has it too."""
LOG = 1.0
"""Seconds between two lines about others who announce one address: a flood must not fill the log."""
DEFEND = 10.0
"""Seconds between two defences of one address (RFC 5227, section 2.4): two hosts must not shout for ever."""


class Senses:
    """
    Tells one node of one group what it perceives.

    @param interface: where an address is that says nothing, and to which no connected route leads.
    @param managed: interfaces that are down unless this node is ACTIVE: nobody can be asked there, and
        their carriers count while they are held.
    @param openAsker: of an interface: asks the LAN there.
    @ivar answer: who answered last for which address, a clause; C{""}: nobody.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        netlink: INetlink,
        group: str,
        interface: str,
        addresses: Sequence[AddressSpec],
        managed: Collection[str],
        openAsker: Callable[[str], IAsker],
    ) -> None:
        self._netlink = netlink
        self._group = group
        self._node: Node | None = None
        self.answer = ""
        self._askers: dict[IAsker, list[Address]] = {}
        self._without: set[str] = set()
        self._claimed: dict[Address, tuple[bytes, float]] = {}
        self._reactor = reactor
        self._interface = interface
        self._specs = tuple(addresses)
        self._openAsker = openAsker
        self._managed = frozenset(managed)
        self._beginning: object = None
        self._defended: dict[Address, float] = {}
        self._carrier: CarrierWatch | None = None
        self._cables = HeldCarriers(reactor, netlink, group, managed)
        self._copies: IDelayedCall | None = None

    def start(self, node: Node) -> None:
        """Begin, and tell C{node} from now on. Where sockets are not permitted the log says so."""
        self._node = node
        self._cables.start(node)
        self._perceive()

    def change(self, addresses: Sequence[AddressSpec], managed: Collection[str]) -> None:
        """These from now on; what was found out about interfaces that stay is still known."""
        before = self._specs, self._managed
        self._specs, self._managed = tuple(addresses), frozenset(managed)
        if (self._specs, self._managed) == before:
            return
        self._blind()
        if self._managed != before[1]:
            self._cables.stop()
            self._cables = HeldCarriers(self._reactor, self._netlink, self._group, managed)
            if self._node is not None:
                self._node.tell(Judged(self._group, "cable", Fitness.FIT, ""))
                self._cables.start(self._node)
        if self._node is not None:
            self._perceive()

    def _perceive(self) -> None:
        # A watch tells what changes: to it everything is new.
        self._without.clear()
        self._beginning = beginning = object()
        Deferred.fromCoroutine(self._begin(beginning)).addErrback(self._failed)

    async def _begin(self, beginning: object) -> None:
        """Find where the addresses are, as the kernel does; then look and listen there."""
        finder = Finder(await self._netlink.dumpLinks(), await self._netlink.dumpRoutes())
        where: dict[str, list[Address]] = {}
        for spec in self._specs:
            try:
                name = spec.interface or finder.find(spec).name
            except ResourceError:  # it has no place now; acquiring it will say so
                name = self._interface
            where.setdefault(name, []).append(spec.address)
        if self._beginning is not beginning:
            return
        watched = [name for name in where or [self._interface] if name not in self._managed]
        if not watched:
            self._judge()
        self._carrier = CarrierWatch(self._netlink, watched, self._up, self._down)
        self._carrier.start()
        for name, addresses in where.items():
            asker = self._openAsker(name)
            self._askers[asker] = addresses
            asker.start(addresses, self._answered, self._seized)
        if self._askers:
            self._askForCopies(self._owned())

    def _failed(self, failure: Failure) -> None:
        self._log.error(
            "The LAN cannot be asked who has the addresses: {error}",
            error=failure.getErrorMessage(),
        )

    def stop(self) -> None:
        """Tell nothing more, and give the sockets back."""
        self._node = None
        self._cables.stop()
        self._blind()

    def _blind(self) -> None:
        self._beginning = None
        if self._carrier is not None:
            self._carrier.stop()
            self._carrier = None
        if self._copies is not None and self._copies.active():
            self._copies.cancel()
        self._copies = None
        for asker in self._askers:
            asker.close()
        self._askers.clear()

    def ask(self) -> None:
        """Ask the LAN who has the addresses."""
        for asker, addresses in self._askers.items():
            if asker.interface in self._managed:
                continue
            # One address speaks for all: they are held and let go of together.
            asker.ask(addresses[0])

    def _owned(self) -> Iterator[tuple[IAsker, Address]]:
        """All of them, over and over."""
        return cycle([(asker, each) for asker, owned in self._askers.items() for each in owned])

    def _askForCopies(self, owned: Iterator[tuple[IAsker, Address]]) -> None:
        """While they are held: ask for the next one. Nobody but this host should have it."""
        node = self._node
        holds = node is not None and node.roles.get(self._group) is Role.ACTIVE
        if node is not None and holds and not node.overloaded:
            asker, address = next(owned)
            asker.ask(address)
        self._copies = self._reactor.callLater(COPIES / len(self._specs), self._askForCopies, owned)

    def _answered(self, address: Address, mac: bytes) -> None:
        node = self._node
        if node is None:
            return
        self.answer = f"{mac.hex(':')} answers on the LAN for {address}"
        node.tell(Served(self._group, mac.hex(":")))
        if not node.contested(self._group):  # of which the nodes make an end
            self._contest(node, address, mac, "answers for")

    def _seized(self, address: Address, mac: bytes) -> None:
        """Somebody announces an address of ours: while it is held here that is a conflict."""
        node = self._node
        if node is None:
            return
        # As good as an answer, and heard even where questions of ours are lost on their way.
        self.answer = f"{mac.hex(':')} announces {address}"
        node.tell(Served(self._group, mac.hex(":")))
        self._contest(node, address, mac, "announces")

    def _contest(self, node: Node, address: Address, mac: bytes, does: str) -> None:
        if node.roles[self._group] is Role.ACTIVE:
            now = self._reactor.seconds()
            known, at = self._claimed.get(address, (b"", -LOG))
            if known != mac and now >= at + LOG:
                self._claimed[address] = mac, now
                self._log.warn(
                    "conflict in {group}: {mac} {does} {address}, which is held here",
                    group=self._group,
                    mac=mac.hex(":"),
                    does=does,
                    address=str(address),
                )
            if now >= self._defended.get(address, -DEFEND) + DEFEND:
                self._defended[address] = now
                node.keepers[self._group].announce()
        else:
            self._claimed.pop(address, None)

    def _up(self, name: str) -> None:
        self._without.discard(name)
        self._judge()

    def _down(self, name: str) -> None:
        self._without.add(name)
        self._judge()

    def _judge(self) -> None:
        if self._node is None:
            return
        if self._without:
            names = ", ".join(sorted(self._without))
            verdict = Fitness.UNFIT, f"no carrier on {names}"
        else:
            verdict = Fitness.FIT, ""
        self._node.tell(Judged(self._group, "carrier", *verdict))
