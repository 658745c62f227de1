"""Tests for L{hatwist.protocols.native.picture}: what two nodes that hear each other know, as frozen values."""

from __future__ import annotations

from math import inf

from hatwist.core.claims import Role
from hatwist.core.picture import NO_CONTEXT, Context, Picture
from hatwist.core.reports import Judged
from hatwist.core.states import Input, State
from hatwist.core.worth import Fitness
from hatwist.runtime.node import Node
from tests.unit.runtime.test_node import I, Nodes, T


class PictureTestCase(Nodes):
    """alpha holds, beta stands by, on one cable."""

    def setUp(self) -> None:
        super().setUp()
        self.nodes: dict[str, Node] = {}
        for name, priority in (("alpha", 200), ("beta", 100)):
            self.nodes[name], _, _ = self.node(name, priority)
            self.nodes[name].start()
        self.pass_(T + 10 * I)

    def cut(self) -> None:
        """Let nothing through any more."""
        for link in self.cable.links:
            link.isOpen = False
        self.pass_(2 * T)

    def of(self, name: str, context: Context = NO_CONTEXT) -> Picture:
        return self.nodes[name].picture(context)


class PictureTests(PictureTestCase):
    """Both know the same of who holds, each from its side."""

    def test_holder(self) -> None:
        """The holder is the same in both pictures; each has its own state and what the other says of itself."""
        alpha, beta = self.of("alpha"), self.of("beta")
        mine, theirs = alpha.groups["g"], beta.groups["g"]
        for one in (mine, theirs):
            self.assertEqual(one.explanation.holder, "alpha")
            self.assertEqual(one.explanation.holders, ("alpha",))
            self.assertEqual(one.explanation.because, "no holder was heard")
            self.assertEqual((one.worthiest, one.conflicting), ("alpha", ()))
        self.assertEqual((mine.state, theirs.state), (State.ACTIVE, State.STANDBY))
        self.assertEqual((mine.actives, theirs.actives), ((), ("alpha",)))
        self.assertEqual((mine.others, theirs.others), (("beta",), ("alpha",)))
        self.assertGreater(mine.lease, alpha.now)
        self.assertEqual(mine.own, beta.peers["alpha"].groups["g"])
        self.assertIs(alpha.peers["beta"].groups["g"].role, Role.STANDBY)

    def test_peer(self) -> None:
        """A peer has the age of its last heartbeat, on each link, and what was counted of it."""
        beta = self.of("alpha").peers["beta"]
        self.assertTrue(beta.alive and beta.direct and beta.twoWay and beta.agrees)
        self.assertFalse(beta.left or beta.fenced)
        self.assertLessEqual(beta.age, 1.5 * I)
        self.assertEqual(list(beta.links), ["memory"])
        self.assertEqual((beta.received, beta.lost), (20, 0))

    def test_asksNothing(self) -> None:
        """Looking changes nothing: the next look is the same, and so is when to decide."""
        calls = [call.getTime() for call in self.clock.getDelayedCalls()]
        first = self.of("beta")
        self.assertEqual(self.of("beta"), first)
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls()], calls)

    def test_frozen(self) -> None:
        """A picture stays what it was when the cluster goes on."""
        before = self.of("beta")
        kept = repr(before)
        self.nodes["alpha"].drain(True)
        self.pass_(2 * T)
        self.assertEqual(self.of("beta").groups["g"].explanation.holder, "beta")
        self.assertEqual(repr(before), kept)

    def test_drained(self) -> None:
        """A drained node says what would become of its groups; another has nothing to say of that."""
        self.assertIsNone(self.of("alpha").groups["g"].undrained)
        self.nodes["alpha"].drain(True)
        self.pass_(2 * T)
        found = self.of("alpha")
        self.assertTrue(found.drained)
        group = found.groups["g"]
        self.assertEqual(
            group.undrained, ("from beta to alpha, which is worthier (fit, priority 200)", "beta")
        )
        self.assertIs(group.own.fitness, Fitness.UNFIT)
        self.assertTrue(group.obstacle.startswith("alpha is drained"), group.obstacle)

    def test_drainedHolder(self) -> None:
        """One that still holds, because it lets go slowly or nobody else could, says that it does."""
        self.nodes["beta"].tell(Judged("g", "test", Fitness.UNFIT, "out of paper"))
        alpha = self.nodes["alpha"].machine
        alpha.elections["g"].me.configure(
            alpha.rules.groups[0]._replace(keepUnfit=True), alpha.rules.timing
        )
        self.nodes["alpha"].drain(True)
        self.pass_(2 * T)
        self.assertEqual(self.of("alpha").groups["g"].undrained, ("alpha holds it", None))
        alpha.elections["g"].input(Input.YIELD, self.clock.seconds())
        self.assertEqual(self.of("alpha").groups["g"].undrained, ("alpha is releasing it", None))

    def test_alone(self) -> None:
        """Who hears nobody any more says so, unless it has only just begun to listen and nothing was rejected."""
        self.cut()
        known = Context(known=("alpha", "beta", "gamma"))
        found = self.of("alpha", known)
        self.assertEqual(
            found.alone,
            "alpha hears no other node: it may be the one that is cut off. Look at the others: beta and gamma",
        )
        self.assertIn("another node may hold g too", found.split)
        self.assertIn("may hold g too", " ".join(found.groups["g"].explanation.sentences))
        self.assertGreater(found.peers["beta"].age, T)
        listening = known._replace(listensSince=found.now)
        self.assertEqual(self.of("alpha", listening).alone, "")
        rejecting = listening._replace(rejected=("10.0.0.2 does not sign its heartbeats",))
        self.assertIn("since 10.0.0.2 does not sign", self.of("alpha", rejecting).alone)

    def test_hearsay(self) -> None:
        """Of a node of which there was no word in this session there is no age."""
        self.nodes["alpha"].machine.view.recall("gamma", 3, 4, self.clock.seconds())
        peer = self.of("alpha").peers["gamma"]
        self.assertFalse(peer.alive or peer.direct)
        self.assertTrue(T < peer.age < inf)
        self.assertEqual(peer.groups, {})


class HindranceTests(PictureTestCase):
    """Whether the operator can have a group moved is asked of the machine."""

    def hindrance(self, to: str, group: str = "g") -> str:
        return self.nodes["alpha"].hindrance(group, to)

    def test_able(self) -> None:
        """Nothing hinders a move to an able standby, or to the worthiest."""
        self.assertEqual((self.hindrance("beta"), self.hindrance("")), ("", ""))

    def test_unable(self) -> None:
        """What does is a sentence."""
        self.nodes["beta"].tell(Judged("g", "test", Fitness.UNFIT, "out of paper"))
        self.pass_(I)
        for to, words in (
            ("beta", "beta cannot take g: it is unfit: out of paper"),
            ("alpha", "alpha holds g already"),
            ("gamma", "gamma is not known here"),
        ):
            self.assertEqual(self.hindrance(to), words)
        self.assertRaises(ValueError, self.hindrance, "beta", "nosuch")

    def test_nobody(self) -> None:
        """With no holder there is nothing to be moved."""
        for node in self.nodes.values():
            node.drain(True)
        self.pass_(2 * T)
        self.assertEqual(self.hindrance("beta"), "nobody holds g")
