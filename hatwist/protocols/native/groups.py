"""All groups of one node: as they come, go and change, and what the driver reports of each."""

from __future__ import annotations

from collections.abc import Mapping

from hatwist.core.claims import NOTHING, Record
from hatwist.core.states import Input, State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.rules import GroupRules, NodeRules, Timing

DRAINED = (Fitness.UNFIT, "drained (hatwist undrain ends it)")


class Groups:
    """
    The groups of a node, and what they need to know of it and of the others.

    @ivar elections: each group, by name.
    """

    def __init__(
        self, rules: NodeRules, session: int, now: float, records: Mapping[str, Record]
    ) -> None:
        self.rules = rules
        self.session = session
        self.timing = Timing(rules.interval, rules.tolerance, rules.release, rules.guarding)
        self.view = Membership(rules.name, rules.tolerance, rules.digest)
        self.drained = False
        self._stopped = False
        self.elections: dict[str, Election] = {}
        for group in rules.groups:
            self._add(group, records.get(group.name, NOTHING), now)
        self.view.serve(self.elections)

    def _add(self, group: GroupRules, record: Record, now: float) -> None:
        rules = self.rules
        node = (rules.address, rules.name)
        self.elections[group.name] = Election(
            rules.cluster, group, self.timing, node, now, rules.quorum, record
        )
        if self.drained:
            self.elections[group.name].setFitness(*DRAINED, "drain")

    def change(self, rules: NodeRules, now: float, records: Mapping[str, Record]) -> None:
        """
        Go on with other rules: groups may come, go and change, and with them digest and release.

        A group that goes is let go of first, and told of for a while. One that comes begins as at a start.

        @param records: of groups that come.
        @raise ValueError: a group that comes is still being let go of, under the same name.
        """
        wanted = {group.name: group for group in rules.groups}
        going = [name for name in self.elections if name not in self._configured()]
        if back := sorted(set(going) & set(wanted)):
            raise ValueError(f"{', '.join(back)}: still being released; try again when it is done")
        self.rules = rules
        self.view.digest = rules.digest
        self.timing = self.timing._replace(release=rules.release, guarding=rules.guarding)
        for name, election in self.elections.items():
            election.change(self.timing, wanted.get(name))
            if wanted.pop(name, None) is None:
                election.input(Input.STOP, now, "no longer configured")
        for name, group in wanted.items():
            self._add(group, records.get(name, NOTHING), now)
        self.view.serve(self.elections)

    def _configured(self) -> set[str]:
        return {group.name for group in self.rules.groups}

    def _forget(self) -> None:
        """Groups that went are told of until everybody has had time to hear it."""
        configured = self._configured()
        for name in [name for name in self.elections if name not in configured]:
            election = self.elections[name]
            if election.standing.state is State.SHUTDOWN and election.standing.released is None:
                del self.elections[name]
                self.view.serve(self.elections)

    # What the driver reports

    def held(self, group: str, now: float) -> None:
        """The driver has acquired the resources of a group."""
        self.elections[group].input(Input.HELD, now)

    def refused(self, group: str, reason: str, now: float) -> None:
        """They could not be acquired, or were held and lost."""
        self.elections[group].refused(reason, now)

    def released(self, group: str, now: float) -> None:
        """They are proven gone from this node."""
        self.elections[group].letGo(self.view, now)

    def progress(self, group: str, step: int, steps: int, words: str) -> None:
        """The driver acquires or releases: at step C{step} of C{steps}; 0 of 0: it is done."""
        self.elections[group].standing.progressed(step, steps, words)

    def persisted(self, group: str, record: Record, now: float) -> None:
        """The driver has what L{Persist} asked for on disk."""
        self.elections[group].terms.persisted(record)

    def served(self, group: str, by: str, now: float) -> None:
        """Another host has answered, on the LAN, for an address of a group: C{by}, the MAC address it named."""
        self.elections[group].evidence.answered(by, now)

    def witnessed(self, time: float) -> None:
        """The witness has answered the probe that was sent at C{time}."""
        for election in self.elections.values():
            election.evidence.witness(time)

    def fenced(self, why: str, now: float) -> None:
        """
        The guard has fired: it released what it could, and if that was all, said goodbye for this session.

        To be told before anything else when this node wakes.
        """
        said = all(election.rules.guardable for election in self.elections.values())
        if said:
            self.session += 1
        for election in self.elections.values():
            election.fenced(why, now, said)

    # What it asks and wants

    def lease(self, group: str, now: float) -> float:
        """Until when a holder may hold if nothing more is heard, on the clock of C{now}."""
        return self.elections[group].lease(now)

    def fitness(self, group: str, fitness: Fitness, reason: str, source: str = "") -> None:
        """A source's verdict on a group, in place of its last one; the worst of all sources' counts."""
        self.elections[group].setFitness(fitness, reason, source)

    def drain(self, on: bool) -> None:
        """Hold nothing, and be given nothing, until told otherwise."""
        self.drained = on
        verdict = DRAINED if on else (Fitness.FIT, "")
        for election in self.elections.values():
            election.setFitness(*verdict, "drain")

    def move(self, group: str, to: str, now: float) -> None:
        """
        Ask the holder, which may be this node, to hand a group over; it stays where it was moved.

        @param to: to which node; C{""}: to the worthiest, as if it had never been moved.
        @raise ValueError: a sentence that says why it cannot be.
        """
        self._election(group).move(to, self.view, now)

    def others(self, group: str, now: float) -> list[str]:
        """Who besides this node holds a group or could take it at once, the worthiest first."""
        return self._election(group).others(self.view, Turn(now)).inOrder()

    def _election(self, group: str) -> Election:
        if group not in self.elections:
            raise ValueError(f"no group {group}; there are: {', '.join(self.elections)}")
        return self.elections[group]

    def stop(self, now: float, why: str = "stopped") -> None:
        """Let go of everything, say goodbye, and never come back."""
        self._stopped = True
        for election in self.elections.values():
            election.input(Input.STOP, now, why)

    @property
    def over(self) -> bool:
        """It was stopped, and everything is let go of."""
        return self._stopped and all(
            e.standing.state is State.SHUTDOWN for e in self.elections.values()
        )

    def _claimless(self) -> bool:
        return all(election.standing.claim is None for election in self.elections.values())
