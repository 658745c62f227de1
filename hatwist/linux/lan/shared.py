"""
One socket of each kind on an interface, whatever number of groups announce and ask there: descriptors are few, and
the kernel shows each frame of the LAN to each socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.linux.interfaces import IAsker, INetlink, ISender, Seen
from hatwist.linux.lan.neighbours import Asker
from hatwist.linux.lan.sender import PacketSender
from hatwist.linux.netlink.messages import Address, KernelLink

OpenAsker = Callable[[Any, INetlink, str], Asker]


class Senders:
    """
    Opens what announces.

    @param make: makes the one of an interface.
    """

    def __init__(self, make: Callable[[KernelLink], ISender] = PacketSender) -> None:
        self._make = make
        self._senders: dict[int, tuple[ISender, set[SharedSender]]] = {}

    def open(self, link: KernelLink) -> ISender:
        """
        One user's L{ISender} on an interface.

        @raise OSError: it cannot be opened.
        """
        if link.ifindex not in self._senders:
            self._senders[link.ifindex] = (self._make(link), set())
        sender, users = self._senders[link.ifindex]
        user = SharedSender(sender, lambda: self._close(link.ifindex, user))
        users.add(user)
        return user

    def _close(self, ifindex: int, user: SharedSender) -> None:
        sender, users = self._senders[ifindex]
        users.discard(user)
        if not users:
            del self._senders[ifindex]
            sender.close()


@implementer(ISender)
class SharedSender:
    """L{ISender} of one user. C{errors} counts its own frames."""

    def __init__(self, sender: ISender, close: Callable[[], None]) -> None:
        self.errors = 0
        self._sender: ISender | None = sender
        self._close = close

    def send(self, frame: bytes) -> None:
        """See L{ISender.send}."""
        if self._sender is None:
            self.errors += 1
            return
        before = self._sender.errors
        self._sender.send(frame)
        self.errors += self._sender.errors - before

    def close(self) -> None:
        """See L{ISender.close}."""
        if self._sender is not None:
            self._sender = None
            self._close()


class Askers:
    """
    Opens what asks the LAN.

    @param reactor, netlink: as for L{Asker}.
    @param make: makes the one of an interface.
    """

    def __init__(self, reactor: Any, netlink: INetlink, make: OpenAsker = Asker) -> None:
        self._reactor = reactor
        self._netlink = netlink
        self._make = make
        self._interfaces: dict[str, _Interface] = {}

    def open(self, interface: str) -> IAsker:
        """One user's L{IAsker} on an interface, which is not started."""
        return SharedAsker(self, interface)

    def join(self, user: SharedAsker) -> Deferred[None]:
        """A user has addresses from now on."""
        here = self._interfaces.get(user.interface)
        if here is None:
            here = _Interface(
                self._reactor, self._make(self._reactor, self._netlink, user.interface)
            )
        done = here.join(user)
        self._interfaces[user.interface] = here
        return done

    def ask(self, user: SharedAsker, address: Address) -> None:
        """A user asks for one of its addresses."""
        self._interfaces[user.interface].ask(address)

    def leave(self, user: SharedAsker) -> None:
        """A user has none any more."""
        here = self._interfaces[user.interface]
        here.leave(user)
        if not here.users:
            del self._interfaces[user.interface]


class _Interface:
    """
    One interface that somebody asks on.

    @ivar users: in the order in which they came, each once.
    """

    _log = Logger()

    def __init__(self, reactor: Any, asker: Asker) -> None:
        self.users: dict[SharedAsker, None] = {}
        self._reactor = reactor
        self._asker = asker
        self._waiting: list[Deferred[None]] = []
        self._known = False
        self._versions: set[int] = set()
        self._soon: IDelayedCall | None = None

    def join(self, user: SharedAsker) -> Deferred[None]:
        started = bool(self.users)
        self.users[user] = None
        done: Deferred[None] = Deferred()
        try:
            if not started:
                self._waiting.append(done)
                known = self._asker.start(self._addresses(), self._answered, self._claimed)
                self._versions = {address.version for address in user.addresses}
                known.addCallback(lambda _: self._macsKnown())
                return done
            if {address.version for address in user.addresses} - self._versions:
                self._serveAll()
        except OSError:
            del self.users[user]
            raise
        if self._soon is None:  # many come in one turn: the filters are made once for all of them
            self._soon = self._reactor.callLater(0, self._serve)
        if self._known:
            done.callback(None)
        else:
            self._waiting.append(done)
        return done

    def ask(self, address: Address) -> None:
        if self._soon is not None:
            self._serve()
        self._asker.ask(address)

    def leave(self, user: SharedAsker) -> None:
        self.users.pop(user, None)
        if self.users:
            if self._soon is None:
                self._soon = self._reactor.callLater(0, self._serve)
            return
        self._cancel()
        self._asker.close()

    def _addresses(self) -> list[Address]:
        return [address for user in self.users for address in user.addresses]

    def _serve(self) -> None:
        self._cancel()
        try:
            self._serveAll()
        except OSError as error:
            self._log.warn(
                "Not all can be asked for on {interface}: {error}",
                interface=self._asker.interface,
                error=error,
            )

    def _serveAll(self) -> None:
        addresses = self._addresses()
        self._asker.serve(addresses)
        self._versions = {address.version for address in addresses}

    def _cancel(self) -> None:
        soon, self._soon = self._soon, None
        if soon is not None and soon.active():
            soon.cancel()

    def _macsKnown(self) -> None:
        self._known = True
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)

    def _answered(self, address: Address, mac: bytes) -> None:
        for user in list(self.users):
            user.answered(address, mac)

    def _claimed(self, address: Address, mac: bytes) -> None:
        for user in list(self.users):
            user.claimed(address, mac)


@implementer(IAsker)
class SharedAsker:
    """
    L{IAsker} of one user.

    @ivar addresses: its own; none before it is started, and after it is closed.
    """

    def __init__(self, askers: Askers, interface: str) -> None:
        self.interface = interface
        self.addresses: frozenset[Address] = frozenset()
        self._askers = askers
        self._joined = False
        self._toldAnswer: Seen = lambda address, mac: None
        self._toldClaim: Seen = lambda address, mac: None

    def start(self, addresses: Iterable[Address], answered: Seen, claimed: Seen) -> Deferred[None]:
        """See L{IAsker.start}."""
        self.addresses = frozenset(addresses)
        self._toldAnswer, self._toldClaim = answered, claimed
        done = self._askers.join(self)
        self._joined = True
        return done

    def ask(self, address: Address) -> None:
        """See L{IAsker.ask}."""
        if address in self.addresses:
            self._askers.ask(self, address)

    def close(self) -> None:
        """See L{IAsker.close}."""
        self.addresses = frozenset()
        if self._joined:
            self._joined = False
            self._askers.leave(self)

    def answered(self, address: Address, mac: bytes) -> None:
        """Somebody has answered for an address of somebody."""
        if address in self.addresses:
            self._toldAnswer(address, mac)

    def claimed(self, address: Address, mac: bytes) -> None:
        """Somebody has said that it uses an address of somebody."""
        if address in self.addresses:
            self._toldClaim(address, mac)


class LanSockets(NamedTuple):
    """What all groups of a node share."""

    senders: Senders
    askers: Askers
