"""Ordered resources and commands of events, in daemons on a LAN; judged by what is on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor

from hatwist.core.claims import Role
from hatwist.lab.capture import Capture, Frame
from hatwist.lab.lab import PORT
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import GroupState, clusterId
from tests.recipes import Rig
from tests.statements import Listener

CONFIGURATION = """\
cluster = "ordered"
interface = "eth0"
interval = 0.1

[group.web]
resources = [
  {command = ["step", "disk"], undo = ["undo", "disk"], timeout = 20},
  {address = "10.99.0.101/24"},
  {command = ["step", "mount"], undo = ["undo", "mount"], timeout = 20},
  {address = "10.99.0.100/24"},
]

[node.alpha]
priority = 200
[node.beta]
priority = 100
"""
NAMES = ("EVENT", "CLUSTER", "NODE", "GROUP", "ROLE", "TERM", "PEER", "REASON")
EVENTS = ("prepare", "acquired", "released", "conflict", "peer-joined", "peer-left")
# Slow where a file of this name is, for as many seconds as are in it.
STEP = """\
#!/bin/sh
echo "$HOST step $*" >>"$LOG"
slow="$HERE/slow.$HOST.$1"
test ! -e "$slow" || exec sleep "$(cat "$slow")"
"""
UNDO = '#!/bin/sh\necho "$HOST undo $*" >>"$LOG"\n'
VALUES = "|".join(f"$HATWIST_{name}" for name in NAMES)
TELL = f'#!/bin/sh\necho "event|{VALUES}|$*" >>"$LOG"\n'


def states(frames: list[Frame], host: str) -> list[tuple[float, GroupState]]:
    """What the heartbeats of one host among these say of its group, with their times."""
    keyring, listener = Keyring([]), Listener()
    found = []
    for frame in frames:
        if frame.kind == 0x0800 and frame.data[36:38] == PORT.to_bytes(2):
            beat = listener.read(keyring.open(frame.data[42:], clusterId("ordered")))
            if beat.name == host and beat.groups:
                found.append((frame.time, beat.groups[0]))
    return found


@pytest_twisted.async_yield_fixture()
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Two hosts, not started yet."""
    on = "\n".join(f'{event} = ["tell", "{event}"]' for event in EVENTS)
    made = Rig(tmp_path, f"{CONFIGURATION}\n[group.web.on]\n{on}\n")
    for name, script in (("step", STEP), ("undo", UNDO), ("tell", TELL)):
        made.install(name, script)
    try:
        yield made
    finally:
        await made.close()


@pytest_twisted.ensureDeferred
async def test_slowPromotion(rig: Rig) -> None:
    """
    Steps of 10 s in the middle are no death: heartbeats go on at every interval and name the step, nobody
    takes over, and what is held already stays, although its lease is shorter.
    """
    lab = rig.lab
    await lab.start()
    lab.programs["alpha"].stop()
    await lab.untilOnly("beta")
    (rig.here / "slow.alpha.mount").write_text("10")
    capture = Capture(lab.lan.client, reactor)
    rig.said()
    since = await lab.judge.mark()
    lab.run("alpha")
    await rig.until(lambda: "alpha step mount" in rig.log.read_text(), "the slow step")
    began = await lab.judge.mark()
    await lab.judge.untilHeldBy(lab.address, "alpha", timeout=15.0)
    ended = await lab.judge.mark()
    assert 9.5 < ended - began < 12, lab.said(since)
    report = await lab.judge.report(lab.address, since)
    assert report.twoHolders == 0
    other = await lab.judge.report("10.99.0.101", began)
    assert other.holders == (("alpha",),), lab.said(since)
    frames = capture.close()
    told = [
        (time, state) for time, state in states(frames, "alpha") if began + 0.2 < time < ended - 0.2
    ]
    assert len(told) >= 0.9 * 9.5 / lab.interval
    late = max(b - a for (a, _), (b, _) in pairwise(told)) - lab.interval - report.stalled
    print(f"{len(told)} heartbeats, the latest {late * 1000:.1f} ms late; stalled {report.stalled}")
    assert late < lab.interval
    for _, state in told:
        assert (state.role, state.step, state.steps) == (Role.ACTIVE, 4, 5)
        assert state.reason == "acquiring, step 4 of 5: step mount"
    # beta waits, as a standby, from the beginning to the end.
    assert {s.role for t, s in states(frames, "beta") if began + 0.2 < t < ended - 0.2} == {
        Role.STANDBY
    }
    commands = [line for line in rig.said() if not line.startswith("event")]
    assert commands == [
        *("alpha undo mount", "alpha undo disk", "beta undo mount", "beta undo disk"),
        *("alpha step disk", "alpha step mount"),
    ], lab.said(since)


