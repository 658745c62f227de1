"""The lab itself: what it says of a fault must be so."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from hatwist.lab.capture import Capture, Frame
from hatwist.lab.eyes import PORT
from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan

SHARED, CIDR = "10.99.0.100", "10.99.0.100/24"
SHARED6, CIDR6 = "fd99::100", "fd99::100/64"
# How exactly the judge's figures must agree with what was done, in seconds.
CLOSE = 0.020


def elapse(seconds: float) -> Deferred[None]:
    """Fires later: for faults that last, and for what must not happen meanwhile."""
    return deferLater(reactor, seconds, lambda: None)


def isQuestion(frame: Frame) -> bool:
    """Is it a question of the judge, by IPv4?"""
    return frame.kind == 0x0800 and frame.data[36:38] == PORT.to_bytes(2)


@pytest_twisted.ensureDeferred
async def test_outage(lan: LabLan, judge: LabJudge) -> None:
    """The time between losing the address and getting it back is outage and no-holder time."""
    alpha = lan.host("alpha")
    alpha.addAddress(CIDR)
    await judge.watch(SHARED)
    await judge.untilAnsweredBy(SHARED, "alpha")
    since = await judge.mark()
    alpha.deleteAddress(CIDR)
    await judge.untilHeldBy(SHARED)
    await elapse(0.1)
    alpha.addAddress(CIDR)
    await judge.untilAnsweredBy(SHARED, "alpha")
    report = await judge.report(SHARED, since)
    assert report.holders == (("alpha",), (), ("alpha",))
    assert report.noHolder >= 0.1
    assert abs(report.outage - report.noHolder) < CLOSE + report.stalled
    assert report.twoHolders == 0


@pytest_twisted.ensureDeferred
async def test_noOutage(lan: LabLan, judge: LabJudge) -> None:
    """Without a fault there is no outage, one holder throughout, and every question is answered."""
    lan.host("beta").addAddress(CIDR)
    await judge.watch(SHARED)
    await judge.untilAnsweredBy(SHARED, "beta")
    since = await judge.mark()
    await elapse(0.3)
    report = await judge.report(SHARED, since)
    assert report.outage < CLOSE + report.stalled
    assert report.holders == (("beta",),)
    assert report.noHolder == 0
    assert {run.host for run in report.answers} == {"beta"}
    # The first answer of the window may come late, as any other may.
    assert report.reachedAfter("beta", slack=CLOSE + report.stalled) < CLOSE + report.stalled
    assert report.reachedAfter("alpha") == float("inf")


@pytest_twisted.ensureDeferred
async def test_twoHolders(lan: LabLan, judge: LabJudge) -> None:
    """Two hosts that hold the address at once are seen, with how long they did."""
    await judge.watch(SHARED)
    lan.host("alpha").addAddress(CIDR)
    await judge.untilHeldBy(SHARED, "alpha")
    since = await judge.mark()
    lan.host("beta").addAddress(CIDR)
    await judge.untilHeldBy(SHARED, "alpha", "beta")
    both = judge.changes[-1].time
    await elapse(0.05)
    lan.host("alpha").deleteAddress(CIDR)
    await judge.untilHeldBy(SHARED, "beta")
    report = await judge.report(SHARED, since)
    assert report.holders == (("alpha",), ("alpha", "beta"), ("beta",))
    assert report.twoHolders == judge.changes[-1].time - both
    assert report.twoHolders >= 0.05


@pytest_twisted.ensureDeferred
async def test_handoverIsNoOverlap(lan: LabLan, judge: LabJudge) -> None:
    """An address deleted on one host and at once added on another never counts as held twice."""
    alpha, beta = lan.host("alpha"), lan.host("beta")
    alpha.addAddress(CIDR)
    await judge.watch(SHARED)
    await judge.untilHeldBy(SHARED, "alpha")
    since = await judge.mark()
    for _ in range(100):
        alpha.deleteAddress(CIDR)
        beta.addAddress(CIDR)
        beta.deleteAddress(CIDR)
        alpha.addAddress(CIDR)
    report = await judge.report(SHARED, since)
    assert report.twoHolders == 0


@pytest_twisted.ensureDeferred
async def test_staleCacheShows(lan: LabLan, judge: LabJudge) -> None:
    """A client asks the host that announced itself last, whoever else holds the address."""
    alpha, beta = lan.host("alpha"), lan.host("beta")
    alpha.addAddress(CIDR)
    await judge.watch(SHARED)
    await judge.untilAnsweredBy(SHARED, "alpha")
    beta.addAddress(CIDR)
    await elapse(0.05)
    assert judge.answering(SHARED) == "alpha"
    _announce(beta)
    await judge.untilAnsweredBy(SHARED, "beta")


def _announce(host: Host) -> None:
    """Gratuitous ARP for the shared address."""
    mac = bytes.fromhex(host.mac().replace(":", ""))
    address = bytes(int(part) for part in SHARED.split("."))
    request = bytes.fromhex("0001080006040001") + mac + address + bytes(6) + address
    with host.packetSocket() as sender:
        sender.send(b"\xff" * 6 + mac + bytes.fromhex("0806") + request)


@pytest_twisted.ensureDeferred
async def test_ipv6(lan: LabLan, judge: LabJudge) -> None:
    """An IPv6 address is judged the same way, next to an IPv4 one."""
    alpha = lan.host("alpha")
    alpha.addAddress(CIDR)
    alpha.addAddress(CIDR6)
    await judge.watch(SHARED, SHARED6)
    await judge.untilAnsweredBy(SHARED6, "alpha")
    await judge.untilAnsweredBy(SHARED, "alpha")
    since = await judge.mark()
    alpha.deleteAddress(CIDR6)
    await judge.untilHeldBy(SHARED6)
    await judge.until(lambda: judge.answering(SHARED6) is None, "silence")
    assert (await judge.report(SHARED6, since)).holders == (("alpha",), ())
    assert (await judge.report(SHARED, since)).holders == (("alpha",),)


@pytest_twisted.ensureDeferred
async def test_cut(lan: LabLan, judge: LabJudge) -> None:
    """A cut stops both directions between two hosts, and no others; healing restores them."""
    await judge.watch("10.99.0.1", "10.99.0.2")
    await judge.untilAnsweredBy("10.99.0.1", "alpha")
    await judge.untilAnsweredBy("10.99.0.2", "beta")
    arriving = Capture(lan.host("beta"), reactor)
    lan.cut("client", "beta")
    await judge.until(lambda: judge.answering("10.99.0.2") is None, "silence of beta")
    since = await judge.mark()
    await elapse(0.05)
    assert judge.answering("10.99.0.1") == "alpha"
    assert not [f for f in arriving.close() if isQuestion(f) and f.time > since]
    lan.heal("client", "beta")
    await judge.untilAnsweredBy("10.99.0.2", "beta")


@pytest_twisted.ensureDeferred
async def test_oneWayCut(lan: LabLan, judge: LabJudge) -> None:
    """A one-way cut lets the other direction through."""
    await judge.watch("10.99.0.2")
    await judge.untilAnsweredBy("10.99.0.2", "beta")
    lan.cut("beta", "client", oneWay=True)
    await judge.until(lambda: judge.answering("10.99.0.2") is None, "silence of beta")
    since = await judge.mark()
    arriving = Capture(lan.host("beta"), reactor)
    await arriving.until(lambda f: isQuestion(f) and f.time > since, "a question to beta")
    arriving.close()
    lan.heal("beta", "client")
    await judge.untilAnsweredBy("10.99.0.2", "beta")


async def answersIn(judge: LabJudge, seconds: float) -> int:
    """How often beta answers in that time."""
    since = await judge.mark()
    await elapse(seconds)
    report = await judge.report("10.99.0.2", since)
    return sum(run.number for run in report.answers if run.last >= since)


@pytest_twisted.ensureDeferred
async def test_loss(lan: LabLan, judge: LabJudge) -> None:
    """Half of the frames lost each way leaves about a quarter of the questions answered."""
    await judge.watch("10.99.0.2")
    await judge.untilAnsweredBy("10.99.0.2", "beta")
    lan.loss("beta", 50)
    lossy = await answersIn(judge, 1.0)
    assert 50 < lossy < 500
    lan.loss("beta", 0)
    await judge.watch("10.99.0.2")
    assert await answersIn(judge, 1.0) > 1.5 * lossy


@pytest_twisted.ensureDeferred
async def test_block(lan: LabLan, judge: LabJudge) -> None:
    """Blocking one UDP port of a host leaves the others alone."""
    await judge.watch("10.99.0.2", "fd99::2")
    await judge.untilAnsweredBy("10.99.0.2", "beta")
    await judge.untilAnsweredBy("fd99::2", "beta")
    since = await judge.mark()
    lan.block("beta", 5555)
    await elapse(0.05)
    report = await judge.report("10.99.0.2", since)
    assert report.outage < CLOSE + report.stalled
    lan.block("beta", PORT)
    await judge.until(lambda: judge.answering("10.99.0.2") is None, "silence by IPv4")
    await judge.until(lambda: judge.answering("fd99::2") is None, "silence by IPv6")
    lan.unblock("beta")
    await judge.untilAnsweredBy("10.99.0.2", "beta")


@pytest_twisted.ensureDeferred
async def test_isolate(lan: LabLan, judge: LabJudge) -> None:
    """An isolated host reaches nobody, and keeps its carrier."""
    await judge.watch("10.99.0.1")
    await judge.untilAnsweredBy("10.99.0.1", "alpha")
    lan.isolate("alpha")
    await judge.until(lambda: judge.answering("10.99.0.1") is None, "silence of alpha")
    assert lan.host("alpha").hasCarrier()
    lan.rejoin("alpha")
    await judge.untilAnsweredBy("10.99.0.1", "alpha")


@pytest_twisted.ensureDeferred
async def test_unplug(lan: LabLan, judge: LabJudge) -> None:
    """An unplugged host has no carrier and keeps its addresses; plugged in, it answers again."""
    alpha = lan.host("alpha")
    await judge.watch("10.99.0.1")
    await judge.untilAnsweredBy("10.99.0.1", "alpha")
    alpha.unplug()
    await judge.until(lambda: judge.answering("10.99.0.1") is None, "silence of alpha")
    assert not alpha.hasCarrier()
    assert "10.99.0.1/24" in alpha.addresses()
    alpha.plug()
    await judge.untilAnsweredBy("10.99.0.1", "alpha")
    assert alpha.hasCarrier()


@pytest_twisted.ensureDeferred
async def test_powerLoss(lan: LabLan, judge: LabJudge) -> None:
    """Power loss ends every process of a host, in other sessions too, and takes its addresses."""
    alpha = lan.host("alpha")
    alpha.addAddress(CIDR)
    await judge.watch(SHARED)
    await judge.untilHeldBy(SHARED, "alpha")
    program = alpha.spawn(reactor, ["sh", "-c", "setsid sleep 300 & echo up; sleep 300"])
    await program.says("up")
    assert len(alpha.namespace.processes()) >= 2
    alpha.powerOff()
    assert await program.ended() == 128 + signal.SIGKILL
    await judge.untilHeldBy(SHARED)
    assert alpha.addresses() == []
    alpha.powerOn()
    await judge.watch("10.99.0.1")
    await judge.untilAnsweredBy("10.99.0.1", "alpha")


@pytest_twisted.ensureDeferred
async def test_severalLinks(judge: LabJudge) -> None:
    """On a LAN of two links each host has an interface and addresses on both, cut one by one."""
    lan = LabLan(("alpha",), links=2)
    second = LabJudge(lan, reactor)
    try:
        await second.start()
        await second.watch("10.99.0.1", "10.99.1.1", "fd99:0:0:1::1")
        for address in ("10.99.0.1", "10.99.1.1", "fd99:0:0:1::1"):
            await second.untilAnsweredBy(address, "alpha")
        lan.host("alpha").unplug(link=1)
        await second.until(lambda: second.answering("10.99.1.1") is None, "silence on eth1")
        assert second.answering("10.99.0.1") == "alpha"
    finally:
        await second.close()
        await lan.close()


@pytest_twisted.ensureDeferred
async def test_frozenProgram(lan: LabLan) -> None:
    """A frozen program says nothing until it is thawed, and a stopped one may take its leave."""
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('leaving', flush=True), sys.exit(3)))\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    program = lan.host("alpha").spawn(reactor, [sys.executable, "-c", script])
    await program.says("up")
    program.freeze()
    program.stop()
    await elapse(0.1)
    assert program.lines == ["up"]
    program.thaw()
    await program.says("leaving")
    assert await program.ended() == 3


@pytest_twisted.ensureDeferred
async def test_programsLiveOnTheirHost(lan: LabLan) -> None:
    """A program sees its host's interfaces and has a process group of its own."""
    script = (
        "import os, socket\n"
        "print(os.getpgrp() == os.getpid())\n"
        "s = socket.socket(); s.bind(('10.99.0.2', 0)); print('bound')\n"
    )
    program = lan.host("beta").spawn(reactor, [sys.executable, "-c", script])
    await program.says("bound")
    assert program.lines == ["True", "bound"]
    await program.ended()


