"""Tests for L{hatwist.protocols.native.machine}: what one node sends and when, told as data."""

from __future__ import annotations

from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import MAX_SESSION, MAX_TERM, Claim, Record, Role
from hatwist.core.counting import LEAP, TRUSTED
from hatwist.core.effects import TOLD, Announce, Change, Event, Hold, Leased, Release, RoleChange
from hatwist.core.electorate import Quorum
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Packet
from hatwist.core.reports import Fenced, Gone, Held, Judged, Persisted, Stopped
from hatwist.core.states import State
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import MAX_SEQ, Datagram, GroupState, clusterId
from hatwist.protocols.native.encoding import encode
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.membership import MAX_PEERS, REMEMBERED
from hatwist.protocols.native.outbox import FIRST_WORD
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.testing import Simulation
from tests.statements import Listener, Statement, Word

I, T = 0.1, 0.35  # noqa: E741


def beat(
    name: str,
    seq: int,
    session: int = 1,
    role: Role = Role.STANDBY,
    heard: tuple[Word, ...] = (),
    **group: Any,
) -> Statement:
    claim = Claim(3, Worth(Fitness.FIT, 200, 2, name)) if role == Role.ACTIVE else None
    state = GroupState("web", role, Fitness.FIT, 200, claim=claim, highest=3, **group)
    return Statement(name, seq, session, (state,), heard)


class MachineTests(SynchronousTestCase):
    """One node, "a", of cluster "home"; its time begins at 100."""

    def setUp(self) -> None:
        rules = NodeRules("home", "a", I, T, (GroupRules("web"),), 1)
        self.machine = NativeMachine(rules, Keyring(), 5, 100.0)
        self.listener = Listener()

    def hear(self, statement: Statement, now: float, link: str = "eth0") -> None:
        self.machine.hear(statement.datagram, link, now)

    def decide(self, now: float, beats: bool = False) -> list[Any]:
        """What it decides, and then sends; what it knows of others is in test_chronicle."""
        effects = [e for e in self.machine.decide(now, beats) if not isinstance(e, Change)]
        told = [effect for effect in effects if isinstance(effect, TOLD)]
        return [
            *[effect for effect in effects if effect not in told],
            *[
                self.listener.read(self.machine.keyring.open(packet.data))
                for packet in self.machine.outgoing(now)
            ],
            *told,
        ]

    def sent(self, effects: list[Any]) -> list[Statement]:
        return [effect for effect in effects if isinstance(effect, Statement)]

    def hold(self) -> None:
        """Alone, it holds from 100.4 on."""
        self.decide(100.0, True)
        self.machine.tell(Gone("web"), 100.01)
        for step in range(1, 5):
            self.decide(100.0 + step * I, True)
        self.machine.tell(Held("web"), 100.4)
        self.decide(100.4)
        self.assertEqual(self.machine.elections["web"].standing.role, Role.ACTIVE)

    def assertRefused(self, statement: Statement, reason: str) -> None:
        before = self.machine.view.listings(200.0)
        datagram = Keyring().seal(statement.datagram)
        error = self.assertRaises(BadPacket, self.machine.receive, Packet(datagram, "eth0"), 200.0)
        self.assertEqual(error.reason, reason)
        self.assertEqual(self.machine.view.listings(200.0), before)


