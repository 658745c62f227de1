"""
Tests for L{hatwist.protocols.vrrp.machine}: the rules of RFC 9568, section 6.4, and of RFC 3768 for version 2.

Each rule has one test of what it demands and one of what it does not. Host 1 has 10.99.0.1, and so on.
"""

from __future__ import annotations

from ipaddress import ip_address
from itertools import pairwise
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.effects import Announce, Hold, Leased, Persist, Release, RoleChange
from hatwist.core.packet import Packet
from hatwist.core.reports import Drained, Fenced, Judged, MoveWanted, NotHeld, Stopped
from hatwist.core.states import State
from hatwist.core.worth import Fitness
from hatwist.protocols.vrrp.packet import GROUPS, OWNER, RESIGN, VrrpAdvert
from hatwist.protocols.vrrp.rules import VrrpRules
from hatwist.protocols.vrrp.timing import SLOTS, hold, masterDown
from hatwist.protocols.vrrp.voice import ANSWERS
from tests.vrrp import ACT, GROUP, VIP, VIP6, Host, Network, advert, rules

I = 0.1  # noqa: E741
DOWN = masterDown(3, 100, I)
SKEW = I * 156 / 256
HELD = 6.0
"""After so many seconds a host that is alone holds, and has for a while."""


class Scene(SynchronousTestCase):
    """One host under test, number 5, priority 100, and what others say to it."""

    def setUp(self) -> None:
        self.network = Network()

    def host(self, **more: Any) -> Host:
        """It was started just now."""
        return self.network.host("n", rules(5, **more))

    def backup(self, **more: Any) -> Host:
        """It has just been told of a master of priority 200."""
        host = self.host(**more)
        self.network.run(0.1)
        self.hear(host, 200, **more)
        return host

    def master(self, **more: Any) -> Host:
        """It is master, on its own, and has just advertised."""
        host = self.host(**more)
        self.network.run(HELD)
        count = len(host.said())
        self.network.run(5.0, lambda: len(host.said()) > count)
        self.assertEqual(self.network.holders(), ["n"])
        return host

    def hear(self, host: Host, priority: int, number: int = 9, **more: Any) -> None:
        """Another router says this priority, and it is heard at once."""
        host.receive(self.says(priority, number, **more))
        self.network.run(0.0)

    def says(self, priority: int, number: int = 9, **more: Any) -> Packet:
        """What host C{number} says, which is configured as this one."""
        more = {key: value for key, value in more.items() if key not in ("preempt", "owner")}
        return advert(rules(number, **more), priority)

    @property
    def now(self) -> float:
        return self.network.now

    def fresh(self) -> float:
        """What happens now is later than all that has happened."""
        self.network.run(1e-6)
        return self.now

    def assertClaims(self, host: Host, at: float) -> None:
        """It is backup until then, and master from then on."""
        self.assertEqual(host.of(Hold), [])
        self.network.run(at - self.now - 1e-9)
        self.assertEqual(host.of(Hold), [])
        self.network.run(2e-9)
        self.assertEqual(len(host.of(Hold)), 1)


class StartTests(Scene):
    """6.4.1: Initialize."""

    def test_ownerStartsAsMaster(self) -> None:
        """An owner is master at once, and says 255."""
        host = self.host(owner=True)
        self.network.run(ACT + 1e-6)
        self.assertEqual(host.priorities(), [OWNER])
        self.assertEqual(len(host.of(Hold)), 1)

    def test_othersStartAsBackup(self) -> None:
        """Any other is backup, for three intervals and its skew."""
        host = self.host(priority=254)
        self.assertClaims(host, self.now + ACT + masterDown(3, 254, I))

    def test_nothingBeforeClean(self) -> None:
        """It waits from when it is clean: what an earlier run left is released first."""
        host = self.network.host("n", rules(5), act=7.0)
        self.network.run(7.0)
        self.assertEqual((host.of(Release), host.said()), ([Release(GROUP)], []))
        self.assertClaims(host, 1007.0 + DOWN)

    def test_version2(self) -> None:
        """In version 2 the skew is of a second."""
        host = self.host(version=2, interval=1.0, priority=1)
        self.assertClaims(host, self.now + ACT + 3.0 + 255 / 256)


