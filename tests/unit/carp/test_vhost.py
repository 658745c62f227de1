"""The rules of CARP, each with what it asks for and with what it does not: L{hatwist.protocols.carp.vhost}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.causes import Cause
from hatwist.core.effects import Announce, Effect, Event, Hold, Leased, Release
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.reports import Drained, Fenced, Gone, Held, Judged, NotHeld, Report, Stopped
from hatwist.core.states import State
from hatwist.core.worth import Fitness
from hatwist.protocols.carp.auth import Seal
from hatwist.protocols.carp.machine import CarpMachine
from hatwist.protocols.carp.packet import HOPS, CarpPacket, decode, encode
from hatwist.protocols.carp.rules import CarpRules
from hatwist.protocols.carp.vhost import Vhost
from tests.unit.carp.hosts import GROUP, LINK, PASSWORD, SHARED, VHID, own, rules

START = 1000.0
SEAL = Seal(PASSWORD, VHID, [SHARED])
SKEW = 64  # a quarter of a second


def advert(base: int = 1, skew: int = 0, demote: int = 0, counter: int = 1) -> bytes:
    """What another host says."""
    return encode(CarpPacket(VHID, base, skew, counter, SEAL.digest(counter), demote))


GOODBYE = advert(255, 255)


class VhostTestCase(SynchronousTestCase):
    """The host 10.99.0.5, advertising each 1.25 s, and what others say to it."""

    def setUp(self) -> None:
        self.now = START
        self.effects: list[Effect] = []
        self.machine = self.made()

    def made(self, **more: Any) -> CarpMachine:
        vhost = rules(5, **{"advskew": SKEW, **more})
        machine = self.machine = CarpMachine(CarpRules("c", "n", (vhost,)), 100, self.now)
        return machine

    @property
    def vhost(self) -> Vhost:
        return self.machine.vhosts[GROUP]

    def decide(self) -> list[CarpPacket]:
        """Decide; what is sent then."""
        self.effects = self.machine.decide(self.now)
        return [decode(packet.data) for packet in self.machine.outgoing(self.now)]

    def at(self, seconds: float) -> list[CarpPacket]:
        """The same, so many seconds after the start."""
        self.now = START + seconds
        return self.decide()

    def tell(self, *reports: Report) -> list[CarpPacket]:
        for report in reports:
            self.machine.tell(report, self.now)
        return self.decide()

    def hear(self, data: bytes, last: int = 9, hops: int = HOPS) -> None:
        self.machine.receive(Packet(data, LINK, own(last), hops), self.now)

    def backup(self, **more: Any) -> None:
        """It is clean, and BACKUP since the start."""
        self.made(**more)
        self.decide()
        self.tell(Gone(GROUP))
        self.assertIs(self.vhost.standing.state, State.STANDBY)

    def master(self, **more: Any) -> float:
        """It is MASTER; since when, in seconds after the start."""
        self.backup(**more)
        self.at(self.machine.deadline - START)
        self.assertIn(Hold(GROUP, 1), self.effects)
        self.tell(Held(GROUP))
        self.assertIs(self.vhost.standing.state, State.ACTIVE)
        return self.now - START

    def claims(self) -> bool:
        """The last decision was to be master."""
        return self.did(Hold)

    def yields(self) -> bool:
        """It was to let go."""
        return self.did(Release)

    def announces(self) -> bool:
        return self.did(Announce)

    def did(self, kind: type[Effect]) -> bool:
        """An effect is a tuple, and equal to any of the same fields."""
        return any(isinstance(effect, kind) for effect in self.effects)


class ReceiveTests(VhostTestCase):
    """What counts as an advertisement."""

    def refused(self, packet: Packet) -> str:
        with self.assertRaises(BadPacket) as caught:
            self.machine.receive(packet, self.now)
        self.assertFalse(self.machine.news)
        return str(caught.exception.reason)

    def test_hops(self) -> None:
        """255 hops are left of it, else it was not sent on this LAN."""
        self.backup()
        self.hear(advert())
        self.decide()
        for hops in (0, 1, 254, None):
            self.assertEqual(self.refused(Packet(advert(), LINK, own(9), hops)), "hops")

    def test_vhid(self) -> None:
        """It is of a vhid that a group has on that link."""
        self.backup()
        other = encode(CarpPacket(43, 1, 0, 1, SEAL.digest(1)))
        self.assertEqual(self.refused(Packet(other, LINK, own(9), HOPS)), "vhid")
        self.assertEqual(self.refused(Packet(advert(), "eth1,raw", own(9), HOPS)), "vhid")
        self.hear(advert())

    def test_signature(self) -> None:
        """Whoever has another password, or other addresses, is not believed, and the reason says both."""
        self.backup()
        for seal in (Seal(b"other", VHID, [SHARED]), Seal(PASSWORD, VHID, [own(101), SHARED])):
            forged = encode(CarpPacket(VHID, 1, 0, 1, seal.digest(1)))
            with self.assertRaises(BadPacket) as caught:
                self.hear(forged)
            self.assertIn("another password, or other addresses", str(caught.exception))
            self.assertEqual(caught.exception.reason, "signature")

    def test_own(self) -> None:
        """What comes from this host's own address is its own, come back: no transition of master or backup."""
        self.master()
        (said,) = self.at(self.machine.deadline - START)
        data = encode(said)
        self.assertEqual(self.refused(Packet(data, LINK, own(5), HOPS)), "reflected")
        self.assertEqual(self.refused(Packet(data, LINK, None, HOPS)), "reflected")

    def test_sameCounter(self) -> None:
        """The same counter, from another address, is a peer's: ucarp goes on with those that it hears."""
        self.master()
        (said,) = self.at(self.machine.deadline - START)
        self.hear(advert(counter=said.counter))
        self.decide()
        self.assertTrue(self.yields())

    def test_damagedChangesNothing(self) -> None:
        """A packet that is refused changes no deadline."""
        self.backup()
        before = self.vhost.downAt
        self.now += 1
        for data in (advert()[:-1], b"", advert() + b"!", advert()[:35] + b"!"):
            self.assertIn(
                self.refused(Packet(data, LINK, own(9), HOPS)),
                ("truncated", "trailing", "checksum"),
            )
        self.assertEqual(self.vhost.downAt, before)