class TranscriptTests(MachineTests):
    """The life of a lone node, effect by effect."""

    def test_life(self) -> None:
        """It cleans up, listens, holds, and lets go before it says goodbye three times."""
        effects = self.decide(100.0, True)
        self.assertEqual(effects[0], Release("web"))
        self.assertEqual(
            effects[-1], RoleChange("home", "web", None, Role.STANDBY, 0, "started, listening")
        )
        self.assertEqual(self.sent(effects), [])
        self.machine.tell(Gone("web"), 100.01)
        self.assertEqual(self.sent(self.decide(100.01)), [])
        self.assertAlmostEqual(self.machine.deadline, 100.0 + FIRST_WORD * I)
        effects = self.decide(self.machine.deadline)
        self.assertEqual([(b.session, b.seq) for b in self.sent(effects)], [(5, 1)])
        self.assertTrue(self.sent(effects)[0].groups[0].listening)
        for now in (100.2, 100.3):
            self.assertEqual(
                [b.groups[0].role for b in self.sent(self.decide(now, True))], [Role.STANDBY]
            )
        self.assertEqual(self.decide(100.349), [])
        effects = self.decide(100.35)
        self.assertEqual(effects[:2], [Leased("web", "held"), Hold("web", 1)])
        self.assertEqual(self.sent(effects)[0].groups[0].role, Role.ACTIVE)
        self.machine.tell(Held("web"), 100.36)
        self.assertIn(
            RoleChange("home", "web", Role.STANDBY, Role.ACTIVE, 1, "no holder was heard"),
            self.decide(100.36),
        )
        self.machine.tell(Stopped(), 100.4)
        effects = self.decide(100.4)
        self.assertEqual(effects[:2], [Leased("web", "leaving"), Release("web")])
        self.assertTrue(self.sent(effects)[0].groups[0].lettingGo)
        self.assertFalse(self.machine.over)
        self.machine.tell(Gone("web"), 100.41)
        effects = self.decide(100.41)
        self.assertEqual(
            effects[-1], RoleChange("home", "web", Role.ACTIVE, Role.SHUTDOWN, 1, "stopped")
        )
        goodbyes = self.sent(effects)
        self.assertEqual([b.groups[0].role for b in goodbyes], [Role.SHUTDOWN] * 3)
        self.assertEqual([b.leaving for b in goodbyes], [True] * 3)
        self.assertEqual(len({b.seq for b in goodbyes}), 3)
        self.assertTrue(self.machine.over)
        self.hear(beat("b", 1, role=Role.ACTIVE), 100.45)
        self.assertEqual(self.sent(self.decide(100.5, True)), [])

    def test_stoppedForGood(self) -> None:
        """A group that a reload brings while the node is stopped is never claimed, and does not delay the end."""
        self.hold()
        self.machine.tell(Stopped(), 100.5)
        rules = self.machine.rules._replace(groups=(GroupRules("web"), GroupRules("db")))
        self.machine.change(rules, 100.5, {})
        effects = self.decide(100.5)
        self.assertIn(Release("db"), effects)
        for group in ("web", "db"):
            self.machine.tell(Gone(group), 100.51)
        self.decide(100.51)
        self.assertTrue(self.machine.over)
        for step in range(10):
            effects = self.decide(100.6 + step * I, True)
            self.assertEqual([e for e in effects if isinstance(e, Hold)], [])

    def test_notBeforeItIsClean(self) -> None:
        """It claims nothing before the driver has proven that an earlier crash left nothing."""
        for step in range(30):
            effects = self.decide(100.0 + step * I, True)
            self.assertFalse([e for e in effects if isinstance(e, Hold)])
        self.machine.tell(Gone("web"), 103.0)
        self.assertIn(Hold("web", 1), self.decide(103.0))

    def test_fitnessIsToldAtOnce(self) -> None:
        """A change of fitness is an event, and leaves with a packet at once."""
        self.hold()
        self.machine.tell(Judged("web", "", Fitness.DEGRADED, "slow"), 100.4)
        effects = self.decide(100.42)
        self.assertEqual(effects[-1], Event("fitness", "web", "", "degraded: slow"))
        told = self.sent(effects)[0].groups[0]
        self.assertEqual((told.fitness, told.reason), (Fitness.DEGRADED, "slow"))
        self.machine.tell(Judged("web", "", Fitness.DEGRADED, "slow"), 100.4)
        self.assertEqual(self.decide(100.425), [])