@pytest_twisted.ensureDeferred
async def test_nextInLine(rig: Rig) -> None:
    """A node whose step fails rolls back, waits, and the other one, which is less worthy, gets everything."""
    lab = rig.lab
    rig.install("step", '#!/bin/sh\necho "$HOST step $*" >>"$LOG"\ntest "$1" = disk\n', "alpha")
    await lab.judge.start()
    await lab.judge.watch(lab.address)
    for host in lab.names:
        lab.run(host)
    await lab.programs["alpha"].says("acquire-failed in web: step mount: .*ended with 1")
    await lab.untilOnly("beta")
    await lab.elapse(lab.tolerance)
    commands = [line for line in rig.said() if line.startswith("alpha")]
    at = commands.index("alpha step mount")
    assert commands[at - 1 : at + 3] == [
        *("alpha step disk", "alpha step mount", "alpha undo mount", "alpha undo disk")
    ]
    assert lab.judge.holders(lab.address) == lab.judge.holders("10.99.0.101") == {"beta"}


@pytest_twisted.ensureDeferred
async def test_events(rig: Rig) -> None:
    """Each event of a takeover and back is told once on each node, in order, with what it is about."""
    lab = rig.lab
    await lab.start()
    told = [line.split("|")[1:-1] for line in rig.said() if line.startswith("event")]
    alpha = [event for event in told if event[2] == "alpha"]
    assert [e[0] for e in alpha if not e[0].startswith("peer")] == ["prepare", "acquired"], told
    term = alpha[-1][5]
    lab.programs["alpha"].stop()
    await lab.untilOnly("beta")
    await lab.programs["alpha"].ended()
    await rig.until(lambda: "|acquired|ordered|beta" in rig.log.read_text(), "acquired on beta")
    told = [line.split("|")[1:-1] for line in rig.said() if line.startswith("event")]
    assert [e for e in told if e[2] == "alpha"] == [
        ["released", "ordered", "alpha", "web", "SHUTDOWN", term, "", "stopped"]
    ]
    beta = {e[0]: e[1:] for e in told if e[2] == "beta"}
    assert [e[0] for e in told if e[2] == "beta" and e[0] != "peer-left"] == ["prepare", "acquired"]
    assert beta["peer-left"][5:] == ["alpha", "it said goodbye"]
    assert beta["prepare"][3] == "STANDBY"
    assert beta["acquired"][3] == "ACTIVE"
    assert int(beta["acquired"][4]) > int(term)


@pytest_twisted.ensureDeferred
async def test_hangingEvents(rig: Rig) -> None:
    """Commands of events that hang delay neither a heartbeat nor a takeover; only C{prepare} is waited for."""
    rig.install("tell", '#!/bin/sh\ntest "$1" = prepare || exec sleep 600\n')
    lab = rig.lab
    await lab.start()
    capture = Capture(lab.lan.client, reactor)
    since = await lab.judge.mark()
    lab.host("alpha").powerOff()
    await lab.untilOnly("beta")
    await lab.elapse(1.0)
    report = await lab.judge.report(lab.address, since)
    assert report.outage < 1.0 + report.stalled, lab.said(since)
    beats = [time for time, _ in states(capture.close(), "beta") if time > since]
    late = max(b - a for a, b in pairwise(beats)) - lab.interval - report.stalled
    assert late < lab.interval, lab.said(since)
