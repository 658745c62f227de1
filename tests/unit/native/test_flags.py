"""
What a node says once for all its groups counts at once, on another machine, for every group that it has told of before:
the header is there, and of the records that say the same none has come.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Record, Released, Role
from hatwist.core.electorate import Quorum
from hatwist.core.reports import Drained, Gone, Judged, Persisted, Report, Stopped, Witnessed
from hatwist.core.worth import Fitness
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import GroupState
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import WITNESSED, GroupRules, NodeRules

I, T = 0.1, 0.35  # noqa: E741
NAMES = "abcde"


class FlagsTests(SynchronousTestCase):
    """Node a listens to b; the others, where there are any, are c, d and e. Time begins at 100."""

    def machine(self, name: str, votes: bool = False, **rules: Any) -> NativeMachine:
        groups = (GroupRules("db", **rules), GroupRules("web", **rules))
        quorum = Quorum(frozenset(NAMES), 3) if votes else None
        node = NodeRules("home", name, I, T, groups, ord(name), quorum=quorum)
        records = {group.name: Record(64) for group in groups}
        found = NativeMachine(node, Keyring(), 5, 100.0, records)
        for group in groups:
            found.tell(Gone(group.name), 100.0)
            found.tell(Persisted(group.name, Record(128)), 100.0)
        return found

    def talk(self, machines: list[NativeMachine], start: float, seconds: float) -> None:
        """Each hears the others, which beat."""
        for step in range(round(seconds / I)):
            for machine in machines:
                now = start + step * I + machines.index(machine) / 1000
                machine.decide(now, True)
                for packet in machine.outgoing(now):
                    for other in machines:
                        if other is not machine:
                            other.hear(machine.keyring.open(packet.data), "eth0", now)
            for machine in machines:
                machine.decide(start + step * I + 0.01)

    def header(self, b: NativeMachine, a: NativeMachine, now: float) -> GroupState:
        """What a has of b in the group web once it has heard the header of what b says now."""
        a.decide(now)
        self.assertEqual(a.agenda.touched, set())
        b.decide(now)  # it says so at once, and does not wait for its beat
        b.decide(now + 0.001)
        (datagram, *_) = [b.keyring.open(packet.data) for packet in b.outgoing(now + 0.001)]
        a.hear(datagram._replace(ranges=()), "eth0", now + 0.002)
        self.assertEqual(a.agenda.touched, {"db", "web"}, "it concerns all groups")
        found = a.view.peers["b"].state("web")
        assert found is not None
        return found

    def both(self, votes: bool = False, **rules: Any) -> tuple[NativeMachine, NativeMachine]:
        """a and b, which know each other well at 101."""
        a, b = self.machine("a", votes, **rules), self.machine("b", votes, **rules)
        self.talk([a, b], 100.0, 1.0)
        return a, b

    def known(self, a: NativeMachine) -> GroupState:
        found = a.view.peers["b"].state("web")
        assert found is not None
        return found

    def told(self, b: NativeMachine, a: NativeMachine, report: Report) -> GroupState:
        b.tell(report, 101.0)
        return self.header(b, a, 101.0)

    def test_drained(self) -> None:
        """Who is drained is unfit in all groups, and nobody defers to it."""
        a, b = self.both()
        before = self.known(a)
        self.assertEqual((before.fitness, before.eligible), (Fitness.FIT, True))
        after = self.told(b, a, Drained(True))
        self.assertEqual((after.fitness, after.eligible), (Fitness.UNFIT, False))

    def test_leaving(self) -> None:
        """Who says goodbye is SHUTDOWN in all groups: what it held it has released just then, to nobody."""
        a, b = self.machine("a"), self.machine("b")
        for name in ("db", "web"):
            a.tell(Judged(name, "", Fitness.UNFIT, "down"), 100.0)
        self.talk([a, b], 100.0, 1.0)
        words, term = a.view.peers["b"].words, self.known(a).highest
        self.assertEqual(words.leading, {"db", "web"})
        b.tell(Stopped(), 101.0)
        b.decide(101.0)
        for name in ("db", "web"):
            b.tell(Gone(name), 101.0)
        after = self.header(b, a, 101.0)
        self.assertEqual((after.role, after.eligible, after.claim), (Role.SHUTDOWN, False, None))
        self.assertEqual(after.released, Released(term, ""))
        self.assertEqual((words.leading, words.releasedSince("web")), (set(), 101.002))
        self.assertTrue(a.view.peers["b"].left())

    def test_listening(self) -> None:
        """Who listens no longer does so in no group."""
        a, b = self.machine("a"), self.machine("b")
        self.talk([a, b], 100.0, 0.4)
        self.assertTrue(self.known(a).listening)
        self.assertFalse(self.header(b, a, 100.42).listening)

    def test_witnessed(self) -> None:
        """Whom the witness does not answer any more has it in no group, and who has it again in all."""
        a, b = self.both(witness=True)
        self.assertFalse(self.known(a).witnessed)
        self.assertTrue(self.told(b, a, Witnessed(101.0)).witnessed)
        gone = 101.0 + WITNESSED * I + 0.001
        self.assertFalse(self.header(b, a, gone).witnessed)

    def test_eligible(self) -> None:
        """Who reaches no majority is eligible in no group, whatever it has told of each; and again once it does."""
        a, b = self.both(votes=True)
        c = self.machine("c", votes=True)
        self.assertFalse(self.known(a).eligible)
        self.talk([a, c], 101.0, 0.1)
        self.talk([b, c], 101.1, 0.1)
        self.assertTrue(self.header(b, a, 101.2).eligible)
