"""May this node hold a group? The first obstacle, or none."""

from __future__ import annotations

from hatwist.core.backoff import Backoff
from hatwist.core.obstacles import Obstacle
from hatwist.core.worth import Fitness
from hatwist.protocols.native.arbiter import Arbiter
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.evidence import Evidence
from hatwist.protocols.native.others import Others


class Eligibility:
    """
    @ivar unheardSeq: the packet of this node that must be heard before it may claim again, because those before it
        arrived nowhere; C{None}: there is no such doubt.
    """

    def __init__(
        self, me: Candidate, backoff: Backoff, evidence: Evidence, arbiter: Arbiter
    ) -> None:
        self._me = me
        self._backoff = backoff
        self._evidence = evidence
        self._arbiter = arbiter
        self.unheardSeq: int | None = None

    def unheardFrom(self, seq: int | None) -> None:
        """Nothing that was sent before this packet has arrived; C{None}: that counts no more."""
        self.unheardSeq = seq

    def unable(self, others: Others) -> Obstacle | None:
        """What keeps it from any claim: it is not fit, or nobody would hear it."""
        return self._muted() or self._unfit(others) or self._arbiter.reach(others, self._since)

    @property
    def _since(self) -> int:
        return self.unheardSeq if self.unheardSeq is not None else -1

    def _muted(self) -> Obstacle | None:
        if self._me.muted:
            return Obstacle.NAME
        return Obstacle.HUSHED if self._me.hushed else None

    def _unfit(self, others: Others) -> Obstacle | None:
        me = self._me
        if me.verdicts.fitness is Fitness.UNFIT and (not me.rules.keepUnfit or others.anyFit()):
            return Obstacle.UNFIT
        since = self.unheardSeq
        if since is not None:
            alive = [peer for peer in others if others.alive(peer)]
            if alive and not any(others.lists(peer, since) for peer in alive):
                return Obstacle.UNHEARD
        return None if self._evidence.witnessed(others.turn) else Obstacle.WITNESS

    def obstacle(self, others: Others) -> Obstacle | None:
        """
        Why others may not defer to this node, nor name it as successor; C{None}: they may.

        In back-off it may all the same claim what nobody else could take.
        """
        return self._muted() or self.own(others) or self._arbiter.reach(others, self._since)

    def own(self, others: Others) -> Obstacle | None:
        """The same, but for what keeps it from all groups alike: a packet says that once."""
        found = self._backoff.obstacle(others.now) or self._unfit(others)
        if found is None and self.unheardSeq is not None:
            found = self._arbiter.reach(others, self.unheardSeq)
        return found or (None if self._arbiter.storable else Obstacle.DISK)