class BackupTests(Scene):
    """6.4.2: Backup."""

    def test_timerFires(self) -> None:
        """When the timer fires: an advertisement, the addresses, and only then are they announced."""
        host = self.backup()
        at = self.now + DOWN
        self.assertClaims(host, at)
        self.assertEqual(host.priorities(), [100])
        ((sentAt, _),) = host.said()
        self.assertAlmostEqual(sentAt, at, 9)
        self.network.run(ACT)
        self.assertEqual(self.network.holders(), ["n"])

    def test_timerDoesNotFireBefore(self) -> None:
        """While a master is heard in time, a backup says and holds nothing."""
        host = self.backup()
        for _ in range(20):
            self.network.run(DOWN - 1e-6)
            self.hear(host, 200)
        self.assertEqual((host.said(), host.of(Hold)), ([], []))

    def test_neverAdvertises(self) -> None:
        """A backup is silent, whatever it hears."""
        host = self.backup()
        for priority in (200, 100, 50, 1):
            self.hear(host, priority)
            self.network.run(0.01)
        self.assertEqual(host.said(), [])

    def test_priorityZero(self) -> None:
        """A master that resigns is followed after exactly the skew, here of priority 254 at 0.01 s: 0.08 ms."""
        fast: dict[str, Any] = {"priority": 254, "interval": 0.01}
        host = self.host(**fast)
        self.network.run(0.02)
        host.receive(advert(rules(9, 255, interval=0.01), 254))
        self.network.run(0.005)
        host.receive(advert(rules(9, interval=0.01), RESIGN))
        self.network.run(0)
        self.assertClaims(host, self.now + 0.01 * 2 / 256)
        self.assertEqual(host.reasons()[-1:], ["started, listening"])
        self.network.run(ACT)
        self.assertEqual(host.reasons()[-1], "the master resigned")

    def test_priorityZeroOnce(self) -> None:
        """Who resigns again and again, as a guard may, does not keep others from taking over."""
        host = self.backup()
        self.hear(host, RESIGN)
        at = self.now + SKEW
        for _ in range(5):
            self.network.run(SKEW / 10)
            self.hear(host, RESIGN)
        self.assertClaims(host, at)

    def test_priorityZeroAndAnother(self) -> None:
        """Where another master is heard meanwhile, nothing is taken."""
        host = self.backup()
        self.hear(host, RESIGN)
        self.network.run(SKEW / 2)
        self.hear(host, 200, 8)
        self.network.run(DOWN - 1e-6)
        self.assertEqual(host.of(Hold), [])

    def test_resets(self) -> None:
        """The same or a higher priority puts the timer off by all of it."""
        for priority in (100, 101, 254, 255):
            self.network = Network()
            host = self.backup()
            self.network.run(DOWN - 0.01)
            self.hear(host, priority)
            self.assertClaims(host, self.now + DOWN)

    def test_lowerWithPreempt(self) -> None:
        """A lower priority does not: the timer goes on."""
        host = self.backup()
        at = self.now + DOWN
        for _ in range(3):
            self.network.run(I)
            self.hear(host, 99)
        self.assertClaims(host, at)
        self.network.run(ACT)
        self.assertEqual(host.reasons()[-1], "10.99.0.9 has the lower priority 99")

    def test_lowerWithoutPreempt(self) -> None:
        """Without preempt it does, also where it comes from a start."""
        host = self.host(preempt=False)
        self.network.run(0.1)
        for _ in range(30):
            self.network.run(I)
            self.hear(host, 1)
        self.assertClaims(host, self.now + DOWN)

    def test_ownerPreempts(self) -> None:
        """An owner that lost it takes it back, whatever preempt says."""
        host = self.master(owner=True, preempt=False)
        host.tell(Judged(GROUP, "t", Fitness.UNFIT, "told so"))
        self.network.run(1.0)
        self.hear(host, 200)
        host.tell(Judged(GROUP, "t", Fitness.FIT))
        since = self.now
        self.network.run(0.01)
        self.assertEqual(len(host.of(Hold, since)), 1)

    def test_ownerGoesOnPreempting(self) -> None:
        """An owner that gave way to another owner, which is wrong, does not wait for any lower master after that."""
        host = self.master(owner=True, preempt=False)
        self.hear(host, OWNER)
        self.network.run(ACT)
        self.assertEqual(self.network.holders(), [])
        since = self.fresh()
        for _ in range(5):
            self.hear(host, 200)
            self.network.run(I)
        self.assertEqual(len(host.of(Hold, since)), 1)

    def test_preemptDelayBeginsAnew(self) -> None:
        """A higher master ends the delay: the next lower one is left alone for all of it."""
        host = self.host(preemptDelay=5.0)
        for priority, seconds in ((50, 4), (200, 2), (50, 4)):
            for _ in range(10 * seconds):
                self.hear(host, priority)
                self.network.run(I)
        self.assertEqual(host.of(Hold), [])

    def test_preemptDelay(self) -> None:
        """A master of a lower priority is left alone for the delay, and then not waited for any more."""
        host = self.host(preemptDelay=5.0)
        self.network.run(0.1)
        began = self.now
        while not host.of(Hold):
            self.hear(host, 50)
            self.network.run(I)
        self.assertTrue(5.0 <= self.now - began <= 5.0 + DOWN + 2 * I, self.now - began)

    def test_preemptDelayOfNobody(self) -> None:
        """A master that dies is followed without any delay."""
        host = self.host(preemptDelay=5.0)
        self.network.run(0.1)
        self.hear(host, 50)
        self.assertClaims(host, self.now + DOWN)

    def test_adoptsInterval(self) -> None:
        """In version 3 a backup waits by the master's interval, be it longer or shorter, and speaks by its own."""
        for theirs in (0.5, 0.02):
            self.network = Network()
            host = self.host()
            self.network.run(0.1)
            self.hear(host, 200, interval=theirs)
            self.assertClaims(host, self.now + masterDown(3, 100, theirs))
            self.assertEqual(host.said()[0][1].advert.interval, I)

    def test_keepsInterval2(self) -> None:
        """In version 2 another interval is dropped, and moves no timer."""
        host = self.host(version=2, interval=1.0)
        self.network.run(0.1)
        self.hear(host, 200, version=2, interval=1.0)
        at = self.now + masterDown(2, 100, 1.0)
        self.network.run(1.0)
        self.hear(host, 200, version=2, interval=3.0)
        self.assertEqual(host.bad, ["interval"])
        self.assertClaims(host, at)

    def test_standstill(self) -> None:
        """Who stood still, and could hear nobody, waits for one more word before it believes its timer, once."""
        host = self.backup()
        host.freeze(2.0)
        self.network.run(2.0)
        self.assertClaims(host, self.now + I + SKEW)

    def test_standstillTwice(self) -> None:
        """It waits once: who hears nobody after that takes over, though it stood still again."""
        host = self.backup()
        host.freeze(2.0)
        self.network.run(2.0)
        host.freeze(2.0)
        self.network.run(2.0 + 1e-6)
        self.assertEqual(len(host.of(Hold)), 1)

    def test_standstillOfNobody(self) -> None:
        """A timer that is late by less than an interval is believed at once."""
        host = self.backup()
        host.freeze(DOWN + 0.9 * I)
        self.network.run(DOWN + 0.9 * I + 1e-6)
        self.assertEqual(len(host.of(Hold)), 1)


