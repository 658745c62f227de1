"""Every subcommand that asks a daemon, against three real ones; and whoever abuses the socket."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.capture import Capture, Frame
from hatwist.lab.judge import LabJudge
from hatwist.lab.lab import HOSTS, PORT, Lab, haDaemon
from hatwist.lab.lan import LabLan
from tests import daemons
from tests.daemons import ADDRESS, CIDR, TWIST

HATWIST = (sys.executable, "-m", "hatwist.frontends.cli")
MEASURED = (
    r"default: held by (\w+) ([\d.]+) ms after (\w+) released it, ([\d.]+) ms after the command"
)


def place(name: str) -> str:
    """Where the daemon of a host listens; all hosts of a lab share one /run."""
    return f"/run/hatwist/default.{name}.sock"


class Said(NamedTuple):
    """What a command printed, and its exit status."""

    text: str
    status: int


async def run(lan: LabLan, name: str, *argv: str, wrapper: tuple[str, ...] = ()) -> Said:
    """Run a command line of C{hatwist} on a host, to its end."""
    program = lan.host(name).spawn(reactor, [*wrapper, *HATWIST, *argv])
    status = await program.ended(20.0)
    return Said("\n".join(program.lines), status)


async def hatwist(lab: Lab, name: str, command: str, *argv: str) -> Said:
    """The same, of the daemon on that host."""
    return await run(lab.lan, name, command, "--control", place(name), *argv)


async def status(lab: Lab, name: str) -> Any:
    """C{hatwist status --json}."""
    said = await hatwist(lab, name, "status", "--json")
    return json.loads(said.text)


@pytest_twisted.ensureDeferred
async def test_status(lab: Lab) -> None:
    """The holder's status ends with 0, a standby's with 1; both show every node and why."""
    await lab.settle()
    for name, expected in (("alpha", 0), ("beta", 1)):
        said = await hatwist(lab, name, "status")
        assert said.status == expected, said
        for words in (
            rf"^{name} of cluster default: up ",
            "^Guarantee: self-releasing: ",
            "^Not protected: ",
            r"^default +alpha +\d",
            r"^alpha.* default +ACTIVE +fit +120 ",
            r"^beta.* default +STANDBY +fit +110 ",
            r"^gamma +default +STANDBY +fit +100 .* \d+ +eth0 \d+ ms$",
        ):
            assert re.search(words, said.text, re.MULTILINE), (words, said.text)
        assert "\x1b" not in said.text
        assert (await hatwist(lab, name, "status", "default")).status == expected
    wrong = await hatwist(lab, "alpha", "status", "mail")
    assert wrong == ("hatwist: there is no group 'mail'; there is default", 2)


@pytest_twisted.ensureDeferred
async def test_json(lab: Lab) -> None:
    """Scripts get everything as JSON."""
    await lab.settle()
    found = await status(lab, "beta")
    assert (found["node"], found["groups"]["default"]["holder"]) == ("beta", "alpha")
    assert set(found["nodes"]) == set(HOSTS)
    assert found["nodes"]["alpha"]["groups"]["default"]["role"] == "ACTIVE"
    assert found["counters"]["received"]["alpha/eth0"] > 0
    assert found["guarantee"]["level"] == "self-releasing"


@pytest_twisted.ensureDeferred
async def test_which(lab: Lab) -> None:
    """Where several daemons run they are listed; where none does, that is said; with exit codes of their own."""
    await lab.settle()
    said = await run(lab.lan, "alpha", "status")
    assert said.status == 4
    assert said.text.splitlines()[1:] == [f"  --control {place(name)}" for name in HOSTS]
    said = await run(lab.lan, "alpha", "why", "--control", "/run/hatwist/none.sock")
    assert said.status == 3
    assert "no daemon is running" in said.text


@pytest_twisted.ensureDeferred
async def test_move(lab: Lab) -> None:
    """A group is moved from any host, measured by the daemon as a client measures it, and stays there."""
    await lab.settle()
    began = await lab.judge.mark()
    said = await hatwist(lab, "beta", "move", "default", "gamma")
    assert said.status == 0, said
    first, last = said.text.splitlines()
    assert first == "default: from alpha to gamma"
    found = re.fullmatch(MEASURED, last)
    assert found, last
    assert (found[1], found[3]) == ("gamma", "alpha")
    assert 0 < float(found[2]) <= float(found[4]) < 5000
    await lab.judge.mark()
    assert lab.judge.holders(lab.address) == {"gamma"}, f"{began} {lab.said()}"
    why = await hatwist(lab, "gamma", "why")
    assert "moved here by the operator" in why.text
    assert (
        "default was moved to gamma by hand and stays there, although alpha has the higher priority (120)"
        in why.text
    )
    back = await hatwist(lab, "gamma", "move", "default")
    assert back.text.startswith("default: from gamma to alpha, the worthiest"), back
    await lab.judge.mark()
    assert lab.judge.holders(lab.address) == {"alpha"}


@pytest_twisted.ensureDeferred
async def test_moveRefused(lab: Lab) -> None:
    """What cannot be moved is refused with the reason, and nothing happens."""
    await lab.settle()
    lab.programs["gamma"].stop()
    await lab.programs["gamma"].ended()
    for node, words in (
        ("delta", "no node 'delta' is known; there are alpha, beta, gamma"),
        ("gamma", "gamma cannot take default: it has stopped"),
    ):
        said = await hatwist(lab, "beta", "move", "default", node)
        assert said == (f"hatwist: {words}", 1)
    assert await hatwist(lab, "beta", "move", "default", "alpha") == (
        "default: alpha holds it already",
        0,
    )
    said = await hatwist(lab, "beta", "move", "mail", "alpha")
    assert said == ("hatwist: there is no group 'mail'; there is default", 1)
    assert lab.judge.holders(lab.address) == {"alpha"}


@pytest_twisted.ensureDeferred
async def test_drain(lab: Lab) -> None:
    """Drain hands over and is remembered over a restart; undrain takes back; both are measured."""
    await lab.settle()
    said = await hatwist(lab, "alpha", "drain")
    plan, takes, last = said.text.splitlines()
    assert plan == "default: from alpha to beta"
    assert takes == "alpha will take over no group until: hatwist undrain"
    assert re.fullmatch(MEASURED, last), last
    again = await hatwist(lab, "alpha", "drain")
    assert again == ("alpha is drained already", 0)
    lab.programs["alpha"].stop()
    await lab.programs["alpha"].ended()
    lab.run("alpha")
    await lab.programs["beta"].says("peer-joined alpha")
    await lab.programs["alpha"].says("peer-joined beta")
    await lab.elapse(2 * lab.tolerance)
    assert lab.judge.holders(lab.address) == {"beta"}
    shown = await hatwist(lab, "beta", "status")
    assert re.search(
        "^alpha .*DRAINED .*\n +\\(hatwist undrain ends it\\)", shown.text, re.MULTILINE
    )
    drained = await hatwist(lab, "alpha", "status")
    assert drained.status == 1
    assert drained.text.startswith("alpha of cluster default, drained: up")
    said = await hatwist(lab, "alpha", "undrain")
    assert said.status == 0
    assert said.text.startswith(
        "alpha may hold again\ndefault: from beta to alpha, which is worthier (fit, priority 120)"
    ), said.text
    assert re.search(MEASURED, said.text)
    await lab.judge.mark()
    assert lab.judge.holders(lab.address) == {"alpha"}


@pytest_twisted.ensureDeferred
async def test_drainAlone(lab: Lab) -> None:
    """With nobody else there drain is refused, and done only by force."""
    await lab.settle()
    for name in ("beta", "gamma"):
        lab.programs[name].stop()
        await lab.programs[name].ended()
    said = await hatwist(lab, "alpha", "drain")
    assert said.status == 1
    assert said.text == (
        "hatwist: no other node can take default, so it would be down. beta has stopped. gamma has stopped. "
        "--force drains anyway"
    )
    assert lab.judge.holders(lab.address) == {"alpha"}
    forced = await hatwist(lab, "alpha", "drain", "--force")
    assert forced.status == 0
    assert forced.text.endswith("nobody holds it")
    await lab.judge.untilHeldBy(lab.address)
    fault = await hatwist(lab, "alpha", "status", "default")
    assert fault.status == 2
    why = await hatwist(lab, "alpha", "why")
    assert why.text.startswith(
        "Nobody holds default. alpha (this node) is drained (hatwist undrain ends it)"
    )
    undrained = await hatwist(lab, "alpha", "undrain")
    assert undrained.status == 0
    await lab.judge.mark()
    assert lab.judge.holders(lab.address) == {"alpha"}


@pytest_twisted.ensureDeferred
async def test_why(lab: Lab) -> None:
    """Each host tells who holds, since when and why, and what it is itself waiting for."""
    await lab.settle()
    lab.lan.isolate("gamma")
    await lab.programs["beta"].says("peer-left gamma")
    said = await hatwist(lab, "beta", "why", "default")
    assert re.fullmatch(
        r"alpha holds default with term \d+, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \([^)]+\): .+\. "
        r"beta \(this node\) is ready, and less worthy \(fit, priority 110\) than alpha \(fit, priority 120\)\. "
        r"gamma has not been heard for .+ s\. "
        r"beta takes it over when alpha stops, is drained, becomes unfit, or is silent for 0\.35 s\. "
        r"gamma is not heard\. If the network is split, another node may hold default too: .+\.",
        said.text,
    ), said.text
    lab.lan.healAll()
    full = await hatwist(lab, "alpha", "why", "--full")
    lines = full.text.splitlines()
    assert any(re.fullmatch(r"[\d-]+ [\d:.]+ packet   beta .+", line) for line in lines)
    assert any("STANDBY -> ACTIVE, term " in line for line in lines if " decided " in line)
    assert any(re.search(r" told     held default$", line) for line in lines)


@pytest_twisted.ensureDeferred
async def test_history(lab: Lab) -> None:
    """The history has the changes of all nodes with their causes, also those before a restart."""
    await lab.settle()
    lab.programs["alpha"].kill()
    await lab.programs["alpha"].ended()
    await lab.programs["beta"].says("STANDBY -> ACTIVE")
    why = await hatwist(lab, "beta", "why")
    assert "alpha died or hangs; its guard released default" in why.text
    assert (await status(lab, "beta"))["nodes"]["alpha"]["fenced"]
    await lab.settle()
    lab.programs["gamma"].stop()
    await lab.programs["gamma"].ended()
    await lab.settle()
    said = await hatwist(lab, "gamma", "history")
    for words in (
        r"default: alpha ACTIVE -> SHUTDOWN, term \d+: died or hung: the guard released default",
        r"default: beta STANDBY -> ACTIVE, term \d+: ",
        r"default: beta ACTIVE -> STANDBY, term \d+: handed over to alpha",
        "default: gamma STANDBY -> SHUTDOWN: stopped",
    ):
        assert re.search(words, said.text), (words, said.text)
    last = await hatwist(lab, "gamma", "history", "-n", "2", "--json")
    assert [json.loads(line)["group"] for line in last.text.splitlines()] == ["default"] * 2


@pytest_twisted.ensureDeferred
async def test_cutOff(lab: Lab) -> None:
    """
    Without votes both sides of a cut hold: each says so, the one that hears nobody before anything else. When it
    has healed, nobody is said to have taken over who held all along.
    """
    await lab.settle()
    lab.lan.isolate("alpha")
    for name, words in (("alpha", "peer-left gamma"), ("beta", "default: STANDBY -> ACTIVE")):
        await lab.programs[name].says(words)
    await lab.programs["alpha"].says("peer-left beta")
    alone = "alpha hears no other node: it may be the one that is cut off. Look at the others: beta and gamma."
    shown = await hatwist(lab, "alpha", "status")
    assert (shown.text.splitlines()[0], shown.status) == (alone, 5), shown
    why = await hatwist(lab, "alpha", "why")
    assert why.text.startswith(f"{alone}\n\nalpha holds default with term "), why
    assert "If alpha is the one that is cut off, another may hold default too." in why.text
    other = await hatwist(lab, "beta", "status")
    assert other.status == 0
    torn = "alpha is not heard. If the network is split, another node may hold default too"
    assert torn in other.text
    assert torn in (await hatwist(lab, "beta", "why")).text
    lab.lan.isolate("gamma")
    await lab.programs["gamma"].says("peer-left beta")
    blind = await hatwist(lab, "gamma", "status")
    lab.lan.healAll()
    assert blind.status in (5, 6)  # it may have claimed meanwhile
    await lab.untilOnly("alpha")
    await lab.elapse(2 * lab.tolerance)
    told = (await hatwist(lab, "beta", "history", "-n", "20")).text
    assert re.search(
        r"alpha SILENT -> ACTIVE, term \d+: heard again; it had held all along", told
    ), told
    since = [(await status(lab, name))["groups"]["default"]["since"] for name in ("alpha", "beta")]
    assert abs(since[0] - since[1]) < 1, since


@pytest_twisted.ensureDeferred
async def test_otherKey(lab: Lab, tmp_path: Path) -> None:
    """A node with another key than the rest says that it rejects what arrives, from whom and why; so do the rest."""
    key = tmp_path / "key"
    key.write_bytes(b"a key that nobody else has, really")
    key.chmod(0o600)
    await lab.settle()
    lab.programs["gamma"].stop()
    await lab.programs["gamma"].ended()
    # Its own history would name the others, too.
    argv = [*haDaemon(lab, "gamma"), "--key-file", str(key), "--state-dir", str(tmp_path / "state")]
    stranger = lab.host("gamma").spawn(reactor, argv)
    await stranger.says("Dropped a packet from 10.99.0.")
    shown = await hatwist(lab, "gamma", "status")
    first = shown.text.splitlines()[0]
    assert re.match(
        "gamma hears no other node: it rejects what arrives, since 10.99.0.[12] does not sign its heartbeats",
        first,
    ), shown
    assert shown.status == 6
    assert re.search(r"^default +unknown", shown.text, re.MULTILINE), shown
    await lab.programs["alpha"].says("Dropped a packet from 10.99.0.3")
    other = await hatwist(lab, "alpha", "status")
    assert "10.99.0.3 signs its heartbeats, and this node has no key_file: " in other.text
    assert not other.text.startswith("alpha hears no other node")
    stranger.stop()
    await stranger.ended()


@pytest_twisted.ensureDeferred
async def test_announce(lab: Lab) -> None:
    """The LAN is told again, now; a standby has nothing to tell."""
    await lab.settle()
    # Let the announcements of the takeover pass.
    capture = Capture(lab.lan.client, reactor)
    try:

        def announced(frame: Frame) -> bool:
            return frame.kind == 0x0806 and frame.data[28:32] == socket.inet_aton(lab.address)

        before = len([f for f in capture.frames if announced(f)])
        said = await hatwist(lab, "alpha", "announce")
        assert said == ("announced: default", 0)
        await capture.until(announced, "an announcement")
        assert len([f for f in capture.frames if announced(f)]) > before
    finally:
        capture.close()
    said = await hatwist(lab, "beta", "announce")
    assert said == ("hatwist: nothing is held here, so there is nothing to announce", 1)


@pytest_twisted.ensureDeferred
async def test_logLevel(lab: Lab) -> None:
    """The daemon's log can be made quieter and louder while it runs."""
    await lab.settle()
    program = lab.programs["beta"]

    def changes() -> int:
        return sum(" -> " in line for line in program.lines)

    said = await hatwist(lab, "beta", "log-level", "warn")
    assert said == ("the log level of hatwist is now warn", 0)
    before = changes()
    await hatwist(lab, "beta", "move", "default", "beta")
    await lab.elapse(lab.interval)
    assert changes() == before
    await hatwist(lab, "beta", "log-level", "info", "hatwist.runtime.reporter")
    await hatwist(lab, "beta", "move", "default")
    await program.says(
        "ACTIVE -> STANDBY, term .*: moved to alpha|ACTIVE -> STANDBY.* by the operator"
    )
    wrong = await hatwist(lab, "beta", "log-level", "loud")
    assert wrong.status == 2


