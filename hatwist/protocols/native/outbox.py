"""When a packet of this node is due that no beat brings, and what leaves then."""

from __future__ import annotations

from math import inf

from hatwist.protocols.native.common import Common
from hatwist.protocols.native.datagram import Datagram, Header, clusterId
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import NodeRules
from hatwist.protocols.native.sayings import Sayings
from hatwist.protocols.native.state.knowledge import Knowledge
from hatwist.protocols.native.tally import Tally

GOODBYES = 3
"""How often a node says that it goes."""
HURRY = 1 / 3
"""Intervals between packets while a holder misses a peer, or a peer misses packets."""
LOSSY = 19
"""Of 20 packets: a peer that received fewer of this node's makes it send more of them."""
FIRST_WORD = 1.1
"""Intervals from the start to the first packet: by then every other node has spoken, one of the same name too."""


class Outbox:
    """
    What this node has sent, and is to send.

    A I{word} is a packet, or several, that tells of all nodes heard; others may leave between two words, which only
    tell records, or ask for some.

    @param knowledge: what is told; C{tally}: of this node's groups.
    @ivar rules: the present ones.
    @ivar sayings: what it says of the groups.
    @ivar lastSent: when the newest word left; C{-inf}: none did.
    @ivar deadline: when something is due that neither a beat nor a change brings; L{inf}: never.
    """

    def __init__(
        self,
        rules: NodeRules,
        knowledge: Knowledge,
        view: Membership,
        tally: Tally,
        now: float,
    ) -> None:
        self.rules = rules
        self.lastSent = self.deadline = -inf
        self._cluster = clusterId(rules.cluster)
        self._knowledge = knowledge
        self._view = view
        self._tally = tally
        self.sayings = Sayings(knowledge)
        self._common = self._told = Common()
        self._answer = False
        self._goodbyes = GOODBYES
        self._word = self._rest = False  # what is to leave by the last decision
        self._hurried = self._follows = self._mute = self._over = False
        self._silentUntil = now + FIRST_WORD * rules.interval
        self._uncleanUntil = now + rules.tolerance

    @property
    def seq(self) -> int:
        """The number of the newest packet; 0: none was sent."""
        return self._knowledge.seq

    # When

    @property
    def answers(self) -> bool:
        """A word is due at the next decision, whatever that is."""
        return self._answer

    def answer(self) -> None:
        """A word is due at the next decision."""
        self._answer = True

    def heard(self, now: float) -> None:
        """Something new was heard: others are to know soon what this node makes of it."""
        self._answer = self._answer or now >= self.lastSent + self.rules.interval / 4

    def led(self, now: float) -> None:
        """A holder was heard, with nothing new: a standby sends then, in place of its own beat."""
        if now >= self.lastSent + self.rules.interval / 2:
            self._answer = self._answer or not self._tally.claims

    def hush(self, until: float) -> None:
        """Say nothing until then: nobody would believe it."""
        self._silentUntil = max(self._silentUntil, until)

    def hushed(self, now: float) -> bool:
        """Nothing may be said yet, so that nobody would hear of a claim."""
        return self._quiet(now) > now

    def beginAnew(self, now: float) -> None:
        """As at a start, say nothing before all is released, for a tolerance at most."""
        self._uncleanUntil = now + self.rules.tolerance

    def renew(self, session: int, now: float) -> None:
        """A new session says the same, and nobody knows any of it."""
        self.sayings.renew(session, now)

    def early(self, now: float) -> bool:
        """By what was heard since the last decision, something is due sooner than was known then."""
        return not self._mute and not self._over and self._restDue(now) < self.deadline

    def decide(
        self,
        now: float,
        beat: bool,
        urgent: bool,
        common: Common,
        displaced: bool,
        over: bool,
    ) -> None:
        """
        What is due?

        @param urgent: something has changed, or must be answered.
        @param common: what is said once for all groups.
        @param displaced: another node of this name is heard.
        @param over: what is sent from now on are this node's last words.
        """
        self._mute, self._over = displaced or over, over
        free = not self._tally.claims
        self._hurried = self._isHurried(free, now)
        self._follows = free and self._isFollowing(now)
        self._common = common
        # What is decided once more before it was sent is still to be sent.
        urgent = urgent or self._answer or self._word or common != self._told
        self._answer = self._word = self._rest = False
        if displaced or (not over and self._quiet(now) > now):
            pass  # others listen to another node of its name, or "nothing is held here" is not yet true
        elif over:  # its last words, and none after them; who has said nothing has none
            self._word = self._goodbyes > 0 and self.seq > 0
        else:
            self._word = urgent or now >= self._wordDue() or (beat and self._beats(now))
            self._rest = now >= self._restDue(now)
        self.deadline = now if self._word or self._rest else self._due(now)

    def _quiet(self, now: float) -> float:
        """
        Until when nothing may be said; C{-inf}: it may.

        At a start, until a node of the same name would have been heard. And then, as after the guard has fired,
        until everything is released: what is said means that nothing is held. Who cannot release it speaks
        after a tolerance all the same, when no other node counts on this one, and is not eligible.
        """
        if now < self._silentUntil:
            return self._silentUntil
        if now < self._uncleanUntil and self._tally.unclean:
            return self._uncleanUntil
        return -inf

    def _isHurried(self, free: bool, now: float) -> bool:
        """@param free: no group is claimed by this node."""
        for peer in self._view:
            if peer.left():
                continue
            if not free and not peer.alive(now):
                return True
            if lossy(peer) and peer.direct(now):
                return True
        return False

    def _isFollowing(self, now: float) -> bool:
        """Who claims nothing sends when it has heard the holder, in place of its own beat."""
        return any(peer.words.leading and peer.direct(now) for peer in self._view)

    def _due(self, now: float) -> float:
        """When something is due that neither beat nor change brings."""
        if self._mute:
            return inf
        if (quiet := self._quiet(now)) > now:
            return quiet
        return min(self._wordDue(), self._restDue(now))

    def _wordDue(self) -> float:
        interval = self.rules.interval
        due = self._knowledge.telling.wordDue()
        if self._hurried:
            due = min(due, self.lastSent + HURRY * interval)
        if self._follows:
            due = min(due, self.lastSent + 1.25 * interval)
        return due

    def _restDue(self, now: float) -> float:
        view = self._view
        return self._knowledge.telling.restDue(lambda: (view.present(now), view.live(now)))

    def _beats(self, now: float) -> bool:
        return not self._follows and now >= self.lastSent + 0.3 * self.rules.interval

    # What

    def collect(self, now: float) -> list[Datagram]:
        """What is due by the last decision: it leaves now."""
        if not (self._word or self._rest):
            return []
        found = []
        if self._over:  # each has what was released last, which names who is to follow
            while self._goodbyes:
                self._goodbyes -= 1
                found += self._compose(now)
        else:
            found = self._compose(now)
        for datagram in found:
            self._view.departed(datagram.header.seq, now)
        self._word = self._rest = False
        self.deadline = self._due(now)
        return found

    def _compose(self, now: float) -> list[Datagram]:
        view, word = self._view, self._word
        if word:
            self.lastSent, self._told = now, self._common
            self.sayings.say()
        return self._knowledge.compose(
            self._plain(), view.listings(now), view.present(now), view.live(now), word, now
        )

    def _plain(self) -> Header:
        """A header without what is numbered."""
        rules = self.rules
        eligible, listening, drained, witnessed = self._common
        return Header(
            self._cluster,
            rules.name,
            0,
            0,
            rules.interval,
            rules.tolerance,
            rules.address,
            rules.digest,
            leaving=self._over,
            eligible=eligible,
            listening=listening,
            drained=drained,
            witnessed=witnessed,
        )

    def farewell(self) -> Datagram:
        """The goodbye that the guard says for this node once it has let go of everything."""
        return self._knowledge.farewell(self._plain())


def lossy(peer: Peer) -> bool:
    """It has not received all that this node sent of late."""
    return peer.receivedOfMine < LOSSY