class FencedTests(MachineTests):
    """The guard has fired, and said goodbye for the session: a new one begins, as at a start."""

    def test_claimsNothingInSilence(self) -> None:
        """Until all is released it says nothing, so no other group is claimed: nobody would hear of it."""
        groups = (GroupRules("web"), GroupRules("db"))
        self.machine = NativeMachine(NodeRules("home", "a", I, T, groups, 1), Keyring(), 5, 100.0)
        self.machine.tell(Judged("db", "checks", Fitness.UNFIT, "down"), 100.0)
        self.machine.tell(Gone("db"), 100.01)
        self.hold()
        self.machine.tell(Fenced("the guard has fired"), 100.5)
        self.machine.tell(Judged("db", "checks", Fitness.FIT, ""), 100.5)
        effects = self.decide(100.5, True)
        self.assertIn(Release("web"), effects)
        self.assertEqual([e for e in effects if isinstance(e, (Hold, Statement))], [])
        explanation = self.machine.picture(100.5).groups["db"].explanation
        self.assertEqual(explanation.nodes["a"].word, "hushed")
        self.machine.tell(Gone("web"), 100.55)
        effects = self.decide(100.55)
        self.assertIn(Hold("db", 1), effects)
        (said,) = self.sent(effects)
        self.assertEqual((said.session, said.groups[1].role), (6, Role.ACTIVE))


class DeadlineTests(MachineTests):
    """When the driver must call again, if nothing comes in."""

    def test_listening(self) -> None:
        """A node that listens wakes when its tolerance has passed."""
        self.decide(100.0, True)
        self.machine.tell(Gone("web"), 100.0)
        for now in (100.12, 100.14, 100.16):  # the first packet, and twice more
            self.decide(now)
        self.assertAlmostEqual(self.machine.deadline, 100.35)

    def test_burst(self) -> None:
        """What changed is sent twice more, a tenth of an interval apart."""
        self.machine.tell(Gone("web"), 100.0)
        self.decide(100.0, True)
        times = []
        while self.machine.deadline < 100.2:
            now = self.machine.deadline
            times += [round(now, 6) for _ in self.sent(self.decide(now))]
        self.assertEqual(times, [100.11, 100.12, 100.13])

    def test_holdersDeath(self) -> None:
        """A standby wakes for its last call, and when the holder is gone: one tolerance after its packet."""
        self.standby()
        timing = self.machine.rules.timing
        self.hear(beat("b", 9, role=Role.ACTIVE), 101.0)
        self.decide(101.0)
        deadlines: list[float] = []
        while self.machine.deadline < 101.4 and len(deadlines) < 20:
            deadlines.append(round(self.machine.deadline, 6))
            self.decide(self.machine.deadline)
        self.assertIn(round(101.0 + 0.97 * timing.hold, 6), deadlines)
        self.assertIn(101.35, deadlines)
        self.assertEqual(self.machine.elections["web"].standing.role, Role.ACTIVE)

    def standby(self) -> None:
        self.decide(100.0, True)
        self.machine.tell(Gone("web"), 100.0)
        for seq in range(1, 9):
            now = 100.0 + seq * 0.1
            heard = (Word("a", 5, self.machine.outbox.seq, 0.0),)
            self.hear(beat("b", seq, role=Role.ACTIVE, heard=heard), now)
            self.decide(now)
        self.decide(100.9)

    def test_nothingDue(self) -> None:
        """After its end a node has nothing to wait for."""
        self.hold()
        self.machine.tell(Stopped(), 100.5)
        self.decide(100.5)
        self.machine.tell(Gone("web"), 100.5)
        self.decide(100.5)
        self.assertEqual(self.machine.deadline, inf)


class StallTests(MachineTests):
    """A node that was itself late believes no deadline at once."""

    def test_reported(self) -> None:
        """More than half an interval too late is a stall, and is reported."""
        self.decide(100.0, True)
        self.decide(100.15)
        late = self.decide(100.305)
        self.assertIn(Event("stalled", "", "", "this node did nothing for 0.155 s"), late)

    def test_oneIntervalMore(self) -> None:
        """After a stall it makes no claim for one interval, and tells others that it will not."""
        self.decide(100.0, True)
        self.machine.tell(Gone("web"), 100.0)
        effects = self.decide(103.0)
        self.assertFalse([e for e in effects if isinstance(e, Hold)])
        self.assertFalse(self.sent(effects)[0].groups[0].eligible)
        for now in (103.05, 103.0999):
            self.assertFalse([e for e in self.decide(now) if isinstance(e, Hold)])
        self.assertIn(Hold("web", 1), self.decide(103.1))

    def test_oneToleranceAtMost(self) -> None:
        """However often it stalls, it waits for one tolerance in all."""
        self.decide(100.0, True)
        self.machine.tell(Gone("web"), 100.0)
        self.decide(100.05)
        now = 100.05
        claimed = None
        while claimed is None and now < 103:
            now += 0.16
            if [e for e in self.decide(now) if isinstance(e, Hold)]:
                claimed = now
        assert claimed is not None
        self.assertLess(claimed, 100.35 + 0.16 + T + 0.16)