class MasterTests(Scene):
    """6.4.3: Active, or Master."""

    def test_advertises(self) -> None:
        """Once in an interval, and never later."""
        host = self.master()
        since = self.now
        self.network.run(2.0)
        times = [at for at, _ in host.said(since)]
        gaps = [b - a for a, b in pairwise(times)]
        self.assertEqual(len(times), 21)
        for gap in gaps:
            self.assertAlmostEqual(gap, I, 9)
        ((_, first), *_) = host.said()
        self.assertEqual(first.advert, VrrpAdvert(3, 51, 100, I, (VIP,)))

    def test_firstInterval(self) -> None:
        """After the first advertisement the next one comes within an interval."""
        for vrid in range(1, SLOTS + 1):
            self.network = Network()
            host = self.host(vrid=vrid)
            self.network.run(1.0)
            (one, _), (two, _), (three, _), *_ = host.said()
            self.assertTrue(0 < two - one <= I + 1e-9, (vrid, one, two))
            self.assertAlmostEqual(three - two, I, 9)

    def test_priorityZero(self) -> None:
        """Another one's priority 0 is answered at once."""
        host = self.master()
        self.network.run(I / 3)
        since = self.now
        self.hear(host, RESIGN)
        self.assertEqual([at for at, _ in host.said(since)], [since])
        self.assertEqual(host.priorities(since), [100])
        self.assertEqual(self.network.holders(), ["n"])

    def test_forgetsTheIntervalOfOthers(self) -> None:
        """Who was master itself waits by its own interval afterwards, and not by that of the master before it."""
        host = self.host()
        self.network.run(0.1)
        self.hear(host, 200, interval=0.5)
        self.network.run(3.0)
        self.assertEqual(self.network.holders(), ["n"])
        host.tell(Drained(True))
        self.network.run(2 * ACT)
        host.tell(Drained(False))
        since = self.fresh()
        self.network.run(DOWN)
        self.assertEqual(len(host.of(Hold, since)), 1)

    def test_priorityZeroIsNoAlarm(self) -> None:
        """It changes nothing else: the next one comes within an interval, and nobody is told."""
        host = self.master()
        self.network.run(I / 3)
        since, effects = self.now, len(host.effects)
        self.hear(host, RESIGN)
        self.network.run(I)
        self.assertEqual(len(host.said(since)), 2)
        self.assertEqual(host.effects[effects:], [])

    def test_higherPriority(self) -> None:
        """A higher priority makes it backup, whatever preempt says."""
        for preempt in (True, False):
            self.network = Network()
            host = self.master(preempt=preempt)
            self.hear(host, 101, 2)
            self.network.run(ACT)
            self.assertEqual(self.network.holders(), [])
            self.assertEqual(host.reasons()[-1], "10.99.0.2 has priority 101")
            self.assertEqual(host.machine.routers[GROUP].standing.state, State.STANDBY)

    def test_lowerPriority(self) -> None:
        """A lower one is dropped, and answered at once."""
        host = self.master()
        self.network.run(I / 3)
        since = self.now
        self.hear(host, 99, 250)
        self.assertEqual([at for at, _ in host.said(since)], [since])
        self.assertEqual(self.network.holders(), ["n"])

    def test_equalPriority(self) -> None:
        """The greater address wins, as an unsigned number, whatever preempt says."""
        for preempt in (True, False):
            for other, stays in (
                ("10.99.0.4", True),
                ("10.99.0.6", False),
                ("9.255.0.0", True),
                ("200.0.0.1", False),
            ):
                self.network = Network()
                host = self.master(preempt=preempt)
                self.hear(host, 100, source=ip_address(other))
                self.network.run(ACT)
                self.assertEqual(bool(self.network.holders()), stays, other)

    def test_equalPriority6(self) -> None:
        """By IPv6, too: fe80:: and the greatest interface identifier is greater than any other."""
        for other, stays in (("fe80::4", True), ("fe80::ffff:ffff:ffff:ffff", False)):
            self.network = Network()
            host = self.master(addresses=VIP6)
            self.hear(host, 100, source=ip_address(other), addresses=VIP6)
            self.network.run(ACT)
            self.assertEqual(bool(self.network.holders()), stays, other)

    def test_higherWhileAcquiring(self) -> None:
        """It gives way also before everything is held."""
        host = self.backup()
        self.network.run(DOWN + ACT / 2)
        self.assertEqual((len(host.of(Hold)), self.network.holders()), (1, []))
        self.hear(host, 200)
        self.network.run(1.0, lambda: host.of(Release)[1:])
        self.network.run(ACT)
        self.assertEqual(self.network.transcript, [])

    def test_waitsByTheInterval(self) -> None:
        """Who gave way waits by the interval of whom it gave way to."""
        host = self.master()
        self.hear(host, 200, interval=0.5)
        since = self.now
        self.network.run(masterDown(3, 100, 0.5) - 1e-6)
        self.assertEqual(host.of(Hold, since), [])
        self.network.run(2e-6)
        self.assertEqual(len(host.of(Hold, since)), 1)

    def test_staleTimer(self) -> None:
        """Who gave way does not advertise any more, though its timer was set; and no timer of a backup claims."""
        host = self.master()
        self.hear(host, 200)
        self.network.run(ACT)
        since = self.fresh()
        for _ in range(30):
            self.network.run(I)
            self.hear(host, 200)
        self.assertEqual((host.said(since), host.of(Hold, since)), ([], []))

    def test_staleAnswer(self) -> None:
        """What was to be answered is not, when a higher one is heard before it could be."""
        host = self.master()
        self.network.run(I / 3)
        since = self.now
        host.receive(self.says(50, 8))
        host.receive(self.says(200, 9))
        self.network.run(0)
        self.assertEqual(host.said(since), [])
        self.network.run(ACT)
        self.assertEqual(self.network.holders(), [])

    def test_lastWord(self) -> None:
        """
        Who held and gave way says its own priority once more when nothing is held any more, and never 0: whoever
        it gave way to announces the addresses again, as keepalived and this do.
        """
        host = self.master()
        self.hear(host, 200)
        since = self.fresh()
        self.network.run(ACT / 2)
        self.assertEqual(host.said(since), [])
        self.network.run(ACT)
        self.assertEqual(host.priorities(since), [100])
        self.network.run(I)
        self.assertEqual(len(host.said(since)), 1)

    def test_noLastWord(self) -> None:
        """Who held nothing yet, or gave way to one that resigned meanwhile, says nothing."""
        host = self.backup()
        self.network.run(DOWN + ACT / 2)
        self.hear(host, 200)
        since = self.now
        self.network.run(I)
        self.assertEqual(host.said(since), [])
        self.network = Network()
        host = self.master()
        since = self.fresh()
        self.hear(host, 200)
        self.hear(host, RESIGN)
        self.network.run(2 * ACT)
        self.assertEqual(host.said(since), [])

    def test_reflected(self) -> None:
        """Its own packets that come back, of any priority, bring about nothing; those of another host do."""
        host = self.master()
        effects, sent = len(host.effects), len(self.network.sent)
        for priority in (RESIGN, 50, 100, 200):
            self.hear(host, priority, 5)
        self.assertEqual(host.bad, ["reflected"] * 4)
        self.assertEqual((len(host.effects), len(self.network.sent)), (effects, sent))
        self.hear(host, 200, 6)
        self.network.run(ACT)
        self.assertEqual(self.network.holders(), [])

    def test_flood(self) -> None:
        """Whoever floods a master is answered so many times in an interval, and not more."""
        host = self.master()
        since = self.now
        for _ in range(1000):
            self.hear(host, 50)
            self.network.run(I / 1000)
        self.assertTrue(ANSWERS / 2 <= len(host.said(since)) <= ANSWERS + 1)


