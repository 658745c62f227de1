"""Tests for C{reasons} and C{explain} of L{hatwist.protocols.native}: a row for every reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.effects import RoleChange
from hatwist.core.electorate import Quorum
from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import duration
from hatwist.core.picture import Why
from hatwist.core.states import Input
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native import reasons
from hatwist.protocols.native.chronicle import Chronicle
from hatwist.protocols.native.datagram import (
    MAX_SEQ,
    GroupState,
)
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.explain import explain
from hatwist.protocols.native.isolation import NOTHING, Here
from hatwist.protocols.native.machine import DRAINED
from hatwist.protocols.native.reasons import ownReason, peerReason
from hatwist.protocols.native.rules import GroupRules, Timing
from hatwist.protocols.native.votes import Majority
from hatwist.service.status import because
from tests.statements import Statement, Word, hear, membership

I, T = 0.1, 0.35  # noqa: E741
NOW = 100.0
SESSION = 7


class Scene:
    """Node a with one group, and whatever it has heard; C{NOW} is when it is asked."""

    def __init__(self, voters: str = "", ready: bool = True, **rules: Any) -> None:
        quorum = Quorum(frozenset(voters), len(voters) // 2 + 1) if voters else None
        group = GroupRules("web", **rules)
        self.election = Election("home", group, Timing(I, T), (1, "a"), 0.0, quorum)
        self.view = membership("a", T, b"d" * 8, SESSION)
        self.view.serve(("web",))
        self.chronicle = Chronicle("a")
        if ready:
            self.do(Input.RELEASED, Input.READY)
        self.election.terms.reserved = 64

    def do(self, *inputs: Input) -> Scene:
        for what in inputs:
            self.election.input(what, 0.0, "no holder was heard")
        return self

    def hear(
        self,
        name: str = "b",
        at: float = NOW,
        heard: bool = True,
        role: Role = Role.STANDBY,
        term: int = 0,
        address: int = 2,
        moved: bool = False,
        fitness: Fitness = Fitness.FIT,
        priority: int = 100,
        eligible: bool = True,
        group: str = "web",
        third: tuple[Word, ...] = (),
        seq: int | None = None,
        **state: Any,
    ) -> Scene:
        claim = Claim(term, Worth(fitness, priority, address, name), moved) if term else None
        told = GroupState(group, role, fitness, priority, eligible, claim=claim, **state)
        me = (Word("a", SESSION, 1),) if heard else ()
        known = self.view.peers.get(name)
        if seq is None:
            seq = known.seq + 1 if known is not None else 1
        leaving = role is Role.SHUTDOWN
        self.view.knowledge.seq = 1
        statement = Statement(
            name, seq, 1, (told,), me + third, leaving, address=address, digest=b"d" * 8
        )
        hear(self.view, statement, at)
        return self

    def set(self, part: str, **attributes: Any) -> Scene:
        owner = getattr(self.election, part)
        for name, value in attributes.items():
            assert hasattr(owner, name), name
            setattr(owner, name, value)
        return self

    def witnessed(self, at: float) -> Scene:
        self.election.me.witnessed.renew(at, NOW)
        return self

    def unfit(self) -> Scene:
        self.election.setFitness(Fitness.UNFIT, "no carrier on eth0")
        return self

    def own(self) -> Why:
        return ownReason(self.election, self.view, NOW)

    def of(self, name: str = "b") -> Why:
        return peerReason(self.election, self.view.peers[name], self.view, NOW)

    def text(self, here: Here = NOTHING) -> str:
        return explain(self.election, self.view, NOW, self.chronicle, here).paragraph()


def holder(scene: Scene, **more: Any) -> Scene:
    """b holds, and is worthier."""
    return scene.hear(**{"role": Role.ACTIVE, "term": 5, "priority": 150, **more})


def voting() -> Scene:
    return Scene("abc").hear("b").hear("c")


def granted() -> Scene:
    scene = voting()
    assert isinstance(scene.election.arbiter, Majority)
    scene.election.arbiter.voter.grant = Grant("c", 1, 9)
    return scene


# Each situation of this node: kind, words that its sentence has, and how it comes about.
OWN: list[tuple[str, str, Callable[[], Scene]]] = [
    ("unclean", "an earlier start may have left", lambda: Scene(ready=False)),
    (
        "listening",
        "listens for 0.25 s more",
        lambda: Scene(ready=False).do(Input.RELEASED).set("candidacy", listenUntil=NOW + 0.25),
    ),
    ("starting", "a worthier node", lambda: Scene(ready=False).do(Input.RELEASED)),
    ("acquiring", "is acquiring it", lambda: Scene().do(Input.CLAIM)),
    ("holds", "holds it", lambda: Scene().do(Input.CLAIM, Input.HELD)),
    ("releasing", "is releasing it", lambda: Scene().do(Input.CLAIM, Input.HELD, Input.YIELD)),
    ("stopping", "is stopping", lambda: Scene().do(Input.CLAIM, Input.HELD, Input.STOP)),
    ("stopped", "has stopped", lambda: Scene().do(Input.STOP)),
    ("name", "another host runs a node of this name", lambda: Scene().set("me", muted=True)),
    ("hushed", "while it says nothing", lambda: Scene().set("me", hushed=True)),
    (
        "stopped",
        "is stopping, and releasing it",
        lambda: Scene(ready=False).do(Input.STOP),
    ),
    ("asking", "2 votes", lambda: voting().do(Input.ASK)),
    (
        "back-off",
        "could not hold the resources (no place), and tries again in 0.40 s",
        lambda: (
            Scene()
            .set("backoff", until=NOW + 3, failures=9, refusal="no place")
            .set("standing", releasedAt=NOW - 1)
        ),
    ),
    (
        "back-off",
        "tries again in 0.20 s",
        lambda: Scene().set("backoff", until=NOW + 0.2, failures=9).set("standing", releasedAt=NOW),
    ),
    (
        "back-off",
        "could not hold the resources (no place), and leaves the group to others for 3.00 s",
        lambda: Scene().set("backoff", until=NOW + 3, refusal="no place").hear(),
    ),
    ("back-off", "others for 3.00 s", lambda: holder(Scene().set("backoff", until=NOW + 3))),
    ("late", "was itself late", lambda: Scene().set("backoff", patience=NOW + 0.1)),
    ("unfit", "no carrier on eth0", lambda: Scene().unfit()),
    ("unfit", "another node is not", lambda: Scene(keepUnfit=True).unfit().hear()),
    ("eligible", "is ready", lambda: Scene(keepUnfit=True).unfit()),
    ("unheard", "is not heard by b", lambda: Scene().hear().set("eligibility", unheardSeq=9)),
    ("witness", "no answer from the witness yet", lambda: Scene(witness=True)),
    (
        "witness",
        "no answer from the witness for 5.00 s",
        lambda: Scene(witness=True).witnessed(NOW - 5),
    ),
    ("votes", "has 1 vote (its own) of the 2 it needs", lambda: Scene("abc")),
    ("votes", "no two-way contact with b, c", lambda: Scene("abc").hear(heard=False)),
    ("one-way", "hears b, and is heard by nobody", lambda: Scene().hear(heard=False)),
    (
        "worth",
        "less worthy (fit, priority 100) than b (fit, priority 150)",
        lambda: holder(Scene()),
    ),
    (
        "worth",
        "priority 100, lower address",
        lambda: holder(Scene(), priority=100, address=0),
    ),
    (
        "worth",
        "less worthy (fit, priority 100) than b (fit, priority 150)",
        lambda: Scene().hear("c", third=(_told("b", Role.ACTIVE, 5),)),
    ),
    (
        "handover",
        "is worthier (fit, priority 100) than b (degraded, priority 150)",
        lambda: holder(Scene(), fitness=Fitness.DEGRADED),
    ),
    ("handover", "about to hand over", lambda: holder(Scene(), priority=50)),
    (
        "moved",
        "the group was moved there by hand. To send it back: hatwist move web",
        lambda: holder(Scene(), priority=50, moved=True),
    ),
    ("no-preempt", "preempt is off", lambda: holder(Scene(preempt=False), priority=50)),
    ("preempt-delay", "ready for 5.00 s", lambda: holder(Scene(preemptDelay=5.0), priority=50)),
    (
        "served",
        "but another host answers on the LAN for the address, so a keeps off",
        lambda: Scene(asks=True).set("evidence", lanAnsweredAt=NOW),
    ),
    ("vote-given", "vote to c", granted),
    ("disk", "safe on its disk", lambda: voting().set("terms", reserved=0)),
    ("ask-later", "again in 0.20 s", lambda: voting().set("arbiter", voteAgainAfter=NOW + 0.2)),
    (
        "successor",
        "waits for c",
        lambda: Scene().hear("c", priority=50).hear(released=Released(5, "c"), priority=50),
    ),
    (
        "defers",
        "(fit, priority 100) waits for b, which is worthier (fit, priority 150)",
        lambda: Scene().hear(priority=150),
    ),
    ("asks-lan", "asking the LAN", lambda: Scene(asks=True).set("evidence", lanProbedSince=NOW)),
    (
        "doubt",
        "waits until b, which holds something",
        lambda: Scene().hear("c", third=(unknownOf("b"),)),
    ),
    ("eligible", "is ready", lambda: Scene()),
]


def _told(name: str, role: Role, term: int) -> Word:
    claim = Claim(term, Worth(Fitness.FIT, 150, 2, name))
    return Word(name, 1, 1, 0.01, groups=(GroupState("web", role, Fitness.FIT, 150, claim=claim),))


def unknownOf(name: str) -> Word:
    """A later word of it, of which no record has come."""
    return Word(name, 1, 9, 0.01, claims=1)


# The same for what is known of node b.
OTHERS: list[tuple[str, str, Callable[[], Scene]]] = [
    ("stopped", "has stopped", lambda: Scene().hear(role=Role.SHUTDOWN)),
    (
        "fenced",
        "died or hangs; its guard released web",
        lambda: Scene().hear(role=Role.SHUTDOWN, seq=MAX_SEQ),
    ),
    ("silent", "has not been heard for 0.50 s", lambda: Scene().hear(at=NOW - 0.5)),
    ("holds", "holds it", lambda: holder(Scene())),
    ("releasing", "is releasing it", lambda: holder(Scene(), lettingGo=True)),
    ("acquiring", "is acquiring it", lambda: holder(Scene(), steps=1)),
    (
        "acquiring",
        "step 2 of 5: r0",
        lambda: holder(Scene(), step=2, steps=5, reason="acquiring, step 2 of 5: r0"),
    ),
    (
        "untold",
        "has not told everything yet",
        lambda: Scene().hear("c", third=(unknownOf("b"),)).hear(group="mail", seq=5),
    ),
    ("unknown-group", "in its configuration", lambda: Scene().hear(group="mail")),
    (
        "hearsay",
        "through others only",
        lambda: Scene().hear("c", third=(_told("b", Role.STANDBY, 5),)),
    ),
    (
        "hearsay",
        "heard by others only",
        lambda: (
            Scene()
            .hear(at=NOW - 0.5)
            .hear("c", third=(_told("b", Role.STANDBY, 5)._replace(seq=5),))
        ),
    ),
    ("one-way", "does not hear this node", lambda: Scene().hear(heard=False)),
    ("asking", "asking for votes", lambda: Scene().hear(role=Role.ASKING, term=5)),
    ("listening", "has just started", lambda: Scene().hear(listening=True, eligible=False)),
    (
        "unfit",
        "is unfit: nginx is down",
        lambda: Scene().hear(fitness=Fitness.UNFIT, eligible=False, reason="nginx is down"),
    ),
    (
        "unfit",
        "is drained (hatwist undrain ends it)",
        lambda: Scene().hear(fitness=Fitness.UNFIT, eligible=False, reason=DRAINED[1]),
    ),
    ("ineligible", "cannot take it now", lambda: Scene().hear(eligible=False)),
    (
        "ineligible",
        "cannot take it now: it could not hold the resources: no place",
        lambda: Scene().hear(eligible=False, reason="could not hold the resources: no place"),
    ),
    (
        "eligible",
        "although degraded: slow",
        lambda: Scene().hear(fitness=Fitness.DEGRADED, reason="slow"),
    ),
    ("eligible", "is ready", lambda: Scene().hear()),
]


class ReasonTests(SynchronousTestCase):
    """Each reason is given where it is the reason."""

    def test_own(self) -> None:
        """What keeps this node from holding, or what it is doing, is told for each situation."""
        for kind, words, make in OWN:
            why = make().own()
            self.assertEqual(why.word, kind, f"{words}: {why}")
            self.assertIn(words, why.text)

    def test_others(self) -> None:
        """The same for what is known of another node."""
        for kind, words, make in OTHERS:
            why = make().of()
            self.assertEqual(why.word, kind, f"{words}: {why}")
            self.assertIn(words, why.text)

    def test_complete(self) -> None:
        """These tables have a row for every obstacle, and words for each that a node can have here or elsewhere."""
        kinds = {kind for kind, _, _ in (*OWN, *OTHERS)}
        self.assertEqual(kinds, {found.value for found in Obstacle} - {"unknown"} | {"eligible"})
        self.assertEqual(
            {kind for kind, _, _ in OWN} - {"eligible"}, {o.value for o in reasons.OWN}
        )
        told = {kind for kind, _, _ in OTHERS} - {"eligible"}
        self.assertEqual(told, {o.value for o in reasons.OTHER})

    def test_eligible(self) -> None:
        """What the election itself calls eligible is never told to be unable, and the reverse."""
        unable = {"back-off", "late", "unfit", "unheard", "witness", "votes", "one-way"}
        unable |= {
            "name",
            "hushed",
            "disk",
            "unclean",
            "listening",
            "starting",
            "stopping",
            "stopped",
        }
        for kind, words, make in OWN:
            scene = make()
            eligible = scene.election.eligible(scene.view, NOW)
            self.assertEqual(eligible, scene.own().word not in unable, f"{kind}: {words}")


class ParagraphTests(SynchronousTestCase):
    """The whole answer."""

    def test_here(self) -> None:
        """A holder tells since when and why, who could take it, who could not, and what would move it."""
        scene = Scene().do(Input.CLAIM, Input.HELD).hear("b", priority=50)
        scene.hear("c", fitness=Fitness.UNFIT, eligible=False, reason="no carrier on eth0")
        change = RoleChange("home", "web", Role.STANDBY, Role.ACTIVE, 1, "no holder was heard")
        scene.chronicle.own(change, None, NOW - 65)
        self.assertEqual(
            scene.text(),
            "a holds web with term 1, for 1 min 5 s: no holder was heard. "
            "c is unfit: no carrier on eth0. "
            "b takes it over when a stops, is drained, becomes unfit, or is silent for 0.35 s. "
            "hatwist move web b hands it over.",
        )

    def test_elsewhere(self) -> None:
        """A standby tells who holds, and why it does not itself."""
        scene = holder(Scene())
        scene.chronicle.look(scene.view, ["web"], NOW - 1)
        self.assertEqual(
            scene.text(),
            "b holds web with term 5, for 1.00 s: it held already when it was first heard. "
            "a (this node) is ready, and less worthy (fit, priority 100) than b (fit, priority 150). "
            "a takes it over when b stops, is drained, becomes unfit, or is silent for 0.35 s.",
        )

    def test_nobody(self) -> None:
        """Where nobody holds, each node's reason is told."""
        scene = Scene().unfit().hear(at=NOW - 2)
        self.assertEqual(
            scene.text(),
            "Nobody holds web. a (this node) is unfit: no carrier on eth0. b has not been heard for 2.00 s.",
        )

    def test_alone(self) -> None:
        """A node that hears no other tells what it knows of itself, and nothing of the cluster."""
        here = Here("a hears no other node: it may be the one that is cut off. Look at the others")
        self.assertEqual(
            Scene().hear(at=NOW - 2).text(here),
            "a hears no other node, so it cannot tell who holds web; it does not. "
            "b has not been heard for 2.00 s.",
        )
        text = Scene().do(Input.CLAIM, Input.HELD).hear(at=NOW - 2).text(here)
        self.assertIn("If a is the one that is cut off, another may hold web too.", text)
        self.assertNotIn("It stays there", text)

    def test_split(self) -> None:
        """Where a known node is silent, and no votes are needed, the holder may not be the only one."""
        scene = Scene().do(Input.CLAIM, Input.HELD).hear("b", priority=50).hear("c", at=NOW - 2)
        words = "c is not heard. If the network is split, another node may hold web too"
        self.assertIn(words, scene.text())
        voting = Scene("abc").do(Input.CLAIM, Input.HELD).hear("b").hear("c", at=NOW - 2)
        self.assertNotIn("split", voting.text())
        gone = Scene().do(Input.CLAIM, Input.HELD).hear("b").hear("c", role=Role.SHUTDOWN)
        self.assertNotIn("split", gone.text())

    def test_stopping(self) -> None:
        """A holder that stops still holds, until everything is released."""
        scene = Scene().do(Input.CLAIM, Input.HELD, Input.STOP).hear("b")
        self.assertEqual(
            scene.text(),
            "a holds web with term 1, for 0.00 s. It is stopping, and releasing it. "
            "b takes it over when that is done.",
        )

    def test_served(self) -> None:
        """Who answers for the address, and where heartbeats should arrive, is told if it is known."""
        scene = Scene(asks=True).set("evidence", lanAnsweredAt=NOW)
        here = Here(answer="02:00:00:00:00:0b answers on the LAN for 192.168.1.100", port=5555)
        self.assertIn(
            "a (this node) hears no valid heartbeat from a holder, but 02:00:00:00:00:0b answers on the LAN for "
            "192.168.1.100, so a keeps off. Check the key and the firewall (UDP 5555).",
            scene.text(here),
        )

    def test_status(self) -> None:
        """The status gives the holder's reason, and with nobody there why this node does not hold."""
        failed = Scene().set("backoff", until=NOW + 0.2, failures=9, refusal="no place")
        failed.set("standing", releasedAt=NOW)
        for scene, reason in (
            (failed, "a could not hold the resources (no place), and tries again in 0.20 s"),
            (holder(Scene()), ""),
        ):
            found = explain(scene.election, scene.view, NOW)
            self.assertEqual(because(found, "a"), reason)

    def test_both(self) -> None:
        """Two holders are named."""
        scene = holder(Scene().do(Input.CLAIM, Input.HELD))
        self.assertTrue(scene.text().startswith("a and b hold web at the same time"), scene.text())

    def test_only(self) -> None:
        """A holder without anybody else says so."""
        text = Scene().do(Input.CLAIM, Input.HELD).text()
        self.assertIn("for as long as a runs and is fit: no other node is known.", text)

    def test_worthierWaits(self) -> None:
        """A holder tells in how many seconds a worthier node gets it, or why it does not."""
        for rules, moved, words in (
            ({"preemptDelay": 5.0}, False, "gets it in 3.00 s"),
            (
                {"preempt": False},
                False,
                (
                    "web stays on a, although b has the higher priority (150): preempt is off. "
                    "To send it there: hatwist move web b."
                ),
            ),
            (
                {},
                True,
                (
                    "web was moved to a by hand and stays there, although b has the higher priority (150). "
                    "To send it back: hatwist move web."
                ),
            ),
        ):
            scene = Scene(**rules).do(Input.CLAIM, Input.HELD).hear(priority=150)
            claim = scene.election.standing.claim
            assert claim is not None
            scene.set("standing", claim=claim._replace(moved=moved))
            scene.set("tenure", worthierSince={"b": NOW - 2})
            self.assertIn(words, scene.text())

    def test_fitterWaits(self) -> None:
        """A fitter node gets it at once, without the delay; but not what was moved to a node as fit as it was then."""
        for moved, then, words in (
            (False, Fitness.DEGRADED, "b is fitter (fit), and gets it in 0.00 s"),
            (True, Fitness.FIT, "b is fitter (fit), and gets it in 0.00 s"),
            (
                True,
                Fitness.DEGRADED,
                "moved to a by hand and stays there, although b is fitter (fit)",
            ),
        ):
            scene = Scene(preemptDelay=5.0).do(Input.CLAIM, Input.HELD).hear()
            scene.election.setFitness(Fitness.DEGRADED, "slow")
            claim = scene.election.standing.claim
            assert claim is not None
            worth = claim.worth._replace(fitness=then)
            scene.set("standing", claim=claim._replace(moved=moved, worth=worth))
            self.assertIn(words, scene.text())

    def test_since(self) -> None:
        """The caller may say what time of day it was."""
        scene = Scene().do(Input.CLAIM, Input.HELD)
        found = explain(scene.election, scene.view, NOW)
        self.assertIn("with term 1, since noon (0.00 s).", found.paragraph("since noon"))

    def test_duration(self) -> None:
        """Times are told in the two greatest units that matter."""
        for seconds, text in (
            (0.0, "0.00 s"),
            (9.994, "9.99 s"),
            (59.4, "59 s"),
            (60, "1 min"),
            (3599, "59 min 59 s"),
            (3600, "1 h"),
            (90061, "1 d 1 h"),
        ):
            self.assertEqual(duration(seconds), text)