@pytest_twisted.ensureDeferred
async def test_reload(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """The file is read again: what differs is told and done, what is wrong is told and not done."""
    file = tmp_path / "hatwist.toml"
    text = """
cluster = "again"
interface = "eth0"
interval = 0.1
[node.alpha]
[group.default]
resources = [{address = "10.99.0.100/24"}]
"""
    file.write_text(text)
    argv = [*daemons.TWISTD, *daemons.FOREGROUND, "ha", "--config", str(file), "--node", "alpha"]
    program = lan.host("alpha").spawn(reactor, argv)
    await judge.untilHeldBy(ADDRESS, "alpha")
    command = ("reload", "--control", "/run/hatwist/again.alpha.sock")
    assert await run(lan, "alpha", *command) == ("nothing has changed", 0)
    file.write_text(text.replace('"}]', '"}, {address = "10.99.0.101/24"}]'))
    with_ = "group default: with 10.99.0.101/24"
    assert await run(lan, "alpha", *command, "--dry-run") == (with_, 0)
    assert "10.99.0.101/24" not in lan.host("alpha").addresses()
    said = await run(lan, "alpha", *command)
    assert re.fullmatch(rf"{with_}\ndone, [0-9.]+ m?s after the command", said.text), said
    assert said.status == 0
    await judge.untilHeldBy("10.99.0.101", "alpha")
    assert await run(lan, "alpha", *command, "--dry-run") == ("nothing has changed", 0)
    file.write_text(text.replace('"}]', '"}, {address = "10.98.0.101/24"}]'))
    for option in ([], ["--dry-run"]):
        wrong = await run(lan, "alpha", *command, *option)
        assert wrong.status == 1
        assert "  group default: 10.98.0.101/24: no interface is connected" in wrong.text
    checked = await run(lan, "alpha", "check", str(file), "--node", "alpha", "--here")
    assert checked.status == 1
    assert f"{file}: group default: 10.98.0.101/24: no interface is connected" in checked.text
    file.write_text(text.replace("interval", "intervall"))
    wrong = await run(lan, "alpha", *command)
    assert wrong.status == 1
    assert "hatwist: not reloaded, and the old configuration goes on:" in wrong.text
    assert "interval" in wrong.text.splitlines()[1]
    assert "10.99.0.101" in {bare.split("/")[0] for bare in lan.host("alpha").addresses()}
    program.stop()
    await daemons.ended(program)


@pytest_twisted.ensureDeferred
async def test_watch(lab: Lab) -> None:
    """On a terminal it is drawn anew in place, with a dead standby in red; elsewhere line after line."""
    await lab.settle()
    plain = await hatwist(lab, "alpha", "watch", "--count", "2")
    assert plain.status == 0
    assert plain.text.count("GROUP    HOLDER") == 2
    assert "\x1b" not in plain.text
    lab.programs["gamma"].stop()
    await lab.programs["gamma"].ended()
    terminal = (sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)")
    live = await run(
        lab.lan,
        "alpha",
        *("watch", "--control", place("alpha"), "--count", "2"),
        wrapper=terminal,
    )
    assert live.status == 0
    assert live.text.count("\x1b[H") == 3  # cleared once, drawn twice
    assert re.search("\x1b\\[31mgamma +default +SHUTDOWN", live.text)
    assert live.text.rstrip().endswith("\x1b[?25h")


@pytest_twisted.ensureDeferred
async def test_watchEnds(lab: Lab) -> None:
    """Watch lives through a restart of the daemon, shows changes at once, and ends with Ctrl-C and 0."""
    await lab.settle()
    argv = [*HATWIST, "watch", "--control", place("beta")]
    watching = lab.host("beta").spawn(reactor, argv)
    await watching.says(r"^beta \(here\) +default +STANDBY")
    lab.programs["beta"].stop()
    await lab.programs["beta"].ended()
    await watching.says("no daemon is running|closed the connection")
    lab.run("beta")
    seen = len(watching.lines)
    await lab.programs["beta"].says("peer-joined alpha")
    while not any(line.startswith("beta (here)") for line in watching.lines[seen:]):
        await lab.elapse(0.05)
    os.kill(watching.pid, signal.SIGINT)
    assert await watching.ended() == 0, watching.tail()


@pytest_twisted.ensureDeferred
async def test_frozen(lab: Lab) -> None:
    """A daemon that hangs is told from one that does not run."""
    await lab.settle()
    lab.programs["gamma"].freeze()
    try:
        said = await hatwist(lab, "gamma", "status")
    finally:
        lab.programs["gamma"].thaw()
    assert said.status == 4
    assert "did not answer within 5 s" in said.text


@pytest_twisted.ensureDeferred
async def test_abuse(lab: Lab) -> None:
    """Clients that flood, hang, or never read, do not delay heartbeats, and others are answered meanwhile."""
    await lab.settle()
    flood = (
        "import socket, sys\n"
        "from hatwist.frontends.control import boxes\n"
        "box = {b'_command': b'Status', b'_ask': b'1', b'arguments': b'{}'}\n"
        "data = boxes.encode(box) * 1000\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "sock.connect(sys.argv[1])\n"
        "print('flooding', flush=True)\n"
        "while True: sock.send(data)\n"
    )
    hanging = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    host = lab.host("alpha")
    flooding = []
    try:
        for sock in hanging:
            sock.connect(place("alpha"))
            sock.sendall(b"\0\x08_comm")
        for _ in range(2):
            flooding.append(host.spawn(reactor, [sys.executable, "-c", flood, place("alpha")]))
            await flooding[-1].says("flooding")
        gaps: list[float] = []
        for _ in range(3):
            capture = Capture(lab.lan.client, reactor)
            await lab.elapse(2.0)
            capture.close()
            beats = [
                f.time
                for f in capture.frames
                if f.data[26:30] == socket.inet_aton(host.ipv4())
                and f.data[36:38] == PORT.to_bytes(2)
            ]
            gaps.append(max(b - a for a, b in pairwise(beats)))
            if gaps[-1] < 2 * lab.interval:
                break
        # Otherwise it was the machine that stood still, and that three times.
        assert min(gaps) < 2 * lab.interval, gaps
        said = await hatwist(lab, "alpha", "status")
        assert said.status == 0, said
        print(f"longest gap between heartbeats while flooded: {min(gaps):.3f} s")
    finally:
        for sock in hanging:
            sock.close()
        for program in flooding:
            program.kill()
            await program.ended()


@pytest_twisted.ensureDeferred
async def test_leftBehind(lab: Lab) -> None:
    """A killed daemon's socket does not keep the next one from starting; a living one's does."""
    await lab.settle()
    lab.programs["gamma"].kill()
    await lab.programs["gamma"].ended()
    assert Path(place("gamma")).exists()
    lab.run("gamma")
    await lab.settle()  # until the others hear it too, status tells that they do not
    assert (await hatwist(lab, "gamma", "status")).status == 1
    rival = daemons.start(
        lab.host("gamma"), "--address", CIDR, "--control", place("gamma"), priority=1
    )
    assert await rival.ended() == 1
    assert f"another daemon is listening on {place('gamma')}" in rival.tail()


@pytest_twisted.ensureDeferred
async def test_off(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """The socket can be elsewhere, or nowhere; it is for the owner alone, and goes with its daemon."""
    elsewhere = Path("/run/elsewhere.sock")
    options = ("--address", CIDR, "--cluster", "off", "--control")
    alpha = daemons.start(lan.host("alpha"), *options, str(elsewhere))
    beta = daemons.start(lan.host("beta"), *options, "none")
    await daemons.heldAndKnown(judge, lan.host("alpha"), alpha, beta)
    assert elsewhere.stat().st_mode & 0o777 == 0o600
    assert not list(Path("/run/hatwist").glob("off.*"))
    said = await run(lan, "alpha", "status", "--control", str(elsewhere))
    assert said.status == 0, said
    alpha.stop()
    await daemons.ended(alpha)
    assert not elsewhere.exists()


@pytest_twisted.ensureDeferred
async def test_jsonLog(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Both twist and twistd can log JSON, in which each role change has its fields."""
    for command in (
        (*TWIST[:-1], "--log-format=json"),
        (*daemons.TWISTD, *daemons.FOREGROUND, "--logger=hatwist.frontends.logs.json"),
    ):
        program = daemons.start(lan.host("alpha"), "--address", CIDR, command=command)
        await judge.untilHeldBy(ADDRESS, "alpha")
        program.stop()
        await daemons.ended(program)
        events = []
        for line in program.lines:
            text = line.strip("\x1e")
            if text.startswith("{"):
                events.append(json.loads(text))
        changes = [
            {key: event[key] for key in ("group", "old", "new", "reason")}
            for event in events
            if "old" in event
        ]
        assert changes == [
            {"group": "default", "old": "-", "new": "STANDBY", "reason": "started, listening"},
            {
                "group": "default",
                "old": "STANDBY",
                "new": "ACTIVE",
                "reason": "no holder was heard",
            },
            {"group": "default", "old": "ACTIVE", "new": "SHUTDOWN", "reason": "stopped"},
        ], program.tail()
        await judge.untilHeldBy(ADDRESS)