class BackupTests(VhostTestCase):
    """INIT and BACKUP."""

    def test_init(self) -> None:
        """INIT becomes BACKUP when what an earlier run left is gone, and says nothing."""
        self.assertEqual(self.decide(), [])
        self.assertTrue(self.yields())
        self.assertEqual(self.at(60), [])
        self.assertFalse(self.claims())
        self.assertEqual(self.tell(Gone(GROUP))[0].advbase, 1)
        self.assertTrue(self.claims())

    def test_masterDown(self) -> None:
        """BACKUP becomes MASTER after three advbase and the own skew of silence, and not before."""
        self.backup()
        self.assertEqual(self.machine.deadline, START + 3 + SKEW / 256)
        self.assertEqual(self.at(3.2499), [])
        self.assertFalse(self.claims())
        self.assertEqual(len(self.at(3.25)), 1)
        self.assertTrue(self.claims())

    def test_skewIsNotCut(self) -> None:
        """A skew of one counts: 1/256 s."""
        self.backup(advskew=1)
        self.assertEqual(self.machine.deadline, START + 3 + 1 / 256)

    def test_deadRatio(self) -> None:
        """Another dead ratio counts, and each advertisement resets the timer."""
        self.backup(deadRatio=5, advbase=2)
        self.assertEqual(self.machine.deadline, START + 10.25)
        self.now += 3
        self.hear(advert(2))
        self.at(10.25)
        self.assertFalse(self.claims())
        self.assertEqual(self.machine.deadline, START + 13.25)

    def test_claim(self) -> None:
        """A new master advertises, takes the addresses under a lease, and a greater term each time."""
        self.backup()
        (said,) = self.at(3.25)
        self.assertEqual((said.vhid, said.advbase, said.advskew, said.demote), (VHID, 1, SKEW, 0))
        self.assertEqual([type(effect) for effect in self.effects[:2]], [Leased, Hold])
        self.hear(advert())
        self.decide()
        self.tell(Gone(GROUP))
        self.hear(GOODBYE)
        self.decide()
        self.assertIn(Hold(GROUP, 2), self.effects)

    def test_silent(self) -> None:
        """BACKUP never says anything, whatever it hears."""
        self.backup()
        for data in (advert(), advert(1, 254), advert(2)):
            self.hear(data)
            self.assertEqual(self.decide(), [])

    def test_preempts(self) -> None:
        """A slower master is taken for dead with preempt, at once; one that is faster, or as fast, is not."""
        for skew, taken in ((SKEW - 1, False), (SKEW, False), (SKEW + 1, True)):
            self.backup(preempt=True)
            self.hear(advert(1, skew))
            self.assertTrue(self.machine.news)  # a master that was not known
            self.decide()
            self.assertEqual(self.claims(), taken, skew)
            if not taken:  # it is known now
                self.hear(advert(1, skew))
                self.assertFalse(self.machine.news)

    def test_noPreempt(self) -> None:
        """Without preempt a slower master stays, and resets the timer."""
        self.backup()
        self.now += 2
        self.hear(advert(1, 254))
        self.decide()
        self.assertFalse(self.claims())
        self.assertEqual(self.vhost.downAt, START + 2 + 3.25)

    def test_goodbye(self) -> None:
        """255/255 is a goodbye: the backup is master at once, preempt or not."""
        self.backup()
        self.hear(advert())
        self.hear(GOODBYE)
        (said,) = self.decide()
        self.assertTrue(self.claims())
        self.assertEqual(said.advbase, 1)

    def test_tooSlow(self) -> None:
        """So is any that will be taken for dead before its next one; the longest interval that will not is not."""
        self.backup()
        self.hear(advert(3))
        self.decide()
        self.assertFalse(self.claims())
        self.hear(advert(3, 1))
        self.decide()
        self.assertTrue(self.claims())

    def test_demoted(self) -> None:
        """OpenBSD's demoted master wants to be relieved, however fast it is; one that is not demoted does not."""
        self.backup()
        self.hear(advert(1, 0, demote=0))
        self.decide()
        self.assertFalse(self.claims())
        self.hear(advert(1, 0, demote=1))
        self.decide()
        self.assertTrue(self.claims())

    def test_slowerOfTwo(self) -> None:
        """While a faster master is heard, neither a slower one nor its goodbye makes this one master."""
        self.backup(preempt=True)
        self.hear(advert(1, 1), last=8)
        for data in (advert(1, 200), GOODBYE):
            self.hear(data, last=9)
            self.decide()
            self.assertFalse(self.claims())
        before = self.vhost.downAt
        self.now += 1
        self.hear(GOODBYE, last=9)
        self.assertEqual(self.vhost.downAt, before)
        self.hear(GOODBYE, last=8)
        self.decide()
        self.assertTrue(self.claims())

    def test_fasterOfTwo(self) -> None:
        """A faster master that is heard beside the known one is known from then on: the slower one may say goodbye."""
        self.backup()
        self.hear(advert(1, 200), last=9)
        self.hear(advert(1, 1), last=8)
        self.hear(GOODBYE, last=9)
        self.decide()
        self.assertFalse(self.claims())

    def test_slowerLives(self) -> None:
        """A slower master is one all the same: while it is heard, the timer begins anew."""
        self.backup()
        self.hear(advert(1, 1), last=8)
        self.now += 3
        self.hear(advert(1, 200), last=9)
        for seconds in (3.25, 6.24):
            self.at(seconds)
            self.assertFalse(self.claims())
        self.at(6.25)
        self.assertTrue(self.claims())

    def test_fasterIsGone(self) -> None:
        """When the faster one is silent for too long, the slower one counts."""
        self.backup(preempt=True)
        self.hear(advert(1, 1), last=8)
        self.now += 3.2
        self.hear(advert(1, 200), last=9)
        self.decide()
        self.assertFalse(self.claims())
        self.now += 0.05
        self.hear(advert(1, 200), last=9)
        self.decide()
        self.assertTrue(self.claims())

    def test_late(self) -> None:
        """A node that was late itself believes no silence before a master could be heard; one in time does."""
        self.backup()
        self.at(4.0)
        self.assertFalse(self.claims())
        self.assertEqual(self.effects[0][0], "stalled")
        self.hear(advert())
        self.at(6.5)
        self.assertFalse(self.claims())
        self.at(self.machine.deadline - START)
        self.assertTrue(self.claims())

    def test_unfit(self) -> None:
        """Who is unfit takes no part, whatever is heard; fit again, it does."""
        self.backup()
        self.tell(Judged(GROUP, "checks", Fitness.UNFIT, "out of paper"))
        self.hear(GOODBYE)
        self.assertEqual(self.at(9), [])
        self.assertFalse(self.claims())
        self.tell(Judged(GROUP, "checks", Fitness.FIT))
        self.assertTrue(self.claims())