@pytest_twisted.ensureDeferred
async def test_programThatEndsEarly(lan: LabLan) -> None:
    """Who waits for a program's words is told at once when it ends without them."""
    program = lan.host("beta").spawn(reactor, [sys.executable, "-c", "print('other words')"])
    with pytest.raises(RuntimeError, match="other words"):
        await program.says("never said")


@pytest_twisted.ensureDeferred
async def test_closeLeavesNothing() -> None:
    """A closed LAN has left no process behind, stubborn and frozen ones included."""
    lan = LabLan(("alpha",))
    program = lan.host("alpha").spawn(
        reactor, ["sh", "-c", "trap '' TERM INT HUP; setsid sleep 300 & echo up; sleep 300"]
    )
    await program.says("up")
    pids = lan.host("alpha").namespace.processes()
    program.freeze()
    descriptors = [os.pidfd_open(pid) for pid in pids]
    await lan.close()
    assert program.status == 128 + signal.SIGKILL
    for descriptor in descriptors:
        # Readable: ended.
        await _readable(descriptor)


def _readable(descriptor: int) -> Deferred[None]:
    from twisted.internet.abstract import FileDescriptor

    done: Deferred[None] = Deferred()

    class Waiter(FileDescriptor):
        def fileno(self) -> int:
            return descriptor

        def doRead(self) -> None:
            self.stopReading()
            os.close(descriptor)
            done.callback(None)

    Waiter(reactor).startReading()
    return done.addTimeout(5.0, reactor)