class ConflictTests(Scene):
    """Two masters, as after a cut."""

    def test_announces(self) -> None:
        """The addresses are announced when another master is met, and when it is gone; each once."""
        host = self.master()
        since = self.now
        for _ in range(5):
            self.hear(host, 50)
            self.network.run(I)
        self.assertEqual(host.of(Announce, since), [Announce(GROUP)])
        self.assertEqual(
            host.events(since),
            ["conflict 10.99.0.9: holds too, with priority 50; it has to give way"],
        )
        self.network.run(4 * I)
        self.assertEqual(host.announced(since), 2)
        self.assertEqual(
            host.events(since)[1:], ["conflict-over 10.99.0.9: the addresses are announced again"]
        )

    def test_again(self) -> None:
        """Each tenure has its own conflicts: one with the same router as before is told, and announced, again."""
        host = self.master()
        self.hear(host, 50)
        host.tell(Drained(True))
        self.network.run(2 * ACT)
        host.tell(Drained(False))
        self.network.run(DOWN + I + 0.01)
        self.assertEqual(self.network.holders(), ["n"])
        since = self.fresh()
        self.hear(host, 50)
        self.assertEqual((len(host.events(since)), host.announced(since)), (1, 1))

    def test_resigned(self) -> None:
        """One that resigns is gone at once."""
        host = self.master()
        self.hear(host, 50)
        since = self.now
        self.hear(host, RESIGN)
        self.network.run(2 * I)
        self.assertEqual(host.announced(since), 2)

    def test_preempted(self) -> None:
        """Who has just been preempted, and says so, is no conflict for the log."""
        host = self.backup()
        self.network.run(DOWN + ACT + 1e-6)
        since = self.now
        self.hear(host, 50)
        self.assertEqual((host.events(since), host.announced(since)), ([], 1))


