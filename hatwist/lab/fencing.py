"""
What must not leave two holders behind: daemons that die or hang, links that fail, heartbeats that get lost.

Like L{hatwist.lab.scenarios}. Those that need more than three hosts on one link are in L{SETUPS}.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from hatwist.lab.lab import HOSTS, Lab, Setup
from hatwist.lab.measurement import (
    OUTAGE,
    RIGHT_HOST,
    TWO_HOLDERS,
    Measurement,
    Scenario,
    measured,
    neverTwo,
    problems,
    takenOver,
)
from hatwist.lab.verdict import Report
from hatwist.settings import MIN_LEASE
from hatwist.settings.protocols import holdTime

# What a takeover that waits for nothing may take, at worst and as a rule.
AT_ONCE, USUALLY = 0.020, 0.010
# By when a client must have the right host in its cache.
CACHE = 0.100


LEASE = "The kernel of the dead host serves the address until its lease ends, 2 to 3 s; the others hear that, and wait."


async def daemonKilled(lab: Lab) -> Measurement:
    """The holder's daemon is killed, its host lives on; later the daemon is started again."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    lab.programs[lab.best].kill()
    await takenOver(lab, since, lab.second)
    lab.run(lab.best)
    await lab.untilOnly(lab.best)
    report = await takenOver(lab, since, lab.best)
    wrong = neverTwo(report)
    return measured(report, OUTAGE, report.outage, AT_ONCE, wrong, USUALLY)


async def daemonFrozen(lab: Lab, seconds: float = 5.0) -> Measurement:
    """The holder's daemon hangs: its guard lets go; when it goes on, it begins anew."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    daemon = lab.programs[lab.best]
    daemon.freeze()
    before = await takenOver(lab, since, lab.second)
    await lab.elapse(seconds - (time.monotonic() - since))
    thawed = await lab.judge.mark()
    daemon.thaw()
    await daemon.says(": ACTIVE -> STANDBY, .*the guard released it")
    await lab.untilOnly(lab.best)
    after = await takenOver(lab, thawed, lab.best)
    whole = await lab.judge.report(lab.address, since)
    limit = holdTime(lab.interval, lab.tolerance) + 0.010
    late = ""
    if after.outage > CACHE:
        late = f"no right answer for {after.outage * 1000:.0f} ms after it went on"
    return measured(
        whole,
        RIGHT_HOST,
        before.reachedAfter(lab.second),
        limit,
        problems(neverTwo(whole, 0.010), neverTwo(after), _cameBack(whole, lab.best, thawed), late),
    )


def _cameBack(report: Report, host: str, thawed: float) -> str:
    """Once its guard has let go, no host has the address before its daemon goes on."""
    lost = False
    for span in report.held:
        if lost and host in span.hosts and span.start < thawed:
            return f"{host} had the address again {span.start - report.since:.3f} s after"
        lost = lost or host not in span.hosts
    return ""


async def killedTogether(lab: Lab) -> Measurement:
    """Daemon and guard are killed in one moment: the kernel's lease ends, and the others wait for that."""
    await lab.settle()
    await lab.anyMoment()
    heir = lab.programs[lab.second]
    said = len(heir.lines)
    since = await lab.judge.mark()
    lab.host(lab.best).killAll()
    report = await takenOver(lab, since, lab.second)
    silent = _silent(lab.second, heir.lines[said:])
    late = ""
    # A last answer counts for an interval.
    if report.outage > 1.5 * lab.interval + AT_ONCE:
        late = f"taken over {report.outage * 1000:.0f} ms after it was gone"
    # The kernel removes it at most a second after the lease.
    bound = MIN_LEASE + 1.0 + 1.5 * lab.interval + AT_ONCE
    value, wrong = report.reachedAfter(lab.second), problems(neverTwo(report), silent, late)
    return measured(report, RIGHT_HOST, value, bound, wrong)._replace(note=LEASE)


def _silent(name: str, lines: Sequence[str]) -> str:
    """A standby says why it stays one."""
    return (
        "" if any("still-served" in line for line in lines) else f"{name} did not say why it stayed"
    )