class RefusalTests(MachineTests):
    """What is no word of a peer changes nothing."""

    def test_cluster(self) -> None:
        """A packet of another cluster is refused."""
        self.assertRefused(beat("b", 1)._replace(cluster=clusterId("other")), "cluster")

    def test_reflected(self) -> None:
        """The node's own packet, come back, is refused."""
        self.assertRefused(beat("a", 1, session=5)._replace(address=1), "reflected")

    def test_sameName(self) -> None:
        """Another node under this node's name is refused, whatever its session; one session counts, too."""
        for session in (4, 5, 6):
            self.assertRefused(beat("a", 1, session=session), "same-name")

    def twin(self, seq: int, session: int, role: Role = Role.STANDBY, now: float = 100.5) -> None:
        """A packet of another host that has this node's name."""
        twin = beat("a", seq, session=session, role=role)
        error = self.assertRaises(BadPacket, self.hear, twin, now)
        self.assertEqual(error.reason, "same-name")

    def test_holderStays(self) -> None:
        """A holder goes on, whichever start is later, and takes a later session than the other node has."""
        self.hold()
        self.twin(1, 9)
        effects = self.decide(100.5)
        self.assertIn(Event("same-name", "", "a", "::2 runs a node of this name, too"), effects)
        self.assertEqual([b.session for b in self.sent(effects)], [10])
        self.assertFalse(self.machine.displaced)
        self.twin(2, 9, now=100.6)
        self.assertFalse([e for e in self.decide(100.6) if isinstance(e, Event)])

    def test_newcomerYields(self) -> None:
        """One that has said nothing yet never speaks, until a tolerance after the other node's last packet."""
        self.machine.tell(Gone("web"), 100.0)
        self.decide(100.0, True)
        self.twin(1, 4, now=100.1)
        self.assertTrue(self.machine.displaced)
        for step in range(1, 4):
            now = 100.1 + step * I
            self.twin(1 + step, 4, now=now)
            self.assertEqual(self.sent(self.decide(now, True)), [])
        self.assertAlmostEqual(self.machine.deadline, 100.4 + T)
        effects = self.decide(100.4 + T)
        self.assertEqual(
            [e.kind for e in effects if isinstance(e, Event)], ["stalled", "name-free"]
        )
        self.assertEqual(len(self.sent(effects)), 1)

    def test_lesserHolderYields(self) -> None:
        """Of two that hold as much the one of the earlier start releases, and says nothing, not even goodbye."""
        self.hold()
        self.twin(1, 9, Role.ACTIVE)
        effects = self.decide(100.5)
        self.assertIn(Release("web"), effects)
        self.assertEqual(self.sent(effects), [])
        self.machine.tell(Gone("web"), 100.51)
        self.assertEqual(self.sent(self.decide(100.51)), [])
        self.machine.tell(Stopped(), 100.52)
        self.assertEqual(self.sent(self.decide(100.52)), [])
        self.assertTrue(self.machine.over)

    def test_hearsayOfATwin(self) -> None:
        """A later start that others hear now is another node: who holds nothing is silent as long as it lives."""
        self.machine.tell(Gone("web"), 100.0)
        self.decide(100.11, True)
        for seq in range(1, 8):
            now = 100.11 + seq * I
            heard = (Word("a", 12, seq, 0.01),)
            self.hear(beat("b", seq, heard=heard), now)
            self.assertEqual(self.sent(self.decide(now, True)), [])
        self.assertEqual(self.machine.session, 5)
        heard = (Word("a", 12, 7, T),)
        self.hear(beat("b", 8, heard=heard), now + T)
        self.assertEqual([b.session for b in self.sent(self.decide(now + T, True))], [13])

    def test_recordingOfItself(self) -> None:
        """What an earlier start of this node sent moves nothing."""
        self.hold()
        self.assertRaises(BadPacket, self.hear, beat("a", 1, session=4), 100.5)
        self.decide(100.5)
        self.assertEqual(self.machine.elections["web"].standing.role, Role.ACTIVE)

    def test_recordedStart(self) -> None:
        """A packet of another start that comes from this host's own address is a recording: no second node."""
        for session in (4, 6):
            self.assertRefused(beat("a", 1, session=session)._replace(address=1), "replayed")
        self.assertFalse(self.machine.displaced)

    def test_replayed(self) -> None:
        """A packet that was seen is refused on the same link and counts on another."""
        self.hear(beat("b", 1), 100.0)
        self.assertRefused(beat("b", 1), "replayed")
        self.hear(beat("b", 1), 100.0, "eth1")
        self.assertEqual(set(self.machine.view.peers["b"].reception.links), {"eth0", "eth1"})

    def test_crowded(self) -> None:
        """One node more than a cluster may have is refused; those that are known are not."""
        for number in range(MAX_PEERS):
            self.hear(beat(f"n{number}", 1), 100.0)
        self.assertRefused(beat("b", 1), "crowded")
        self.hear(beat("n7", 2), 100.0)


