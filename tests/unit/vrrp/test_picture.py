"""Tests for L{hatwist.protocols.vrrp.picture}: what people are told."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.picture import GroupPicture
from hatwist.core.reports import Drained, Judged, Stopped
from hatwist.core.states import State
from hatwist.core.worth import Fitness
from tests.vrrp import GROUP, Host, Network, rules


class Scene(SynchronousTestCase):
    """Two hosts: a of priority 150, b of priority 100."""

    def setUp(self) -> None:
        self.network = Network()

    def group(self, host: Host) -> GroupPicture:
        """What a host knows of the group."""
        return host.machine.picture(self.network.now).groups[GROUP]

    def obstacle(self, host: Host) -> tuple[Obstacle | None, str]:
        """Why it does not hold it."""
        found = self.group(host).explanation.nodes[host.name]
        return found.kind, found.text

    def pair(self, **more: Any) -> tuple[Host, Host]:
        """Settled."""
        hosts = (
            self.network.host("a", rules(1, 150, **more)),
            self.network.host("b", rules(2, 100, **more)),
        )
        self.network.run(3.0)
        return hosts


class PictureTests(Scene):
    """The frozen values."""

    def test_holder(self) -> None:
        """The holder knows its claim, its lease, and no backup: these are silent."""
        a, _ = self.pair()
        found = self.group(a)
        self.assertIs(found.state, State.ACTIVE)
        self.assertEqual(
            (found.own.role, found.own.priority, found.own.term), (Role.ACTIVE, 150, 1)
        )
        self.assertTrue(self.network.now < found.lease < self.network.now + 0.3)
        self.assertEqual((found.others, found.conflicting, found.worthiest), ((), (), "a"))
        self.assertEqual(a.machine.picture(self.network.now).peers, {})
        paragraph = found.explanation.paragraph()
        self.assertIn("a holds g with term 1, for 2.66 s: no master was heard", paragraph)

    def test_backup(self) -> None:
        """A backup knows the holder by its address."""
        _, b = self.pair()
        picture = b.machine.picture(self.network.now)
        found, peer = picture.groups[GROUP], picture.peers["10.99.0.1"]
        self.assertEqual((found.actives, found.others), (("10.99.0.1",),) * 2)
        self.assertEqual(found.explanation.holder, "10.99.0.1")
        self.assertTrue(peer.alive)
        self.assertTrue(peer.agrees)
        self.assertLess(peer.age, 0.11)
        self.assertEqual((peer.groups[GROUP].role, peer.groups[GROUP].priority), (Role.ACTIVE, 150))
        self.assertIn("takes it when 10.99.0.1 (priority 150) is silent for", found.obstacle)

    def test_silent(self) -> None:
        """Who is not heard any more is no holder, and not told of: it may be a backup, which is silent."""
        a, b = self.pair(interval=1.0)
        self.network.run(5.0)
        b.tell(Drained(True))
        a.kill()
        self.network.run(8.0)
        picture = b.machine.picture(self.network.now)
        self.assertEqual(dict(picture.peers), {})
        self.assertEqual(picture.groups[GROUP].others, ())
        self.assertIn("Nobody is heard that holds g", picture.groups[GROUP].explanation.sentences)

    def test_left(self) -> None:
        """Who resigned is not told of any more."""
        a, b = self.pair()
        a.tell(Stopped())
        self.network.run(1.0)
        self.assertEqual(dict(b.machine.picture(self.network.now).peers), {})
        self.assertIs(self.group(a).state, State.SHUTDOWN)

    def test_conflict(self) -> None:
        """Two masters know of each other, and both are named."""
        a, b = self.pair()
        b.tell(Judged(GROUP, "t", Fitness.UNFIT, "not yet"))
        self.network.cuts = {("a", "b", "eth0")}
        b.tell(Judged(GROUP, "t", Fitness.FIT))
        self.network.run(2.0)
        self.assertEqual(self.network.holders(), ["a", "b"])
        found = self.group(a)
        self.assertEqual((found.conflicting, found.actives), (("10.99.0.2",),) * 2)
        self.assertEqual(found.events, {"conflict": 1})
        self.assertIn("hold g: one of them gives way", found.explanation.sentences[0])


class ObstacleTests(Scene):
    """Each reason why a node does not hold a group."""

    def test_each(self) -> None:
        """In the words of people."""
        a, b = self.pair()
        self.assertEqual(self.obstacle(a), (Obstacle.HOLDS, "holds it"))
        self.assertIs(self.obstacle(b)[0], Obstacle.WORTH)
        b.tell(Drained(True))
        self.network.run(0.1)
        self.assertEqual(
            self.obstacle(b), (Obstacle.UNFIT, "is unfit: drained (hatwist undrain ends it)")
        )
        self.assertIsNotNone(self.group(b).undrained)
        b.tell(Stopped())
        self.network.run(0.1)
        self.assertEqual(self.obstacle(b), (Obstacle.STOPPED, "has stopped"))

    def test_starting(self) -> None:
        """At a start."""
        a = self.network.host("a", rules(1, 150), act=0.5)
        self.assertIs(self.obstacle(a)[0], Obstacle.UNCLEAN)
        self.network.run(0.6)
        kind, words = self.obstacle(a)
        self.assertIs(kind, Obstacle.LISTENING)
        self.assertIn("has heard no master, and takes it when none is heard for 0.2", words)
        self.network.run(0.3)
        self.assertIs(self.obstacle(a)[0], Obstacle.ACQUIRING)

    def test_lowerMaster(self) -> None:
        """A master of a lower priority is left alone, for a while or for ever, or taken from."""
        for more, kind, words in (
            ({"preempt": False}, Obstacle.NO_PREEMPT, "does not preempt"),
            ({"preemptDelay": 60.0}, Obstacle.PREEMPT_DELAY, "preempts in 60 s"),
            ({}, Obstacle.HANDOVER, "takes it in 0.1"),
        ):
            self.network = Network()
            self.network.host("b", rules(2, 100, **more))
            self.network.run(2.0)
            a = self.network.host("a", rules(1, 150, **more))
            self.network.run(0.2)
            found = self.obstacle(a)
            self.assertIs(found[0], kind)
            self.assertIn("has the higher priority 150 than 10.99.0.2 (priority 100)", found[1])
            self.assertIn(words, found[1])

    def test_backOff(self) -> None:
        """After a failure."""
        a = self.network.host("a", rules(1, 150))
        a.refusing = True
        self.network.run(0.4)
        kind, words = self.obstacle(a)
        self.assertIs(kind, Obstacle.BACK_OFF)
        self.assertIn("could not hold the resources (told to fail), and waits 0.", words)