class ShutdownTests(Scene):
    """6.4: Shutdown, and whatever else ends a master of its own accord."""

    def test_stop(self) -> None:
        """A master that is stopped says priority 0 once, when it holds nothing any more."""
        host = self.master()
        since = self.fresh()
        host.tell(Stopped())
        self.network.run(ACT - 1e-6)
        self.assertEqual(host.said(since), [])
        self.network.run(2 * I)
        ((at, reading),) = host.said(since)
        self.assertEqual(reading.advert.priority, RESIGN)
        self.assertGreaterEqual(at, self.network.transcript[-1][0])
        self.assertTrue(host.machine.over)

    def test_stopOfABackup(self) -> None:
        """A backup that is stopped says nothing."""
        host = self.backup()
        host.tell(Stopped())
        self.network.run(1.0)
        self.assertEqual(host.said(), [])
        self.assertTrue(host.machine.over)

    def test_slowRelease(self) -> None:
        """While it still holds it goes on to advertise, so that nobody takes it, and resigns when it is done."""
        host = self.master()
        host.act = 1.0
        since = self.fresh()
        host.tell(Stopped())
        self.network.run(1.2)
        said = host.priorities(since)
        self.assertEqual((said[:-1], said[-1]), ([100] * 10, RESIGN))

    def test_unfit(self) -> None:
        """One that is unfit resigns, and takes no part; one that is fit again begins as at a start."""
        host = self.master()
        since = self.fresh()
        host.tell(Judged(GROUP, "t", Fitness.UNFIT, "no carrier"))
        self.network.run(5.0)
        self.assertEqual(host.priorities(since), [RESIGN])
        self.assertEqual(host.reasons()[-1], "released: no carrier")
        self.hear(host, RESIGN)
        self.network.run(5.0)
        since = self.now
        self.assertEqual(self.network.holders(), [])
        host.tell(Judged(GROUP, "t", Fitness.FIT))
        self.network.run(0)
        self.network.run(DOWN - 1e-9)
        self.assertEqual(host.of(Hold, since), [])
        self.network.run(2e-9)
        self.assertEqual(len(host.of(Hold, since)), 1)

    def test_degraded(self) -> None:
        """One that is degraded takes part, with its priority: VRRP has no other word."""
        host = self.master()
        host.tell(Judged(GROUP, "t", Fitness.DEGRADED, "slow"))
        since = self.fresh()
        self.network.run(1.0)
        self.assertEqual(set(host.priorities(since)), {100})

    def test_fitAgainHearsOthers(self) -> None:
        """One that is fit again waits by the interval of the master that it heard meanwhile."""
        host = self.host()
        host.tell(Judged(GROUP, "t", Fitness.UNFIT, "no carrier"))
        self.network.run(0.1)
        self.hear(host, 200, interval=1.0)
        self.network.run(0.5)
        host.tell(Judged(GROUP, "t", Fitness.FIT))
        self.network.run(0.45)
        self.hear(host, 200, interval=1.0)
        self.assertEqual(host.of(Hold), [])

    def test_drain(self) -> None:
        """A drain hands over, and an undrain takes part again."""
        host = self.master()
        since = self.fresh()
        host.tell(Drained(True))
        self.network.run(1.0)
        self.assertEqual(host.priorities(since), [RESIGN])
        self.assertTrue(host.machine.picture(self.now).drained)
        host.tell(Drained(False))
        self.network.run(1.0)
        self.assertEqual(self.network.holders(), ["n"])

    def test_refused(self) -> None:
        """What cannot be acquired is resigned at once, and tried again later, also where a lower one holds it."""
        host = self.host()
        host.refusing = True
        self.network.run(DOWN + 3 * ACT)
        self.assertEqual(host.priorities(), [100, RESIGN])
        since = self.now
        for _ in range(5):
            self.hear(host, 50)
            self.network.run(I)
        self.assertEqual(host.of(Hold, since), [])
        host.refusing = False
        self.network.run(10.0, lambda: self.network.holders())
        self.assertEqual(self.network.holders(), ["n"])

    def test_refusedAlone(self) -> None:
        """Where nobody else holds it, it is tried again before the back-off is over."""
        host = self.host()
        host.refusing = True
        self.network.run(60.0)
        self.assertGreater(len(host.of(Hold)), 30)
        self.assertLess(len(host.of(Hold)), 120)

    def test_lost(self) -> None:
        """What is lost is resigned."""
        host = self.master()
        since = self.fresh()
        host.tell(NotHeld(GROUP, "taken away"))
        self.network.run(I)
        self.assertEqual(host.priorities(since), [RESIGN])
        self.assertIn("acquire-failed : taken away", host.events(since))

    def test_stopWhileGivingWay(self) -> None:
        """Who gives way to another one does not resign, though it is stopped meanwhile."""
        host = self.master()
        since = self.fresh()
        self.hear(host, 200)
        host.tell(Stopped())
        self.network.run(I)
        self.assertNotIn(RESIGN, host.priorities(since))
        self.assertTrue(host.machine.over)