class SessionTests(MachineTests):
    """A node that others remember from later begins a later session."""

    def test_grows(self) -> None:
        """Listed with a greater session than its own, it takes the next one."""
        self.machine.tell(Gone("web"), 100.0)
        heard = (Word("a", 12, 3, T),)
        self.hear(beat("b", 1, heard=heard), 100.0)
        self.assertEqual(self.machine.session, 13)
        effects = self.decide(100.0)
        self.assertIn(
            Event(
                "session",
                "",
                "b",
                "it has seen a later start of this node: it runs twice, or its state was lost",
            ),
            effects,
        )
        self.assertEqual(self.sent(self.decide(100.11))[0].session, 13)

    def test_waits(self) -> None:
        """One that may still be counted on is waited for in silence, until its tolerance has passed."""
        self.machine.tell(Gone("web"), 100.0)
        heard = (Word("a", 12, 3, 0.05),)
        self.hear(beat("b", 1, heard=heard), 100.0)
        self.assertEqual((self.machine.session, self.machine.displaced), (5, False))
        self.assertEqual(self.sent(self.decide(100.2, True)), [])
        self.assertAlmostEqual(self.machine.deadline, 99.95 + T)
        heard = (Word("a", 12, 3, T),)
        self.hear(beat("b", 2, heard=heard), 100.3)
        self.assertEqual(self.sent(self.decide(100.3, True))[0].session, 13)

    def test_votesFirst(self) -> None:
        """A holder by votes lets go before it takes a later session, which nobody has voted for."""
        rules = NodeRules(
            "home", "a", I, T, (GroupRules("web"),), 1, quorum=Quorum(frozenset("ab"), 1)
        )
        self.machine = NativeMachine(rules, Keyring(), 5, 100.0, {"web": Record(64)})
        self.machine.tell(Gone("web"), 100.01)
        self.machine.tell(Persisted("web", Record(128)), 100.01)
        for step in range(1, 8):
            self.decide(100.0 + step * I / 2, True)
            self.decide(100.001 + step * I / 2)
        self.machine.tell(Held("web"), 100.4)
        self.decide(100.4)
        self.assertEqual(self.machine.elections["web"].standing.role, Role.ACTIVE)
        heard = (Word("a", 12, 3, T),)
        self.hear(beat("b", 1, heard=heard), 100.45)
        self.decide(100.45)
        self.assertEqual(self.machine.session, 5)
        self.machine.tell(Judged("web", "", Fitness.UNFIT, "told so"), 100.4)
        self.decide(100.46)
        self.machine.tell(Gone("web"), 100.47)
        self.decide(100.47)
        self.assertEqual(self.machine.session, 13)

    def test_told(self) -> None:
        """While another daemon of this name goes on, that is told of each peer at most once in ten seconds."""
        self.machine.tell(Gone("web"), 100.0)
        told = []
        for number in range(1, 250):
            now = 100.0 + number / 10
            for name in "bc":
                heard = (Word("a", self.machine.session + 1, 3, T),)
                self.hear(beat(name, number, heard=heard), now)
            effects = self.decide(now)
            told += [e.peer for e in effects if isinstance(e, Event) and e.kind == "session"]
        self.assertEqual(told, ["b", "c"] * 3)
        self.assertGreater(self.machine.session, 400)

    def test_room(self) -> None:
        """
        No number that a packet brings keeps this node from sending, now or after a restart: what is out of all
        proportion moves it to half of the range at most, and a little further with each packet.
        """
        sessions = []
        for number, session in enumerate((TRUSTED + LEAP + 1, MAX_SESSION)):
            heard = (Word("a", session, 1, T),)
            self.hear(beat("b", number, heard=heard), 100.0)
            sessions.append(self.machine.session)
        self.assertEqual(sessions, [TRUSTED + 1, TRUSTED + 1 + LEAP + 1])
        heard = (Word("a", TRUSTED, 1, T),)
        claim = Claim(MAX_TERM, Worth(Fitness.FIT, 200, 2, "b"))
        state = GroupState("web", Role.ACTIVE, Fitness.FIT, 200, claim=claim, highest=MAX_TERM)
        self.hear(beat("b", MAX_SEQ, heard=heard)._replace(groups=(state,)), 100.0)
        self.assertEqual(self.machine.session, sessions[-1])
        self.machine.tell(Gone("web"), 100.01)
        for step in range(12):
            for one in self.sent(self.decide(100.1 + step * I, True)):
                encode(one.datagram)
        group = self.machine.elections["web"]
        self.assertEqual(
            (group.standing.state, group.terms.highest), (State.ACQUIRING, TRUSTED + 1)
        )

    def test_forgotten(self) -> None:
        """A node that was forgotten, and starts without its memory and its clock behind, is told of its last start."""
        self.hear(beat("b", 7, session=9), 100.0)
        self.decide(100.0 + REMEMBERED + 1.0)
        self.assertEqual(self.machine.view.listings(4000.0), {})
        now = 100.0 + REMEMBERED + 2.0
        self.assertRaises(BadPacket, self.hear, beat("b", 1, session=3), now)
        self.decide(now)
        (told,) = self.machine.view.listings(now).values()
        self.assertEqual((told.name, told.session), ("b", 9))
        self.assertGreater(told.age, T)
        self.assertFalse(self.machine.view.peers["b"].alive(now))
        self.hear(beat("b", 1, session=10), now + 1.0)
        self.assertTrue(self.machine.view.peers["b"].alive(now + 1.0))

    def test_stays(self) -> None:
        """Listed with its own session or an earlier one, it keeps it."""
        self.machine.view.knowledge.seq = 3
        for seq, session in enumerate((5, 4, 0)):
            heard = (Word("a", session, 3, 0.0),)
            self.hear(beat("b", seq, heard=heard), 100.0)
        self.assertEqual(self.machine.session, 5)