@pytest_twisted.ensureDeferred
async def test_judgeItselfStoodStill(lan: LabLan) -> None:
    """
    When the judge did not run, the report says when; events that the kernel had no room to keep
    for it meanwhile are made good, and that is said too.
    """
    alpha = lan.host("alpha")
    alpha.addAddress("10.98.9.9/32")
    judge = LabJudge(lan, reactor, receiveBuffer=4096)
    try:
        await judge.start()
        await judge.watch(SHARED)
        since = await judge.mark()
        judge.signal(signal.SIGSTOP)
        for number in range(200):
            alpha.addAddress(f"10.98.0.{number + 1}/32")
        alpha.deleteAddress("10.98.9.9/32")
        alpha.addAddress(CIDR)
        judge.signal(signal.SIGCONT)
        await judge.untilHeldBy(SHARED, "alpha")
        await judge.untilHeldBy("10.98.9.9")
        report = await judge.report(SHARED, since)
    finally:
        await judge.close()
    assert report.stalled > 0.02
    assert report.lost
    assert all(judge.holders(f"10.98.0.{number + 1}") == {"alpha"} for number in range(200))


@pytest_twisted.ensureDeferred
async def test_waitingInVain(lan: LabLan, judge: LabJudge) -> None:
    """A condition that does not come true fails after its time, and names what was missing."""
    await judge.watch(SHARED)
    with pytest.raises(TimeoutError, match=r"10\.99\.0\.100 held by \['alpha'\]"):
        await judge.untilHeldBy(SHARED, "alpha", timeout=0.05)


@pytest_twisted.ensureDeferred
async def test_capture(lan: LabLan) -> None:
    """A capture has sent and received frames, told apart, with times of the monotonic clock."""
    alpha, beta = lan.host("alpha"), lan.host("beta")
    sent, received = Capture(alpha, reactor), Capture(beta, reactor)
    before = time.monotonic()
    _announce(alpha)
    there = await received.until(lambda f: f.kind == 0x0806, "gratuitous ARP")
    here = await sent.until(lambda f: f.kind == 0x0806, "gratuitous ARP")
    assert here.sent
    assert not there.sent
    assert here.data == there.data
    assert before - CLOSE < here.time <= there.time + CLOSE
    assert there.time < time.monotonic() + CLOSE
    sent.close()
    received.close()
