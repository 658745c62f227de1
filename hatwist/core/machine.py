"""
What stands between a driver and the protocols of its node.

A driver has one machine for each protocol that it speaks. It calls L{Machine.receive} for everything that has
arrived and L{Machine.tell} for everything that has happened, then L{Machine.decide} once, performs the effects, and
sends what L{Machine.outgoing} gives, see L{hatwist.core.loop}. A machine does no I/O and knows no clock: all times
are seconds on the clock of the C{now} that it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from hatwist.core.claims import Record
from hatwist.core.effects import Effect
from hatwist.core.packet import Outgoing, Packet, Received
from hatwist.core.picture import Context, Picture
from hatwist.core.reports import Report


class Machine(Protocol):
    """One protocol on this node, with all its groups."""

    @property
    def cluster(self) -> str:
        """The name of the cluster."""
        ...

    @property
    def name(self) -> str:
        """The name of this node."""
        ...

    @property
    def groups(self) -> Collection[str]:
        """The names of its groups, also of those that are no longer configured and being let go of."""
        ...

    @property
    def session(self) -> int:
        """Which start of this node it is, where the protocol counts starts; else 0. It may grow."""
        ...

    @property
    def interval(self) -> float | None:
        """Seconds between two calls of L{decide} with C{beat}; C{None}: L{deadline} covers all it sends."""
        ...

    @property
    def tolerance(self) -> float:
        """After so many seconds of silence of this node another one takes over."""
        ...

    @property
    def deadline(self) -> float:
        """When L{decide} is due at the latest; C{inf}: a packet, a report or a beat comes first."""
        ...

    @property
    def news(self) -> bool:
        """Something was received for which L{decide} is due once all that has arrived is read."""
        ...

    @property
    def silent(self) -> bool:
        """It sends nothing: it was stopped, or keeps quiet for the sake of others."""
        ...

    @property
    def over(self) -> bool:
        """It was stopped, and everything is let go of: what L{outgoing} gives now are its last words."""
        ...

    def receive(self, packet: Packet, now: float) -> Received:
        """
        Take in one packet, and decide nothing.

        @raise hatwist.core.errors.BadPacket: it changes nothing, and is to be counted by its reason.
        """
        ...

    def tell(self, report: Report, now: float) -> None:
        """Take note of something that has happened, and decide nothing. What is of no use to it is ignored."""
        ...

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        """
        Decide on everything taken in so far.

        @param beat: an L{interval} has passed since the last such call.
        """
        ...

    def outgoing(self, now: float) -> list[Outgoing]:
        """What is to be sent by the last decision: composed now, numbered now, given once."""
        ...

    def until(self, lease: str, now: float) -> float:
        """
        Until when every group of this lease may be held if nothing more is received after C{now}.

        It is asked while a claimed group follows the lease, see L{hatwist.core.effects.Leased}.
        """
        ...

    def farewells(self, group: str) -> list[Outgoing]:
        """What the guard says in this node's place once it has let go of a group."""
        ...

    def hindrance(self, group: str, to: str, now: float) -> str:
        """
        Why the operator cannot have a group of this machine moved to a node, as far as is known here; C{""}: he can.

        @param to: C{""}: to the worthiest, as if it had never been moved.
        @return: a sentence without full stop.
        """
        ...

    def picture(self, now: float, context: Context) -> Picture:
        """What it knows of this node and of the others."""
        ...

    def others(self, group: str, now: float) -> list[str]:
        """Who besides this node holds a group or could take it at once, the worthiest first."""
        ...

    def contested(self, group: str) -> bool:
        """Others are heard that hold it too, besides this node, and one of them has to give way."""
        ...

    def change(self, rules: Any, now: float, records: Mapping[str, Record]) -> None:
        """
        Go on with other rules, of the protocol's own kind; its groups may come, go and change.

        @param records: what is on disk of each group.
        @raise ValueError: it cannot be now; nothing has changed.
        """
        ...
