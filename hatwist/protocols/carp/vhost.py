"""
One virtual host on this node: backup or master, and when to say what.

BACKUP is STANDBY, MASTER is ACQUIRING and ACTIVE, see L{hatwist.core.states}; INIT is STARTING. Sources:
carp_proto_input_c, carp_setrun and carp_master_down in sys/netinet/ip_carp.c of OpenBSD and FreeBSD, and
packethandler in src/carp.c of ucarp.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import NamedTuple

from hatwist.core.backoff import Backoff
from hatwist.core.causes import Cause
from hatwist.core.claims import Claim
from hatwist.core.effects import Announce, Effect, Leased
from hatwist.core.fitness import Verdicts
from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import duration
from hatwist.core.standing import Decision, Standing
from hatwist.core.states import Input, State
from hatwist.core.terms import Terms
from hatwist.core.turn import Turn
from hatwist.core.worth import NO_ADDRESS, Fitness, Worth, addressNumber
from hatwist.protocols.carp.auth import Seal
from hatwist.protocols.carp.packet import LEAVING, SKEWS, Address, CarpPacket
from hatwist.protocols.carp.rules import ARP_AGAIN, DEMOTED, VhostRules

LEASE = "held"
"""The lease of everything that is held: one node's process sends all its advertisements, or none."""

_SILENCE = ("", Cause.SILENCE)


class Purpose(Enum):
    """
    What a packet is for.

    C{LAST} is the advertisement of a master that has let go for a faster one, who announces the addresses once more.
    """

    ADVERTISEMENT = "advertisement"
    LAST = "last"
    GOODBYE = "goodbye"


class Rank(NamedTuple):
    """
    Who is master: the least of these. Only OpenBSD is ever demoted.

    @ivar interval: parts of a second, see L{SKEWS}.
    """

    demote: int
    interval: int

    def __str__(self) -> str:
        demoted = f", demoted {self.demote}" if self.demote else ""
        return f"every {self.interval // SKEWS} s + {self.interval % SKEWS}/{SKEWS}{demoted}"


class CarpMaster(NamedTuple):
    """
    Another node that advertises.

    @ivar at: when it did last.
    """

    source: Address
    link: str
    rank: Rank
    at: float

    def __str__(self) -> str:
        return f"{self.source}, which advertises {self.rank}"