class RestoredTests(MachineTests):
    """A node that was restored from a snapshot is known by more than it ever said."""

    def test_letsGo(self) -> None:
        """It lets go of what it held then, and takes a new session; what it says of its groups is said anew."""
        self.hold()
        seq = self.machine.outbox.seq
        heard = (Word("a", 5, seq + 1),)
        self.hear(beat("b", 1, heard=heard), 100.45)
        effects = self.decide(100.45)
        self.assertIn(Release("web"), effects)
        self.assertEqual(self.machine.session, 6)
        self.assertEqual(
            {(b.session, b.groups[0].lettingGo) for b in self.sent(effects)}, {(6, True)}
        )

    def test_version(self) -> None:
        """So it is if others know of later changes of it."""
        self.hold()
        datagram = beat("b", 1, heard=(Word("a", 5, 1),)).datagram
        known = datagram.heard[0]._replace(known=self.machine.view.knowledge.journal.version + 1)
        self.machine.hear(datagram._replace(heard=(known,)), "eth0", 100.45)
        self.assertIn(Release("web"), self.decide(100.45))


class EventTests(MachineTests):
    """What an administrator finds in the log."""

    def test_peers(self) -> None:
        """Peers that come, fall silent and say goodbye are reported, each once."""
        self.decide(100.0, True)
        self.hear(beat("b", 1), 100.1)
        relayed = (Word("d", 1, 1, 0.0),)
        self.hear(beat("c", 1, heard=relayed), 100.1)
        events = [e for e in self.decide(100.1) if isinstance(e, Event)]
        self.assertEqual(
            events,
            [
                Event("peer-joined", "", "b", "heard"),
                Event("peer-joined", "", "c", "heard"),
                Event("peer-joined", "", "d", "heard of"),
            ],
        )
        goodbye = beat("c", 2, role=Role.SHUTDOWN)._replace(leaving=True)
        self.hear(goodbye, 100.2)
        events = [e for e in self.decide(100.2) if isinstance(e, Event)]
        self.assertEqual(events, [Event("peer-left", "", "c", "it said goodbye")])
        self.decide(100.3)
        self.decide(100.4)
        events = [e for e in self.decide(100.45) if isinstance(e, Event)]
        self.assertEqual([e.peer for e in events], ["b", "d"])
        self.assertEqual(events[0], Event("peer-left", "", "b", "silent for 0.350 s"))

    def test_configurationDiffers(self) -> None:
        """A peer with another shared configuration is named when it starts, and not each time."""
        for seq in (1, 2):
            self.hear(beat("b", seq)._replace(digest=b"another!"), 100.0)
        kinds = [e.kind for e in self.decide(100.0) if isinstance(e, Event)]
        self.assertEqual(kinds, ["configuration-differs", "peer-joined"])


