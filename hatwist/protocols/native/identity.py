"""
Which start of which node this is: a later start of its own, or another node of its name, may be heard.

Others listen to the latest start only. Of two nodes of one name exactly one goes on, see L{Identity.meet}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv6Address
from math import inf

from hatwist.core.counting import follow
from hatwist.core.errors import BadPacket
from hatwist.core.worth import NO_ADDRESS
from hatwist.protocols.native.datagram import Header, Listing
from hatwist.protocols.native.outbox import Outbox
from hatwist.protocols.native.rules import NodeRules
from hatwist.protocols.native.tally import Tally

REPEAT = 10.0
"""Seconds between two warnings of one kind of which each packet gives a reason: of two nodes of one name, say."""


class Identity:
    """
    @param rules: name, address, tolerance and quorum stay what they are here, whatever a reload changes.
    @param tally: of this node's groups.
    @param say: reports something: its kind, the node concerned or C{""}, the reason.
    @ivar session: which start of this node; it grows when others remember a greater one, and after a farewell.
    @ivar rivalUntil: until when a node of the same name, to which this one yields, is alive; C{-inf}: there is none.
    """

    def __init__(
        self,
        rules: NodeRules,
        session: int,
        now: float,
        tally: Tally,
        outbox: Outbox,
        say: Callable[[str, str, str], None],
    ) -> None:
        self.session = session
        self.rivalUntil = -inf
        self._rules = rules
        self._tally = tally
        self._outbox = outbox
        self._say = say
        self._startedAt = now
        self._wanted = session
        self._rivalToldAt = -inf
        self._remembered: dict[str, float] = {}

    @property
    def displaced(self) -> bool:
        """This node is silent, and holds nothing, because another one of its name is heard."""
        return self.rivalUntil > -inf

    def decide(self, now: float) -> None:
        """A name that is free again is taken, and a session that was outbid while something was held."""
        if self.displaced and now >= self.rivalUntil:
            self.rivalUntil = -inf
            self._say("name-free", "", "no other node of this name is heard: this one goes on")
        if self._wanted > self.session:
            self._outbid(self._wanted - 1)

    # Earlier and later starts of this node

    def listed(self, heard: Iterable[Listing], by: str, now: float) -> None:
        """Look what another node has heard under this node's name."""
        for listing in heard:
            if listing.name == self._rules.name:
                # As far as it is believed: the teller may have followed further, in more steps than reached this node.
                told = follow(self.session, listing.session)
                if told > self.session:
                    self._later(listing._replace(session=told), by, now)

    def _later(self, heard: Listing, by: str, now: float) -> None:
        """A later start of this node is known: an earlier one, and the clock was behind, or another node."""
        if now >= self._remembered.get(by, -inf) + REPEAT:
            self._remembered[by] = now
            self._say(
                "session",
                by,
                "it has seen a later start of this node: it runs twice, or its state was lost",
            )
        spoke = now - heard.age
        if heard.left or heard.age >= self._rules.tolerance:
            self._outbid(heard.session)
        elif spoke < self._startedAt:
            # It may live: what is said meanwhile nobody would believe.
            self._outbox.hush(spoke + self._rules.tolerance)
        elif self._rank()[1] > heard.claims:
            self._outbid(heard.session)
        else:
            self._yieldName(spoke + self._rules.tolerance, "another host")

    def _outbid(self, session: int) -> None:
        """
        Others listen to this node again from a later session on.

        Votes were given to the present one: it goes on until nothing is held by them.
        """
        self._wanted = max(self._wanted, session + 1)
        if self._rules.quorum is None or not self._tally.claims:
            self.session = max(self.session, self._wanted)

    def ahead(self, by: str, now: float) -> None:
        """Another node has heard of this session what was never said in it: this one must have a later one."""
        if now >= self._remembered.get(by, -inf) + REPEAT:
            self._remembered[by] = now
            self._say(
                "session", by, "it has heard what this node never said: it was restored perhaps"
            )
        self._outbid(self.session)

    # Another node of this name

    def check(self, header: Header) -> None:
        """
        Is a packet with this node's own name of another host?

        @raise BadPacket: it is an echo or a recording, or nobody can have counted that far.
        """
        address = self._rules.address
        if header.session == self.session and header.address == address:
            raise BadPacket("reflected")
        if header.address == address != NO_ADDRESS:
            raise BadPacket("replayed", "of an earlier start of this node")
        if header.session > follow(self.session, header.session):
            raise BadPacket("malformed", f"session {header.session} of a node of this name")

    def meet(self, header: Header, now: float) -> None:
        """
        Two nodes have one name, and exactly one of them goes on.

        Who has more claims comes before who has fewer, one that has spoken before one that has not, then the later
        start, to which all others listen.
        """
        if self._rank() > (True, header.claims, header.session, -header.address):
            if now >= self._rivalToldAt + REPEAT:
                self._rivalToldAt = now
                self._say(
                    "same-name", header.name, f"{_host(header)} runs a node of this name, too"
                )
            self._outbid(header.session)
            self._outbox.answer()
        else:
            self._yieldName(now + max(header.tolerance, self._rules.tolerance), _host(header))

    def _rank(self) -> tuple[bool, int, int, int]:
        """Of two nodes of one name the greater goes on: has it spoken, how many claims has it, since when."""
        spoken = self._outbox.seq > 0 and not self.displaced
        return (
            spoken,
            len(self._tally.claims),
            self.session,
            -self._rules.address,
        )

    def _yieldName(self, until: float, host: str) -> None:
        """Be silent, and hold nothing, until the other node of this name was not heard for a tolerance."""
        if not self.displaced:
            self._say(
                "same-name",
                self._rules.name,
                f"{host} runs a node of this name, too; this one is silent, and holds nothing, until the "
                "other has stopped",
            )
        self.rivalUntil = max(self.rivalUntil, until)


def _host(header: Header) -> str:
    """The host that sent it, as far as it says."""
    if header.address == NO_ADDRESS:
        return "another host"
    address = IPv6Address(header.address)
    return str(address.ipv4_mapped or address)