class GuardTests(Scene):
    """What the guard does in its place."""

    def test_farewell(self) -> None:
        """It says priority 0, whole and with its checksum."""
        host = self.master()
        (packet,) = host.machine.farewells(GROUP)
        self.assertEqual(packet.data, advert(rules(5), RESIGN).data)
        self.assertEqual((packet.source, packet.destination), (rules(5).source, GROUPS[4]))

    def test_farewellsOfPeers(self) -> None:
        """One for each peer, each with its own checksum."""
        peers = (ip_address("10.99.0.8"), ip_address("10.99.0.9"))
        host = self.host(peers=peers)
        one, two = host.machine.farewells(GROUP)
        self.assertEqual((one.destination, two.destination), peers)
        self.assertNotEqual(one.data, two.data)

    def test_noFarewell(self) -> None:
        """None where the guard cannot release everything."""
        host = self.host(guardable=False)
        self.assertEqual(host.machine.farewells(GROUP), [])

    def test_fired(self) -> None:
        """When it fired, nothing is said: it has; the node begins anew."""
        host = self.master()
        since = self.fresh()
        host.tell(Fenced("the guard released it"))
        self.network.run(DOWN)
        self.assertEqual(host.said(since), [])
        self.assertEqual(
            host.of(RoleChange, since)[0][2:],
            (Role.ACTIVE, Role.STANDBY, 1, "the guard released it"),
        )
        self.network.run(0.1)
        self.assertEqual(self.network.holders(), ["n"])

    def test_firedInVain(self) -> None:
        """Where it could not release everything, the node does, and resigns itself."""
        host = self.master(guardable=False)
        since = self.fresh()
        host.tell(Fenced("the guard released it"))
        self.network.run(2 * ACT)
        self.assertEqual(host.priorities(since), [RESIGN])

    def test_lease(self) -> None:
        """It ends before any backup takes over, counted from the last advertisement, and goes on with each."""
        host = self.master()
        lease = str(rules(5).beat)
        first = host.machine.until(lease, self.now)
        ((sentAt, _),) = host.said(self.now)
        self.assertAlmostEqual(first, sentAt + hold(I, None), 6)
        self.assertLess(first, sentAt + masterDown(3, 254, I))
        self.network.run(I)
        self.assertAlmostEqual(host.machine.until(lease, self.now), first + I, 6)
        self.assertAlmostEqual(host.machine.until(lease, self.now + 0.9 * I), first + I, 6)