class ConflictTests(MachineTests):
    """A holder that hears a lesser one."""

    def test_answersAndAnnounces(self) -> None:
        """It reports the conflict, answers and announces at once, at most each quarter of an interval."""
        self.hold()
        for step in range(1, 12):
            self.decide(100.4 + step * 0.05)
        found: list[tuple[float, list[str]]] = []
        lesser = Claim(9, Worth(Fitness.FIT, 50, 2, "b"))
        for seq, now in enumerate((101.005, 101.016, 101.027, 101.029, 101.0305), 1):
            other = beat("b", seq, role=Role.ACTIVE)
            group = other.groups[0]._replace(priority=50, claim=lesser)
            self.hear(other._replace(groups=(group,)), now)
            effects = self.decide(now)
            if Announce("web") in effects:
                self.assertEqual(len(self.sent(effects)), 1)
                found.append((now, [e.kind for e in effects if isinstance(e, Event)]))
        self.assertEqual(found, [(101.005, ["conflict", "peer-joined"]), (101.0305, [])])
        self.hear(beat("b", 6), 101.04)
        effects = self.decide(101.04)
        self.assertIn(Announce("web"), effects)
        self.assertEqual([e.kind for e in effects if isinstance(e, Event)], ["conflict-over"])


class PacingTests(SynchronousTestCase):
    """How many packets a cluster sends."""

    def settled(self, *names: str) -> Simulation:
        sim = Simulation(seed=4)
        for number, name in enumerate(names):
            sim.start(name, priority=200 - number)
        sim.run(3.0)
        return sim

    def rate(self, sim: Simulation, seconds: float = 5.0) -> dict[str, float]:
        """Packets that each node sends in an interval."""
        before = {name: node.machine.outbox.seq for name, node in sim.nodes.items()}
        sim.run(seconds)
        return {
            name: (node.machine.outbox.seq - before[name]) * I / seconds
            for name, node in sim.nodes.items()
        }

    def test_steady(self) -> None:
        """In steady state each node sends one packet in an interval."""
        for name, rate in self.rate(self.settled("a", "b", "c")).items():
            self.assertAlmostEqual(rate, 1.0, 1, name)

    def test_alone(self) -> None:
        """A node that never had a peer sends one packet in an interval."""
        self.assertAlmostEqual(self.rate(self.settled("a"))["a"], 1.0, 1)

    def test_standbysAnswerTheHolder(self) -> None:
        """A standby sends when it has heard the holder, so the holder knows within a packet's time."""
        sim = self.settled("a", "b", "c")
        sent: list[tuple[float, str]] = []

        def note(source: str, target: str, beat: Datagram) -> bool:
            if target == "b" or (source == "b" and target == "a"):
                sent.append((sim.now, source))
            return True

        sim.lan.filters.append(note)
        sim.run(1.0)
        holder = [at for at, name in sent if name == "a"]
        for name in "bc":
            for at in (at for at, who in sent if who == name):
                self.assertLess(min(at - h for h in holder if h <= at), 0.0011)

    def test_threeWhenAPeerIsGone(self) -> None:
        """A holder that misses a peer sends three packets in an interval, so that a return is noticed soon."""
        sim = self.settled("a", "b")
        sim.kill("b")
        sim.run(1.0)
        self.assertAlmostEqual(self.rate(sim)["a"], 3.0, 1)

    def test_oneAfterAGoodbye(self) -> None:
        """A peer that said goodbye is not missed."""
        sim = self.settled("a", "b")
        sim.stop("b")
        sim.run(1.0)
        self.assertAlmostEqual(self.rate(sim)["a"], 1.0, 1)

    def test_threeWhenLossy(self) -> None:
        """A node whose peer misses more than one of twenty packets sends three in an interval."""
        sim = self.settled("a", "b")
        sim.lan.weather.loss = 0.3
        sim.run(5.0)
        rates = self.rate(sim, 10.0)
        for name in "ab":
            self.assertGreater(rates[name], 2.5)
            self.assertLess(rates[name], 4.0)
        sim.lan.weather.loss = 0.0
        sim.run(5.0)
        for rate in self.rate(sim).values():
            self.assertAlmostEqual(rate, 1.0, 1)


