"""A daemon that is stopped while it claims, and goes on when another has taken over."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from hatwist.lab.faults import VOTERS, order
from hatwist.lab.judge import LabJudge
from hatwist.lab.lab import Lab
from hatwist.lab.lan import LabLan
from hatwist.lab.measurement import timeline

pytestmark = pytest.mark.needs("ip")

SHARED, CIDR = "10.99.0.100", "10.99.0.100/24"
HOLD = 0.3
ROUNDS = 24

# Stops itself at a moment of its first claim, and says what became of it once it goes on.
CLAIMANT = """
import os
import signal
import sys
from twisted.internet import defer, reactor, task
from hatwist.runtime.clock import useMonotonic
from hatwist.core.errors import ResourceError
from hatwist.linux.guard.client import GuardClient
from hatwist.linux.netlink.socket import Netlink
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.spec import AddressSpec

useMonotonic(reactor)
cidr, hold, moment = sys.argv[1], float(sys.argv[2]), sys.argv[3]
stops = [moment]

def stop(here, result=None):
    if here in stops:
        stops.remove(here)
        print("stops", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    return result

class StoppedNetlink(Netlink):
    def request(self, messages, permitted=lambda: True):
        def asked():
            stop("asked")
            said = permitted()
            stop("permitted")
            return said
        return super().request(messages, asked).addCallback(lambda result: stop("added", result))

async def main(reactor):
    netlink, guard = StoppedNetlink(reactor), GuardClient(reactor)
    netlink.start()
    guard.onFired = lambda groups: print("fired", flush=True)
    await guard.start()
    def arm():
        until = reactor.seconds() + hold
        done = guard.arm("web", 1, "one", until, resource.deletions())
        stop("arming")
        return done.addCallback(lambda _: stop("armed"))
    resource = Addresses(reactor, netlink, [AddressSpec.parse(cidr + "@eth0")], lease=2,
                         arm=arm, look=guard.check, until=lambda: guard.until("web"))
    try:
        await resource.acquire()
    except Exception as error:
        print("refused:", error, "announced", resource.announced, flush=True)
    else:
        print("held, announced", resource.announced, flush=True)
    await defer.Deferred()

task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
"""


@pytest.mark.parametrize("moment", ["arming", "armed", "asked", "permitted", "added"])
@pytest_twisted.ensureDeferred
async def test_moments(lan: LabLan, judge: LabJudge, moment: str) -> None:
    """
    Whenever it was stopped, an address that comes late is announced to nobody, and goes at once; it comes
    late only where the stop was between the last look at the clock and the kernel.
    """
    program = lan.host("alpha").spawn(
        reactor, [sys.executable, "-c", CLAIMANT, CIDR, str(HOLD), moment]
    )
    await program.says("stops")
    if moment == "added":
        await judge.untilHeldBy(SHARED, "alpha")
    await deferLater(reactor, HOLD + 0.1)
    await judge.untilHeldBy(SHARED)  # the guard has fired
    began = await judge.mark()
    program.thaw()
    line = await program.says("announced")
    await judge.untilHeldBy(SHARED)
    until = await judge.mark()
    report = await judge.report(SHARED, began, until)
    assert re.search(r"refused: .* announced 0$", line), line
    held = until - began - report.noHolder
    print(f"\nstopped when {moment}: held for {held * 1000:.2f} ms after it was woken")
    if moment != "permitted":
        assert held == 0.0
    program.kill()
    await program.ended()


@pytest_twisted.async_yield_fixture
async def voters() -> AsyncIterator[Lab]:
    """Three nodes that vote."""
    made = Lab.of(VOTERS, reactor)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


@pytest_twisted.ensureDeferred
async def test_stoppedWhileItClaims(voters: Lab) -> None:
    """
    A group is moved to a node, whose daemon is stopped 0 to 22 ms later, for longer than it may hold:
    in no round two hosts have the address.
    """
    chance = random.Random(5)
    overlaps = []
    for number in range(ROUNDS):
        # An order that was read only after the stop has moved it there, where it would stay.
        await deferToThread(order, voters.best, voters.best)
        await voters.untilOnly(voters.best)
        await voters.elapse(voters.tolerance)
        began = await voters.judge.mark()
        heir = voters.second
        program = voters.programs[heir]
        moved = deferToThread(order, heir, heir)
        await voters.elapse(chance.uniform(0.0, 0.022))
        program.freeze()
        await voters.elapse(chance.uniform(0.45, 0.9))
        program.thaw()
        if number % 3 == 0:  # a machine that gives it the processor in bits
            await voters.elapse(chance.uniform(0.002, 0.012))
            program.freeze()
            await voters.elapse(0.3)
            program.thaw()
        await moved
        await voters.elapse(voters.tolerance + 2 * voters.interval)
        report = await voters.judge.report(voters.address, began)
        overlaps.append(report.twoHolders)
        if report.twoHolders:
            print(f"round {number}: held by {timeline(report)}\n{voters.said(began)}")
    print(f"\n{ROUNDS} rounds, two holders: {[round(o * 1000, 2) for o in overlaps if o]} ms")
    assert not any(overlaps)