class SendingTests(Scene):
    """What leaves."""

    def test_multicast(self) -> None:
        """To the group of its version of IP, from this host's own address, on its link."""
        for more, group in (({}, 4), ({"addresses": VIP6}, 6)):
            self.network = Network()
            host = self.master(**more)
            packet = self.network.sent[0][2]
            self.assertEqual(packet.destination, GROUPS[group])
            self.assertEqual(packet.source, host.machine.rules.routers[0].source)
            self.assertEqual(packet.link, "eth0")

    def test_unicast(self) -> None:
        """To each peer, and to nobody else."""
        peers = (ip_address("10.99.0.8"), ip_address("10.99.0.9"))
        self.master(peers=peers)
        self.assertEqual({each.destination for _, _, each in self.network.sent}, set(peers))

    def test_priority255(self) -> None:
        """255 is said by an owner, and by nobody else."""
        self.assertEqual(set(self.master(owner=True).priorities()), {OWNER})
        self.network = Network()
        self.assertEqual(set(self.master(priority=254).priorities()), {254})
        with self.assertRaises(ValueError):
            self.host(priority=255)

    def test_sourceIsNotShared(self) -> None:
        """A shared address is never sent from."""
        with self.assertRaises(ValueError) as caught:
            self.host(source=VIP)
        self.assertIn("g: the source 10.99.0.100", str(caught.exception))

    def test_noSource(self) -> None:
        """Without an address of its own it takes no part; with one it does."""
        host = self.host(source=None)
        self.network.run(3.0)
        self.assertEqual((host.said(), host.of(Hold)), ([], []))
        self.assertIn("no IPv4 address of its own", host.events()[0])
        host.change(rules(5))
        self.network.run(3.0)
        self.assertEqual(self.network.holders(), ["n"])

    def test_sourceGone(self) -> None:
        """A master that loses its address lets go."""
        host = self.master()
        host.change(rules(5, source=None))
        self.network.run(1.0)
        self.assertEqual(self.network.holders(), [])

    def test_password(self) -> None:
        """It stands in each packet of version 2."""
        host = self.master(version=2, interval=1.0, password=b"short")
        self.assertEqual({r.advert.password for _, r in host.said()}, {b"short\0\0\0"})