class HearingTests(SynchronousTestCase):
    """A node that hears others but is not heard says so."""

    def test_told(self) -> None:
        """It is told once, within two tolerances of being heard last, by the node that is concerned; and its end."""
        sim = Simulation(seed=4)
        for number, name in enumerate(("alpha", "beta", "gamma")):
            sim.start(name, priority=200 - number)
        sim.run(1.0)
        for other in ("alpha", "gamma"):
            sim.cut("beta", other, bothWays=False)
        sim.run(3.0)
        sim.kill("alpha")
        sim.run(1.0)
        told = sim.transcript.said("not-heard")
        self.assertEqual([moment.node for moment in told], ["beta"])
        self.assertGreater(told[0].at, 1.0 + T - I)
        self.assertLess(told[0].at, 1.0 + 2 * T + I)
        self.assertIn("it hears alpha, gamma", told[0].what)
        self.assertEqual(sim.holders(), ["gamma"])
        sim.heal()
        sim.run(I + 0.01)
        self.assertEqual([m.node for m in sim.transcript.said("heard-again")], ["beta"])

    def test_fromTheStart(self) -> None:
        """So it is of a node that nobody ever heard, and not of nodes that have just met."""
        sim = Simulation(seed=4)
        sim.start("alpha", priority=200)
        sim.run(1.0)
        sim.start("beta")
        sim.cut("beta", "alpha", bothWays=False)
        sim.run(T - 0.01)
        self.assertEqual(sim.transcript.said("not-heard"), [])
        sim.run(I + 0.02)
        self.assertEqual([moment.node for moment in sim.transcript.said("not-heard")], ["beta"])


class NoGroupTests(SynchronousTestCase):
    """A node without a group is a member like any other: it hears, and is heard."""

    def test_life(self) -> None:
        """It is over when it is stopped, and not before; until then it sends once in an interval."""
        machine = NativeMachine(NodeRules("home", "a", I, T), Keyring(), 5, 100.0)
        count = 0
        for step in range(100):
            now = 100.0 + step * I / 10
            machine.decide(now, step % 10 == 0)
            count += len(machine.outgoing(now))
            self.assertFalse(machine.over)
        self.assertApproximates(count, 9, 1)
        machine.hear(beat("b", 1).datagram, "eth0", 101.0)
        count = 0
        for step in range(5):
            machine.decide(101.0 + step * 0.001)
            count += len(machine.outgoing(101.0 + step * 0.001))
        self.assertEqual(count, 1)
        machine.tell(Stopped(), 101.1)
        self.assertTrue(machine.over)
        self.assertEqual(machine.decide(101.1), [])
        self.assertEqual(len(machine.outgoing(101.1)), 3)
        self.assertEqual(machine.decide(101.2, True), [])
        self.assertEqual(machine.outgoing(101.2), [])