class MasterTests(VhostTestCase):
    """MASTER."""

    def test_interval(self) -> None:
        """It advertises each advbase + advskew/256 seconds, and not in between."""
        began = self.master()
        for number in range(1, 5):
            due = began + number * 1.25
            self.assertEqual(self.machine.deadline, START + due)
            self.assertEqual(self.at(due - 0.001), [])
            self.assertEqual(len(self.at(due)), 1)

    def test_lateAdvertisement(self) -> None:
        """One that is a little late does not delay the next one; after one that is very late they begin anew."""
        began = self.master()
        self.assertEqual(len(self.at(began + 1.35)), 1)
        self.assertEqual(self.machine.deadline, START + began + 2.5)
        self.assertEqual(len(self.at(began + 60)), 1)
        self.assertEqual(self.machine.deadline, START + began + 61.25)

    def test_counter(self) -> None:
        """The counter goes up by one with each packet, whatever a peer's is."""
        self.master()
        first = self.at(self.machine.deadline - START)[0].counter
        self.hear(advert(1, 200, counter=7_000_000))
        second = self.decide()[0].counter
        self.assertEqual(second, first + 1)

    def test_announcesAgain(self) -> None:
        """The addresses are announced again with the second advertisement after the first, and only then."""
        self.master()
        told = []
        for _ in range(5):
            self.at(self.machine.deadline - START)
            told.append(self.announces())
        self.assertEqual(told, [False, True, False, False, False])

    def test_yieldsToFaster(self) -> None:
        """It yields to a faster master, also without preempt, after one last advertisement; not to a slower one."""
        for skew, yields in ((SKEW - 1, True), (SKEW + 1, False)):
            self.master()
            self.hear(advert(1, skew))
            self.assertTrue(self.machine.news)
            self.decide()
            self.assertEqual(self.yields(), yields)

    def test_last(self) -> None:
        """The last advertisement comes when all is gone, so that the faster one announces the addresses after that."""
        self.master()
        self.hear(advert())
        self.assertEqual(self.decide(), [])
        self.now += 2
        self.assertEqual(self.decide(), [])
        (last,) = self.tell(Gone(GROUP))
        self.assertEqual((last.advbase, last.advskew), (1, SKEW))
        self.assertEqual(self.at(1000), [])

    def test_equal(self) -> None:
        """Of two that are as fast the lower address stays master; the other one says nothing more."""
        for last, yields in ((4, True), (6, False), (250, False)):
            self.master()
            self.hear(advert(1, SKEW), last=last)
            self.decide()
            self.assertEqual(self.yields(), yields, last)
            if yields:
                self.assertEqual(self.tell(Gone(GROUP)), [])

    def test_demotedIsNotFaster(self) -> None:
        """To a demoted one it does not yield, however fast that is."""
        self.master()
        self.hear(advert(1, 0, demote=1))
        self.decide()
        self.assertFalse(self.yields())

    def test_answersSlower(self) -> None:
        """It announces its addresses and advertises at once when it hears a slower master; twice a second at most."""
        self.master()
        self.now += 0.1
        self.hear(advert(1, 200))
        self.assertEqual(len(self.decide()), 1)
        self.assertTrue(self.announces())
        self.assertEqual([e.kind for e in self.effects if isinstance(e, Event)], ["conflict"])
        self.now += 0.1
        self.hear(advert(1, 200))
        self.assertEqual((self.decide(), self.effects), ([], []))
        self.now += 0.4
        self.assertEqual(len(self.decide()), 1)

    def test_goodbyeOfAnother(self) -> None:
        """A goodbye does not concern a master, but for its addresses, which are announced again."""
        self.master()
        before = self.machine.deadline
        self.hear(GOODBYE)
        self.assertEqual((self.decide(), self.effects), ([], []))
        self.assertEqual(self.machine.deadline, before)
        self.at(before - START)
        self.assertTrue(self.announces())

    def test_stop(self) -> None:
        """A master that stops advertises until all is gone, and then says goodbye, once."""
        began = self.master()
        self.assertEqual(self.tell(Stopped()), [])
        self.assertTrue(self.yields())
        self.assertEqual(len(self.at(began + 1.25)), 1)
        (last,) = self.tell(Gone(GROUP))
        self.assertEqual((last.advbase, last.advskew), (255, 255))
        self.assertTrue(self.machine.over)
        self.assertEqual(self.at(1000), [])

    def test_stopOfBackup(self) -> None:
        """A backup that stops says nothing."""
        self.backup()
        self.assertEqual(self.tell(Stopped()), [])
        self.assertTrue(self.machine.over)

    def test_drained(self) -> None:
        """A master that is drained, or unfit, lets go and says goodbye; it takes nothing until that is over."""
        for report, back in (
            (Drained(True), Drained(False)),
            (Judged(GROUP, "x", Fitness.UNFIT, "no"), Judged(GROUP, "x", Fitness.FIT)),
        ):
            self.master()
            self.tell(report)
            self.assertTrue(self.yields())
            self.assertEqual(self.vhost.standing.cause, Cause.UNFIT)
            (last,) = self.tell(Gone(GROUP))
            self.assertEqual(last.advbase, 255)
            self.hear(GOODBYE)
            self.decide()
            self.assertFalse(self.claims())
            self.tell(back)
            self.assertTrue(self.claims())

    def test_degraded(self) -> None:
        """Who is less fit advertises with a skew of 240 at least, at once, and yields to those that are fit."""
        self.master()
        (said,) = self.tell(Judged(GROUP, "memory", Fitness.DEGRADED, "disk full"))
        self.assertEqual(said.advskew, 240)
        self.assertEqual(self.tell(Judged(GROUP, "memory", Fitness.DEGRADED, "disk fuller")), [])
        self.hear(advert(1, 100))
        self.decide()
        self.assertTrue(self.yields())

    def test_refused(self) -> None:
        """What cannot be acquired is let go of with a goodbye; while another is master it is not tried again soon."""
        self.backup(preempt=True)
        self.at(3.25)
        self.tell(NotHeld(GROUP, "no"))
        self.assertEqual(self.tell(Gone(GROUP))[0].advbase, 255)
        for _ in range(5):
            self.now += 1
            self.hear(advert(1, 200))
            self.decide()
            self.assertFalse(self.claims())

    def test_retries(self) -> None:
        """If nobody else is master, it tries again sooner, but not before somebody else could be."""
        self.backup()
        self.at(3.25)
        self.tell(NotHeld(GROUP, "no"))
        self.tell(Gone(GROUP))
        self.at(3.25 + 3.24)
        self.assertFalse(self.claims())
        self.at(3.25 + 3.25)
        self.assertTrue(self.claims())

    def test_staleTimer(self) -> None:
        """The timer of a master does nothing once it is backup, nor that of a backup once it is master."""
        began = self.master()
        self.hear(advert())
        self.decide()
        self.tell(Gone(GROUP))
        self.hear(advert())
        self.assertEqual(self.at(began + 1.25), [])
        self.assertEqual(self.effects, [])
        self.master()
        self.at(3.25 + 3.25)
        self.assertFalse(self.claims())

    def test_fenced(self) -> None:
        """After its guard has fired it begins anew: it listens, and says no second goodbye."""
        self.master()
        self.tell(Fenced("late"))
        self.assertTrue(self.yields())
        self.assertEqual(self.tell(Gone(GROUP)), [])
        self.assertEqual(self.machine.deadline, self.now + 3.25)

    def test_fencedByHalf(self) -> None:
        """A guard that cannot release everything says no goodbye, so this node does."""
        self.master(guardable=False)
        self.assertEqual(self.machine.farewells(GROUP), [])
        self.tell(Fenced("late"))
        self.assertEqual(self.tell(Gone(GROUP))[0].advbase, 255)

    def test_farewell(self) -> None:
        """What the guard says is a goodbye that others believe."""
        self.master()
        (packet,) = self.machine.farewells(GROUP)
        self.assertEqual((packet.link, packet.source, packet.destination), (LINK, own(5), None))
        said = decode(packet.data)
        self.assertEqual((said.advbase, said.advskew), (255, 255))
        self.assertTrue(SEAL.verify(said.counter, said.digest))

    def test_until(self) -> None:
        """It may hold until just before others, who have heard its last advertisement, can take over."""
        self.master()
        self.assertEqual(self.machine.until("held", START), START + 2 - 0.25)
        self.tell(Judged(GROUP, "memory", Fitness.DEGRADED, "disk full"))
        self.assertEqual(self.machine.until("held", START), START + 2 - 240 / 256)

    def test_eachLink(self) -> None:
        """With addresses of both families each link gets its packet, and either one's are heard."""
        links = {LINK: own(5), "eth0,raw6": own(5)}
        self.master(links=links)
        self.now = self.machine.deadline
        self.machine.decide(self.now)
        sent: Sequence[Outgoing] = self.machine.outgoing(self.now)
        self.assertEqual([packet.link for packet in sent], [LINK, "eth0,raw6"])
        self.machine.receive(Packet(advert(), "eth0,raw6", own(9), HOPS), self.now)
        self.decide()
        self.assertTrue(self.yields())


