"""
The witness: a host, often the gateway, that tells a node whether it is the one that is cut off.

On the LAN it is asked by ARP or neighbour solicitation, elsewhere by ICMP echo. What counts is when
the question was sent that was answered: what was true then may have ceased to be by the time the answer is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.linux.interfaces import INetlink
from hatwist.linux.lan.echo import Echo
from hatwist.linux.lan.port import ARP_FILTER, ETH_P_ARP, ETH_P_IPV6, NEIGHBOUR_FILTER, PacketPort
from hatwist.linux.netlink.messages import (
    IFA_F_DADFAILED,
    IFA_F_TENTATIVE,
    IFA_PROTO_HATWIST,
    Address,
    AddressChange,
    Event,
    EventsLost,
    KernelAddress,
    KernelLink,
    LinkChange,
)
from hatwist.protocols import frames

PER_INTERVAL = 4
"""Questions in one heartbeat interval."""
KEPT = 64
"""Echo requests that may still be answered."""


class Question(Protocol):
    """One way to ask. The number comes back with the answer, as far as that can be known."""

    def send(self, sequence: int) -> bool: ...

    def close(self) -> None: ...


class Neighbour:
    """
    Asks on the LAN, from an address of our own: some gateways answer nobody else.

    Such an answer does not say which question it belongs to. It is taken for that to the oldest one
    that may still be answered; when there was more than one, the next question waits
    until no answer to those can be left.

    @param source: our address on the LAN; C{None}: a probe, from no address.
    """

    def __init__(
        self,
        reactor: Any,
        interface: str,
        address: Address,
        source: Address | None,
        answered: Callable[[int], None],
        makePort: Callable[..., PacketPort] = PacketPort,
    ) -> None:
        self._address = address
        self._source = source
        self._answered = answered
        self._asked: list[int] = []
        self._mac: bytes | None = None
        self._pause = False
        kind, only = ETH_P_ARP, ARP_FILTER
        if address.version == 6:
            kind, only = ETH_P_IPV6, NEIGHBOUR_FILTER
        self._port = makePort(reactor, interface, kind, only, self._read)

    def send(self, sequence: int) -> bool:
        if self._pause:
            self._pause = False
            self._asked.clear()
            return True
        # A question without an answer for two rounds is lost. The next one is a broadcast, should the MAC be another.
        self._asked = [asked for asked in self._asked if asked > sequence - 3]
        if self._asked:
            self._mac = None
        if not self._port.isOpen and not self._opened():
            return False
        self._asked.append(sequence)
        return self._port.send(self._frame(self._port.mac))

    def _opened(self) -> bool:
        try:
            self._port.open()
        except OSError:
            return False
        return True

    def _frame(self, mac: bytes) -> bytes:
        source = self._source
        if isinstance(self._address, IPv4Address):
            assert source is None or isinstance(source, IPv4Address)
            everybody = b"\xff" * 6
            return frames.arpQuestion(mac, self._address, source, self._mac or everybody)
        assert source is None or isinstance(source, IPv6Address)
        return frames.neighbourSolicitation(mac, self._address, source)

    def _read(self, frame: bytes) -> None:
        seen = frames.sighting(frame)
        if seen is None or seen.address != self._address or seen.mac == self._port.mac:
            return
        # A question from an address of our own is answered to us alone: whatever else is heard is no answer.
        if not seen.answer and not (self._source is None and self._address.version == 6):
            return
        if self._asked and not self._pause:
            self._mac = seen.mac
            oldest = self._asked.pop(0)
            self._pause = bool(self._asked)
            self._answered(oldest)

    def close(self) -> None:
        self._port.close()


class Witness:
    """
    Asks the witness again and again, and tells when it was last known to be reached.

    @param reactor: provides IReactorTime, on a monotonic clock, and IReactorFDSet.
    @param interface: where the witness is; C{None}: wherever the routes lead.
    @param interval: seconds between heartbeats; it is asked four times as often. C{None}: it is asked
        when L{ask} is called.
    @param answered: called with the time of the reactor's clock at which an answered question was sent; it only grows.
    @ivar way: C{"arp"}, C{"ndp"} or C{"icmp"}; C{""} before it is known.
    @ivar latest: that time; C{-inf}: never yet.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        netlink: INetlink,
        address: Address,
        interface: str | None,
        interval: float | None,
        answered: Callable[[float], None],
        makeNeighbour: Callable[..., Question] = Neighbour,
        makeEcho: Callable[..., Question] = Echo,
    ) -> None:
        self.address = address
        self.interface = interface
        self.way = ""
        self.latest = float("-inf")
        self._reactor = reactor
        self._netlink = netlink
        self._makeNeighbour = makeNeighbour
        self._makeEcho = makeEcho
        self._every = None if interval is None else interval / PER_INTERVAL
        self._answered = answered
        self._question: Question | None = None
        self._chosen: tuple[object, ...] = ()
        self._sequence = 0
        self._sent: dict[int, float] = {}
        self._asking = LoopingCall(self.ask)
        self._asking.clock = reactor
        self._unsubscribe: Callable[[], None] | None = None
        self._choosing = False
        self._again = False

    def start(self) -> None:
        """Begin to ask, as soon as it is known by which way."""
        self._unsubscribe = self._netlink.subscribe(self._changed)
        if self._every is not None:
            self._asking.start(self._every, now=False).addErrback(self._broken)
        self._choose()

    def stop(self) -> None:
        """Ask no more, and tell nothing more."""
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()
        if self._asking.running:
            self._asking.stop()
        self._use(None, "", ())

    # Asking

    def ask(self) -> None:
        """Ask now, if the way is known."""
        if self._question is None:
            return
        self._sequence += 1
        self._sent[self._sequence] = self._reactor.seconds()
        if len(self._sent) > KEPT:
            del self._sent[next(iter(self._sent))]
        if not self._question.send(self._sequence):
            self._sent.pop(self._sequence, None)

    def _heard(self, sequence: int) -> None:
        sent = self._sent.pop(sequence, None)
        if sent is None or sent <= self.latest:
            return  # answered already, or too late to tell anything new
        self.latest = sent
        try:
            self._answered(sent)
        except Exception:
            self._log.failure("An answer of the witness could not be handled")

    def _broken(self, failure: Failure) -> None:
        self._log.failure("Asking the witness {address} failed", failure, address=str(self.address))

    # By which way

    def _changed(self, events: Sequence[Event]) -> None:
        if any(isinstance(event, AddressChange | LinkChange | EventsLost) for event in events):
            self._choose()

    def _choose(self) -> None:
        """Look again at interfaces and addresses; not twice at once."""
        if self._choosing:
            self._again = True
            return
        self._choosing = True
        Deferred.fromCoroutine(self._look()).addErrback(self._blind).addBoth(self._looked)

    def _blind(self, failure: Failure) -> None:
        self._log.warn("Interfaces and addresses cannot be read: {error}", error=failure.value)

    def _looked(self, _result: object) -> None:
        self._choosing = False
        if self._again and self._unsubscribe is not None:
            self._again = False
            self._choose()

    async def _look(self) -> None:
        links: list[KernelLink] = await self._netlink.dumpLinks()
        addresses: list[KernelAddress] = await self._netlink.dumpAddresses()
        if self._unsubscribe is None:
            return
        for link in links:
            if self.interface not in (None, link.name) or not (link.up and link.resolves):
                continue
            near = [e for e in addresses if e.ifindex == link.ifindex and self._onLink(e)]
            if near:
                own = [e.address for e in near if _lasting(e)]
                source = own[0] if own else None
                chosen = (link.ifindex, link.mac, source)
                if chosen != self._chosen:
                    way = "arp" if self.address.version == 4 else "ndp"
                    asker = self._makeNeighbour(
                        self._reactor, link.name, self.address, source, self._heard
                    )
                    self._use(asker, way, chosen)
                return
        if self._chosen != ("icmp",):
            echo = self._makeEcho(self._reactor, self.address, self.interface, self._heard)
            self._use(echo, "icmp", ("icmp",))

    def _onLink(self, entry: KernelAddress) -> bool:
        """The witness is in the subnet of this address of ours."""
        bits = self.address.max_prefixlen
        if entry.address.version != self.address.version or entry.prefix == bits:
            return False
        shift = bits - entry.prefix
        return int(entry.address) >> shift == int(self.address) >> shift

    def _use(self, question: Question | None, way: str, chosen: tuple[object, ...]) -> None:
        before, self._question = self._question, question
        self.way, self._chosen = way, chosen
        self._sent.clear()
        if before is not None:
            before.close()


def _lasting(entry: KernelAddress) -> bool:
    """An address of this host alone, that others may answer to."""
    shared = entry.proto == IFA_PROTO_HATWIST
    return not shared and not entry.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)