class Vhost:
    """
    @param cluster, node: for the log.
    @ivar master: who advertises, as far as is known; C{None}: nobody, or this node.
    @ivar downAt: when the master is taken for dead, if nothing more is heard of it.
    @ivar advertiseAt: when the next advertisement is due, as long as it L{advertises}.
    @ivar due: what is to be sent by the last decision.
    @ivar challenger: who advertises more slowly than this master; C{None}: nobody does.
    """

    def __init__(self, cluster: str, node: str, rules: VhostRules, now: float) -> None:
        self.rules = rules
        self.seal = Seal(rules.password, rules.vhid, rules.addresses)
        self.effects: list[Effect] = []
        self.verdicts = Verdicts()
        self.terms = Terms(0)
        self.backoff = Backoff(rules.advbase + 1, rules.tolerance)  # no interval is longer
        self.master: CarpMaster | None = None
        self.due: list[Purpose] = []
        self.advertiseAt = inf
        self.challenger: Address | None = None
        self._node = node
        self._rival: CarpMaster | None = None  # faster than this master
        self._owed: Purpose | None = None  # once all is gone
        self._answeredAt = -inf
        self._announceIn = 0  # advertisements until the addresses are announced again
        self.downAt = now + self.tolerance
        self._why = _SILENCE
        self.standing = Standing(cluster, rules.name, self._claim, Turn(now, self.effects))
        self._source(now)

    def _claim(self, now: float) -> Claim:
        priority = max(0, 254 - self.skew)
        own = min(map(addressNumber, self.rules.links.values()), default=NO_ADDRESS)
        worth = Worth(self.verdicts.fitness, priority, own, self._node)
        return Claim(self.terms.next(now), worth)

    @property
    def skew(self) -> int:
        """C{advskew}, as long as this node is as fit as it is now."""
        skew = self.rules.advskew
        return max(skew, DEMOTED) if self.verdicts.fitness is Fitness.DEGRADED else skew

    @property
    def rank(self) -> Rank:
        """That of this node."""
        return Rank(0, self.rules.advbase * SKEWS + self.skew)

    @property
    def tolerance(self) -> float:
        """Seconds of silence after which a master is taken for dead."""
        return self.rules.deadRatio * self.rules.advbase + self.skew / SKEWS

    @property
    def slack(self) -> float:
        """
        For how many seconds a master may do nothing at all: its last advertisement may be an interval old, and
        nobody who has the same C{advbase} takes over before C{deadRatio} of them have passed.
        """
        return self.rules.deadRatio * self.rules.advbase - self.rank.interval / SKEWS

    @property
    def contested(self) -> bool:
        """Another node is master beside this one."""
        return self.challenger is not None or self._rival is not None

    # What is heard

    def hear(self, packet: CarpPacket, source: Address, link: str, now: float) -> bool:
        """
        An advertisement of another node, which is known to be genuine.

        @return: there is something to decide.
        """
        heard = CarpMaster(source, link, Rank(packet.demote, packet.interval), now)
        leaving = packet.interval > self.rules.deadRatio * self.rules.advbase * SKEWS
        if not self.standing.holding:
            self._follow(heard, packet, leaving)
            return self.downAt <= now
        if self._yieldsTo(heard):
            self._rival = heard
        elif leaving:
            self._announceIn = 0
            return False
        else:
            self.challenger = source
        return True

    def _follow(self, heard: CarpMaster, packet: CarpPacket, leaving: bool) -> None:
        """As backup."""
        known, source, now = self.master, heard.source, heard.at
        if (
            known is not None
            and known.source != source
            and known.rank < heard.rank
            and now < known.at + self.tolerance
        ):
            # There is a faster master, to which this one yields as soon as it hears of it.
            if not leaving:
                self._reset(now)
        elif leaving:
            self.master = None
            gone = packet.advbase == packet.advskew == LEAVING
            word = "said goodbye" if gone else f"advertises too seldom, {heard.rank}"
            self._take(f"{source} {word}", Cause.VACANCY, now)
        else:
            self.master = heard
            if packet.demote or (self.rules.preempt and self.rank < heard.rank):
                self._take(f"{heard}, ranks below this node", Cause.HANDOVER, now)
            else:
                self._reset(now)

    def _yieldsTo(self, other: CarpMaster) -> bool:
        own = self.rules.links.get(other.link)
        lower = own is not None and addressNumber(other.source) < addressNumber(own)
        return other.rank < self.rank or (other.rank == self.rank and lower)

    def _take(self, why: str, cause: Cause, now: float) -> None:
        self.downAt, self._why = now, (why, cause)

    def _reset(self, now: float) -> None:
        """The master lives, or may: wait for the next advertisement."""
        self.downAt = now + self.tolerance
        self._why = _SILENCE

    # What the driver reports

    def input(self, what: Input, now: float, why: str = "") -> None:
        """Something that has happened, see L{Input}."""
        self.standing.apply(Decision(what, why), Turn(now, self.effects))

    def held(self, now: float) -> None:
        """All is held."""
        if self.standing.state is State.ACQUIRING:
            self.backoff.held()
        self.input(Input.HELD, now)

    def refused(self, reason: str, now: float) -> None:
        """It could not be acquired, or was lost."""
        if self.standing.holding:
            self.backoff.refused(reason, now)
        self.input(Input.REFUSED, now, reason)

    def gone(self, now: float) -> None:
        """All is proven gone: what is owed to the others can be said."""
        standing = self.standing
        if standing.state not in (State.STARTING, State.RELEASING, State.STOPPING):
            return
        self.input(Input.RELEASED, now)
        owed, self._owed = self._owed, None
        if owed is not None:
            self.due.append(owed)
        if owed is Purpose.GOODBYE:
            self._reset(now)

    def fenced(self, why: str, now: float) -> None:
        """The guard has let go of everything, and said goodbye if that was possible."""
        if self.rules.guardable:
            self._owed = None
        self._reset(now)
        self.input(Input.FENCED, now, why)

    def judged(self, source: str, fitness: Fitness, reason: str, now: float) -> None:
        """See L{hatwist.core.reports.Judged}."""
        before = self.skew
        self.verdicts.put(source, fitness, reason)
        if self.skew != before:
            self._tellNow(now)

    def late(self, now: float) -> None:
        """This node did nothing for too long: no silence is believed before there was time to hear a master."""
        if not self.standing.holding:
            self.backoff.stalled(now)

    def change(self, rules: VhostRules, now: float) -> None:
        """Go on by other rules."""
        self.rules = rules
        self.seal = Seal(rules.password, rules.vhid, rules.addresses)
        self._source(now)
        self._tellNow(now)

    def _source(self, now: float) -> None:
        """Where it has no address of its own it cannot speak."""
        lacking = [link for link, own in self.rules.links.items() if own is None]
        if lacking:
            words = f"this host has no address of its own on {' and '.join(lacking)}"
            self.judged("source", Fitness.UNFIT, words, now)
        else:
            self.judged("source", Fitness.FIT, "", now)

    def _tellNow(self, now: float) -> None:
        """What a master says has changed."""
        if self.advertises:
            self.advertiseAt = now

    # Decisions

    def decide(self, now: float) -> float:
        """
        Decide on everything that was heard and reported.

        @return: when to decide again at the latest.
        """
        turn = Turn(now, self.effects)
        standing = self.standing
        if standing.state is State.STARTING and standing.clean:
            standing.apply(Decision(Input.READY), turn)
        if standing.state is State.STANDBY:
            self._wait(turn)
        elif standing.holding:
            self._keep(turn)
        if self.advertises and turn.passed(self.advertiseAt):
            self._advertise(turn)
            turn.passed(self.advertiseAt)
        return turn.wake

    @property
    def advertises(self) -> bool:
        """It is master: to the others too, for as long as it holds without anybody in its place."""
        standing = self.standing
        return standing.holding or (standing.lettingGo and self._owed is Purpose.GOODBYE)

    def obstacle(self, now: float) -> Obstacle | None:
        """What keeps this node from taking over, apart from a master that lives."""
        if self.verdicts.fitness is Fitness.UNFIT:
            return Obstacle.UNFIT
        return self.backoff.obstacle(now)

    def _wait(self, turn: Turn) -> None:
        """As backup."""
        self.backoff.look(turn)
        obstacle = self.obstacle(turn.now)
        if obstacle is Obstacle.UNFIT or not turn.passed(self.downAt):
            return
        if obstacle is Obstacle.BACK_OFF and self.master is None:
            # Nobody else advertises, so nobody else can: this node tries again sooner.
            if not turn.passed(self.backoff.retryAt(self.standing.releasedAt)):
                return
        elif obstacle is not None:
            return
        why, cause = self._why
        self.master = self._rival = self.challenger = None
        self._owed = Purpose.GOODBYE
        self._answeredAt = -inf
        self._announceIn = ARP_AGAIN
        self.advertiseAt = turn.now
        turn.do(Leased(self.rules.name, LEASE))
        why = why or f"no advertisement was heard for {duration(self.tolerance)}"
        self.standing.apply(Decision(Input.CLAIM, why, cause), turn)

    def _keep(self, turn: Turn) -> None:
        """As master."""
        if self._rival is not None:
            self._yield(self._rival, turn)
        elif self.verdicts.fitness is Fitness.UNFIT:
            why = self.verdicts.reason or "this node is unfit"
            self.standing.apply(Decision(Input.YIELD, why, Cause.UNFIT), turn)
        elif self.challenger is not None:
            self._answer(self.challenger, turn)

    def _yield(self, rival: CarpMaster, turn: Turn) -> None:
        # To one that is as fast nothing more is said: a BSD host yields to any that is.
        self._owed = Purpose.LAST if rival.rank < self.rank else None
        self.master = rival
        self._reset(turn.now)
        order = "it is faster" if rival.rank < self.rank else "its address is lower"
        why = f"{rival}, is master, too, and {order}"
        self.standing.apply(Decision(Input.YIELD, why, Cause.CONFLICT), turn)

    def _answer(self, challenger: Address, turn: Turn) -> None:
        """A slower node is master, too: tell it, and the LAN, who has the addresses. At most twice in an C{advbase}."""
        if not turn.passed(self._answeredAt + self.rules.advbase / 2):
            return
        if self._answeredAt == -inf:
            reason = "it is master, too, and slower than this node"
            self.standing.event("conflict", turn, str(challenger), reason)
        self.challenger, self._answeredAt = None, turn.now
        self.advertiseAt = turn.now
        self._announceIn = ARP_AGAIN
        turn.do(Announce(self.rules.name))

    def _advertise(self, turn: Turn) -> None:
        self.due.append(Purpose.ADVERTISEMENT)
        interval = self.rank.interval / SKEWS
        self.advertiseAt += interval
        if self.advertiseAt < turn.now + interval / 2:  # this one came late
            self.advertiseAt = turn.now + interval
        if self._announceIn >= 0:
            if self._announceIn == 0 and self.standing.holding:
                turn.do(Announce(self.rules.name))
            self._announceIn -= 1

    # What is said

    def say(self, purpose: Purpose, counter: int) -> CarpPacket:
        """The packet for it, with this counter."""
        base, skew = self.rules.advbase, self.skew
        if purpose is Purpose.GOODBYE:
            base = skew = LEAVING
        return CarpPacket(self.rules.vhid, base, skew, counter, self.seal.digest(counter))