async def cablePulled(lab: Lab) -> Measurement:
    """The holder's cable is pulled, a second link carries heartbeats: an immediate handover."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    lab.host(lab.best).unplug()
    report = await takenOver(lab, since, lab.second)
    wrong = neverTwo(report)
    return measured(report, OUTAGE, report.outage, AT_ONCE, wrong, USUALLY)


async def cutOffWitnessed(lab: Lab, seconds: float = 2.0) -> Measurement:
    """Of two nodes the holder is cut off, from the witness too: it lets go before the other claims."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    lab.lan.isolate(lab.best)
    before = await takenOver(lab, since, lab.second)
    await lab.elapse(seconds)
    await lab.anyMoment()
    lab.lan.rejoin(lab.best)
    await lab.untilOnly(lab.best)
    await takenOver(lab, since, lab.best)
    whole = await lab.judge.report(lab.address, since)
    bound = lab.tolerance + 0.005
    return measured(whole, OUTAGE, before.outage, bound, neverTwo(whole))


async def cutWithVotes(lab: Lab, seconds: float = 2.0) -> Measurement:
    """The holder and the others hear nothing of each other, as in cut-and-healed; here the majority holds, alone."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    for name in lab.names[1:]:
        lab.lan.cut(lab.best, name)
    before = await takenOver(lab, since, lab.second)
    await lab.elapse(seconds)
    lab.lan.healAll()
    await lab.untilOnly(lab.best)
    await takenOver(lab, since, lab.best)
    whole = await lab.judge.report(lab.address, since)
    bound = lab.tolerance + lab.interval / 2
    return measured(whole, OUTAGE, before.outage, bound, neverTwo(whole))


async def heartbeatsFiltered(lab: Lab, seconds: float = 3.0) -> Measurement:
    """A firewall drops the holder's heartbeats and nothing else; the others see that it serves, until it dies."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    heir = lab.programs[lab.second]
    said = len(heir.lines)
    lab.lan.block(lab.best, lab.port)
    await lab.elapse(seconds)
    before = await lab.judge.report(lab.address, since)
    moved = "" if before.holders == ((lab.best,),) else f"held by {before.holders} in turn"
    silent = _silent(lab.second, heir.lines[said:])
    died = await lab.judge.mark()
    lab.host(lab.best).powerOff()
    after = await takenOver(lab, died, lab.second)
    wrong = problems(moved, silent, neverTwo(after))
    # A last answer counts for an interval.
    bound = 1.5 * lab.interval + AT_ONCE
    return measured(after, OUTAGE, after.outage, bound, wrong)


def losing(percent: int, seconds: float, changes: int, overlap: float) -> Scenario:
    """
    Make a scenario in which the holder's port loses packets, each way, at random.

    @param changes: how often the holder may change.
    @param overlap: for how long, in all, two may hold, in seconds.
    """

    async def lossy(lab: Lab) -> Measurement:
        await lab.settle()
        await lab.anyMoment()
        since = await lab.judge.mark()
        lab.lan.loss(lab.best, percent)
        await lab.elapse(seconds)
        lab.lan.healAll()
        report = await lab.judge.report(lab.address, since)
        gains = sum(
            change.there and change.address == lab.address and since <= change.time <= report.until
            for change in lab.judge.changes
        )
        wrong = "" if gains <= changes else f"the holder changed {gains} times"
        return measured(report, TWO_HOLDERS, report.twoHolders, overlap, wrong)

    lossy.__doc__ = (
        f"{percent} % of the frames from and to the holder are lost for {seconds:g} s: "
        f"at most {changes} changes of holder."
    )
    return lossy


SCENARIOS: dict[str, Scenario] = {
    "daemon-killed": daemonKilled,
    "daemon-frozen": daemonFrozen,
    "killed-together": killedTogether,
    "filtered": heartbeatsFiltered,
    "cable-pulled": cablePulled,
    "cut-off-witness": cutOffWitnessed,
    "cut-with-votes": cutWithVotes,
    "loss-30": losing(30, 10, 2, 0.020),
    "loss-5": losing(5, 20, 0, 0.0),
}
# Too long to be played unless asked for by name.
LONG: dict[str, Scenario] = {
    "loss-30-long": losing(30, 60, 2, 0.020),
    "loss-5-long": losing(5, 600, 0, 0.0),
}
SETUPS: dict[str, Setup] = {
    "cable-pulled": Setup(links=2, more=("--link", "eth0", "--link", "eth1")),
    "cut-with-votes": Setup(more=("--quorum", "majority", "--members", ",".join(HOSTS))),
    "cut-off-witness": Setup(hosts=("alpha", "beta"), more=("--witness", "10.99.0.200")),
}
