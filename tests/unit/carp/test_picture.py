"""What a node tells of itself and of others by CARP: L{hatwist.protocols.carp.picture}."""

from __future__ import annotations

from hatwist.core.claims import Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.packet import Packet
from hatwist.core.reports import Drained, Gone, Held, NotHeld, Stopped
from hatwist.protocols.carp.packet import HOPS
from tests.unit.carp.hosts import GROUP, LINK, own
from tests.unit.carp.test_vhost import GOODBYE, VhostTestCase, advert


class PictureTests(VhostTestCase):
    """One group, in each state that it can be in."""

    def word(self) -> tuple[Obstacle | None, str]:
        """What this node says of itself."""
        group = self.machine.picture(self.now).groups[GROUP]
        self.assertEqual(group.name, GROUP)
        why = group.explanation.nodes["n"]
        group.explanation.paragraph()
        return why.kind, why.text

    def test_backup(self) -> None:
        """Why it does not hold: nothing released yet, nobody heard yet, a faster master, no preempt."""
        self.decide()
        self.assertIs(self.word()[0], Obstacle.UNCLEAN)
        self.tell(Gone(GROUP))
        self.assertEqual(
            self.word(), (Obstacle.LISTENING, "hears no master, and takes over in 3.25 s")
        )
        self.hear(advert())
        self.assertEqual(
            self.word(),
            (
                Obstacle.WORTH,
                "would advertise every 1 s + 64/256, and hears 10.99.0.9, which advertises every 1 s + 0/256",
            ),
        )
        self.hear(advert(1, 100))
        self.assertIs(self.word()[0], Obstacle.NO_PREEMPT)
        self.tell(Drained(True))
        self.assertIs(self.word()[0], Obstacle.UNFIT)
        self.assertTrue(self.machine.picture(self.now).drained)

    def test_holder(self) -> None:
        """Who holds, since when, and until when it may."""
        self.master()
        self.now += 2
        group = self.machine.picture(self.now).groups[GROUP]
        self.assertEqual(
            (group.own.role, group.own.term, group.own.priority), (Role.ACTIVE, 1, 190)
        )
        self.assertEqual(group.explanation.holder, "n")
        self.assertAlmostEqual(group.explanation.age or 0, 2)
        self.assertEqual(group.lease, self.now + 1.75)
        self.assertEqual((group.others, group.actives), ((), ()))

    def test_other(self) -> None:
        """A master that is heard is a peer, and holds; after its goodbye, or a silence, it does not."""
        self.backup()
        self.hear(advert())
        self.now += 1
        picture = self.machine.picture(self.now)
        self.assertEqual(picture.groups[GROUP].explanation.holder, "10.99.0.9")
        self.assertEqual(picture.groups[GROUP].others, ("10.99.0.9",))
        peer = picture.peers["10.99.0.9"]
        self.assertEqual((peer.alive, peer.age, dict(peer.links)), (True, 1.0, {LINK: 1.0}))
        self.assertEqual(peer.groups[GROUP].role, Role.ACTIVE)
        self.assertEqual(self.machine.others(GROUP, self.now), ["10.99.0.9"])
        self.now += 3
        picture = self.machine.picture(self.now)
        self.assertIsNone(picture.groups[GROUP].explanation.holder)
        self.assertEqual(dict(picture.peers), {})  # it may be a backup now, which is silent
        self.assertEqual(self.machine.others(GROUP, self.now), [])
        self.hear(GOODBYE)
        self.assertEqual(dict(self.machine.picture(self.now).peers), {})

    def test_failed(self) -> None:
        """A node that could not acquire says why, and for how long it keeps back."""
        self.backup()
        self.at(3.25)
        self.assertIs(self.word()[0], Obstacle.ACQUIRING)
        self.tell(NotHeld(GROUP, "no such interface"))
        self.assertIs(self.word()[0], Obstacle.RELEASING)
        self.tell(Gone(GROUP))
        kind, text = self.word()
        self.assertIs(kind, Obstacle.BACK_OFF)
        self.assertIn("no such interface", text)

    def test_stopped(self) -> None:
        """One that is stopped says so."""
        self.master()
        self.tell(Stopped())
        self.assertIs(self.word()[0], Obstacle.STOPPING)
        self.tell(Gone(GROUP))
        self.assertIs(self.word()[0], Obstacle.STOPPED)

    def test_hindrance(self) -> None:
        """The operator cannot hand over what has no successor's name on the wire, and is told what to do."""
        self.assertIn("drain", self.machine.hindrance(GROUP, "x", self.now))

    def test_received(self) -> None:
        """What a packet said is one line for people."""
        self.backup()
        received = self.machine.receive(Packet(advert(), LINK, own(9), HOPS), self.now)
        self.assertEqual(received.sender, "10.99.0.9")
        self.assertEqual(str(received.says), "10.99.0.9 on eth0,raw: vhid 42 1 s + 0/256")

    def test_held(self) -> None:
        """Held is told once."""
        self.master()
        self.tell(Held(GROUP))
        self.assertEqual(self.effects, [])