class ChangeTests(VhostTestCase):
    """Groups come, go and change."""

    def change(self, *vhosts: Any) -> list[CarpPacket]:
        self.machine.change(CarpRules("c", "n", vhosts), self.now, {})
        return self.decide()

    def test_goes(self) -> None:
        """One that goes is let go of with a goodbye, and forgotten; until then it cannot come back."""
        self.master()
        self.change()
        self.assertTrue(self.yields())
        self.assertRaises(
            ValueError, self.machine.change, CarpRules("c", "n", (rules(5),)), self.now, {}
        )
        (last,) = self.tell(Gone(GROUP))
        self.assertEqual(last.advbase, 255)
        self.assertEqual(list(self.machine.groups), [])
        self.change(rules(5))
        self.assertEqual(list(self.machine.groups), [GROUP])

    def test_comes(self) -> None:
        """One that comes begins as at a start."""
        self.backup()
        self.change(rules(5), rules(5, name="h", vhid=43))
        released = [effect.group for effect in self.effects if isinstance(effect, Release)]
        self.assertEqual(released, ["h"])

    def test_changes(self) -> None:
        """A master says at once what is new of it."""
        self.master()
        (said,) = self.change(rules(5, advbase=2, advskew=3, password=b"other"))
        self.assertEqual((said.advbase, said.advskew), (2, 3))
        self.assertTrue(Seal(b"other", VHID, [SHARED]).verify(said.counter, said.digest))
        self.assertFalse(self.yields())

    def test_vhid(self) -> None:
        """Another vhid is heard from then on, and the former one is not."""
        self.backup()
        self.change(rules(5, vhid=43))
        self.assertRaises(BadPacket, self.hear, advert())


class HeapTests(VhostTestCase):
    """Each virtual host has its own deadline."""

    def test_deadlines(self) -> None:
        """Of 250 the next deadline is that of the machine, and only who is due is decided."""
        vhosts = [rules(5, name=f"g{n}", vhid=n, advskew=n) for n in range(1, 251)]
        machine = CarpMachine(CarpRules("c", "n", tuple(vhosts)), 1, START)
        machine.decide(START)
        for vhost in vhosts:
            machine.tell(Gone(vhost.name), START)
        machine.decide(START)
        for number in range(1, 251):
            self.assertEqual(machine.deadline, START + 3 + number / 256)
            effects = machine.decide(machine.deadline)
            self.assertEqual([e.group for e in effects if isinstance(e, Hold)], [f"g{number}"])
            self.assertEqual(len(machine.outgoing(START)), 1)