class ChangeTests(Scene):
    """A reload."""

    def test_priority(self) -> None:
        """Another priority is said at once."""
        host = self.master()
        self.network.run(I / 3)
        since = self.now
        host.change(rules(5, 50))
        self.network.run(0)
        self.assertEqual(host.priorities(since), [50])
        self.assertEqual(self.network.holders(), ["n"])

    def test_interval(self) -> None:
        """Another interval is gone by at once, and the lease follows it."""
        host = self.master()
        host.change(rules(5, interval=0.5))
        since = self.now
        self.network.run(5.0)
        self.assertTrue(10 <= len(host.said(since)) <= 12)
        self.assertIn("0.5 s", host.of(Leased, since)[0].lease)

    def test_comesAndGoes(self) -> None:
        """A group that comes begins as at a start; one that goes resigns, and is forgotten."""
        host = self.master()
        host.change(rules(5), rules(5, name="h", vrid=52))
        self.network.run(1.0)
        self.assertEqual(self.network.holders("h"), ["n"])
        since = self.fresh()
        host.change(rules(5, name="h", vrid=52))
        self.network.run(0.01)
        said = [r.advert for _, r in host.said(since) if r.advert.vrid == 51]
        self.assertEqual([each.priority for each in said], [RESIGN])
        self.assertEqual(list(host.machine.groups), ["h"])
        self.network.run(1.0)
        self.assertEqual(self.network.holders("h"), ["n"])

    def test_theLastOneGoes(self) -> None:
        """The only group that goes is forgotten at once, with nothing else to decide, and its last word is said."""
        host = self.master()
        since = self.fresh()
        host.change()
        self.network.run(ACT)
        self.assertEqual((host.priorities(since), list(host.machine.groups)), ([RESIGN], []))
        self.assertEqual(host.machine.deadline, inf)

    def test_backSoon(self) -> None:
        """A group that is still being released does not come back; once it is, it does."""
        host = self.master()
        host.act = 0.5
        host.change()
        for routers in ((rules(5),), (rules(5, name="h"),)):
            with self.assertRaises(ValueError):
                host.change(*routers)
        self.network.run(1.0)
        host.change(rules(5))
        self.network.run(2.0)
        self.assertEqual(self.network.holders(), ["n"])

    def test_identity(self) -> None:
        """What others know a group by stays while it runs, and nothing has changed."""
        host = self.master()
        for more in ({"vrid": 52}, {"version": 2, "interval": 1.0}, {"link": "eth1"}):
            with self.assertRaises(ValueError) as caught:
                host.change(rules(5, **more))
            self.assertIn("take the group out", str(caught.exception))
        with self.assertRaises(ValueError):
            host.change(rules(5, name="h"))
        self.assertEqual(host.machine.rules, VrrpRules("c", "n", (rules(5),)))
        self.network.run(1.0)
        self.assertEqual(self.network.holders(), ["n"])

    def test_problems(self) -> None:
        """What cannot be configured is refused, with every problem."""
        with self.assertRaises(ValueError) as caught:
            self.host(vrid=0, interval=0.0)
        self.assertEqual(len(str(caught.exception).splitlines()), 2)


class MoveTests(Scene):
    """The operator's word."""

    def test_moved(self) -> None:
        """Without preempt a group is handed to whoever is next; this node waits as at a start."""
        host = self.master(preempt=False)
        self.assertEqual(host.machine.hindrance(GROUP, "", self.now), "")
        since = self.fresh()
        host.tell(MoveWanted(GROUP, ""))
        self.network.run(DOWN)
        self.assertEqual(host.priorities(since), [RESIGN])
        self.assertEqual(host.of(Hold, since), [])

    def test_hindrances(self) -> None:
        """VRRP has no successor; what preempts would come back; a backup hands nothing over."""
        host = self.master()
        self.assertIn("names no successor", host.machine.hindrance(GROUP, "b", self.now))
        self.assertIn("would come back", host.machine.hindrance(GROUP, "", self.now))
        effects = len(host.effects)
        for to in ("", "b"):
            host.tell(MoveWanted(GROUP, to))
        self.network.run(0.001)
        self.assertEqual(host.effects[effects:], [])
        self.network = Network()
        host = self.backup(preempt=False)
        self.assertIn("not held here", host.machine.hindrance(GROUP, "", self.now))


class TermTests(Scene):
    """Terms are this node's own, and rise over restarts."""

    def test_rise(self) -> None:
        """No term is given twice, after a restart neither."""
        host = self.master()
        record = host.of(Persist)[-1].record
        (hold_,) = host.of(Hold)
        self.assertGreaterEqual(record.reserved, hold_.term)
        again = self.network.host("again", rules(6, name=GROUP), records={GROUP: record})
        host.kill()
        self.network.hosts.remove(host)
        self.network.run(HELD)
        self.assertGreater(again.of(Hold)[0].term, record.reserved)
