"""What hatwist asks of the Linux kernel, behind interfaces that a memory double provides too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from hatwist.linux.netlink.messages import (
    Address,
    Event,
    KernelAddress,
    KernelLink,
    KernelRoute,
)
from hatwist.linux.netlink.subscribers import About

UDP = 17
"""In the header of IP."""


class INetlink(Interface):
    """
    The kernel's addresses, links and routes.

    Operations run one after the other in the order of the calls. Every Deferred fails with OSError
    when the kernel cannot be reached at all; a refusal of one message is a number in the result.
    """

    def request(
        messages: Sequence[bytes], permitted: Callable[[], bool] = lambda: True
    ) -> Deferred[list[int]]:
        """
        Send changes (L{hatwist.linux.netlink.messages}) and fire with one errno for each, 0 for done.

        Every event of a deletion made here is delivered before it fires. Cancelling keeps what was
        not yet sent from being sent.

        @param permitted: asked last, each time before anything is sent; if not, ECANCELED is the
            answer to all that was not.
        """

    def dumpAddresses() -> Deferred[list[KernelAddress]]:
        """Fire with every address of this network namespace."""

    def dumpLinks() -> Deferred[list[KernelLink]]:
        """Fire with every interface of this network namespace."""

    def dumpRoutes() -> Deferred[list[KernelRoute]]:
        """Fire with the unicast routes of the main table that lead to one interface."""

    def subscribe(
        callback: Callable[[Sequence[Event]], None], about: Collection[About] | None = None
    ) -> Callable[[], None]:
        """
        Call C{callback(events)} from now on, until the function returned here is called.

        @param about: only of these addresses, and of these interfaces by name or index (also when one loses its
            name), and when events were lost; C{LINKS}: of all interfaces; C{None}: of everything.
        """


class ISender(Interface):
    """A way to send whole Ethernet frames on one interface."""

    errors = Attribute("int: how many frames could not be sent.")

    def send(frame: bytes) -> None:
        """Send C{frame}, or count the error. Never raises, never blocks."""

    def close() -> None:
        """Give the socket back. Sending afterwards counts as an error."""


class Farewell(NamedTuple):
    """
    One datagram that tells the others that a node has let go of everything, signed beforehand.

    @ivar ifindex: the interface it leaves by.
    @ivar address, port: where it goes: a multicast group, a broadcast address or one node.
    @ivar source: the address that it leaves by, also when the host has it no more; C{None}: any, and it is UDP's.
    @ivar protocol: with a C{source}: in the header of IP. It has no port then, and 255 hops.
    """

    ifindex: int
    address: Address
    port: int
    datagram: bytes
    source: Address | None = None
    protocol: int = UDP


class IGuard(Interface):
    """
    What lets go of a group's addresses when this process no longer can: killed, stopped, hung.

    Each group follows a lease, for which there is one deadline, in seconds on the reactor's clock, for all
    groups that follow it: whoever told it last said so for all. Firing is final and concerns all groups: their
    addresses are deleted, and the farewells sent if all are gone. Then a new guard takes its
    place, with nothing armed. One that dies itself is replaced, and armed again.
    """

    onFired = Attribute(
        "callable(groups): it fired, or a deadline has passed so that it is about to; at most once "
        "for each arming. What is there must be released, and the node's session is over."
    )
    onDied = Attribute("callable(): it died without firing, and is being replaced.")
    counters = Attribute("Counter[str]: how often it 'fired' and 'died'.")

    def start() -> Deferred[None]:
        """Fires when it is ready. Fails with L{GuardError}."""

    def arm(
        group: str,
        term: int,
        lease: str,
        deadline: float,
        deletions: Sequence[bytes],
        farewells: Sequence[Farewell] = (),
    ) -> Deferred[None]:
        """
        Guard a group from now on, in place of what was armed for it: fires when that is confirmed.

        Only then may an address be added, and only while L{permits} says so. Fails with L{GuardError} when it
        fires or is disarmed before, and when the deadline has passed by then. What is armed in one turn of the
        reactor is told in one go, in the next turn or when it is L{flush}ed.

        @param deadline: that of the lease from now on.
        @param deletions: netlink messages, in order.
        """

    def follow(group: str, lease: str, deadline: float) -> None:
        """
        What is armed for a group goes by this lease from now on, and the lease ends then.

        Once the deadline of either lease has passed this saves nothing. If nothing is armed it does nothing.
        """

    def pet(deadlines: Mapping[str, float]) -> None:
        """
        Extend these leases, by name; for those that nothing armed follows nothing happens. Never raises and never
        blocks.

        Once the deadline of one of them has passed this cannot save it any more.
        """

    def flush() -> None:
        """Tell it now what it was told to do; never blocks."""

    def disarm(group: str) -> Deferred[None]:
        """Everything of the group is proven gone: fires when nothing is armed for it. Never fails."""

    def check() -> bool:
        """
        Look now, without waiting: False when this very look found that it fired or died.

        C{onFired} or C{onDied} has then been called.
        """

    def until(group: str) -> float:
        """
        As of the last look, see L{check}: until when may addresses of the group be here, on the reactor's clock?

        C{-inf}: they may not, see L{permits}. One look is enough for all groups that are asked for at once.
        """

    def permits(group: str) -> bool:
        """
        Look now: may addresses of the group be added or renewed?

        It is armed, and has neither fired nor reached its deadline. While a guard that died is
        being replaced the deadline counts as before.
        """

    def stop() -> Deferred[None]:
        """End it; what is still armed is let go of. Fires when the process is gone."""


Seen = Callable[[Address, bytes], None]
"""Called with an address and the six bytes of the MAC that uses it."""


class IAsker(Interface):
    """
    Asks the LAN of one interface who uses an address.

    Only other hosts count: what has a MAC of this host is never told.
    """

    interface = Attribute("str: the interface's name.")

    def start(addresses: Iterable[Address], answered: Seen, claimed: Seen) -> Deferred[None]:
        """
        Begin to listen; fires when the MACs of this host are known.

        @param addresses: all that may be asked for.
        @param answered: called at each answer to a question.
        @param claimed: called whenever another host says, unasked, that it uses one of them.
        @raise OSError: no such interface, or not permitted.
        """

    def ask(address: Address) -> None:
        """Send one question. Never raises, never blocks; who does not answer is not told."""

    def close() -> None:
        """Tell nothing more, and give the sockets back. Asking afterwards does nothing."""
