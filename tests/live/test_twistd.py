"""C{twistd ha} and C{twist ha}, run as an administrator runs them: signals, options, daemons."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import LabLan
from tests.daemons import (
    ADDRESS,
    CIDR,
    FOREGROUND,
    TOLERANCE,
    TWIST,
    TWISTD,
    ended,
    heldAndKnown,
    roles,
    start,
    until,
)

COMMANDS = {"twistd": (*TWISTD, *FOREGROUND), "twist": TWIST}
NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
IFUP = """\
#!/bin/sh
exec ip address replace 10.99.0.101/24 dev eth0 label eth0:1
"""
IFDOWN = """\
#!/bin/sh
test -e {directory}/hang && {{ touch {directory}/hangs; sleep 600; }}
ip address delete 10.99.0.101/24 dev eth0 2>/dev/null
"""


@pytest.fixture
def fakes(tmp_path: Path) -> Path:
    """A directory with an ifup, and an ifdown that hangs while there is a file C{hang} beside it."""
    for name, text in (("ifup", IFUP), ("ifdown", IFDOWN.format(directory=tmp_path))):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("command", COMMANDS)
@pytest_twisted.ensureDeferred
async def test_stopped(lan: LabLan, judge: LabJudge, command: str, number: signal.Signals) -> None:
    """A daemon told to stop releases, says goodbye, and ends; the next holds at once, and never both."""
    alpha, beta = (
        start(lan.host(name), "--address", CIDR, command=COMMANDS[command])
        for name in ("alpha", "beta")
    )
    await heldAndKnown(judge, lan.host("alpha"), alpha, beta)
    began = await judge.watch(ADDRESS)
    await judge.untilAnsweredBy(ADDRESS, "alpha")
    os.kill(alpha.pid, number)
    assert await ended(alpha) < 2.0
    await judge.untilHeldBy(ADDRESS, "beta")
    await judge.untilAnsweredBy(ADDRESS, "beta")
    report = await judge.report(ADDRESS, began)
    assert report.twoHolders == 0.0
    assert report.noHolder < TOLERANCE / 2
    assert re.search(r"default: ACTIVE -> SHUTDOWN, term \d+: stopped$", roles(alpha)[-1])
    assert alpha.status == 128 + number
    assert "Traceback" not in alpha.tail(1000)


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_stoppedWhileIfdownHangs(lan: LabLan, judge: LabJudge, fakes: Path) -> None:
    """With an ifdown that hangs a stop takes less than two seconds all the same, releases, and says goodbye."""
    env = {"PATH": f"{fakes}:{os.environ['PATH']}"}
    more = ("--alias", "eth0:1", "--address", CIDR)
    alpha = start(lan.host("alpha"), *more, env=env)
    beta = start(lan.host("beta"), *more, env=env)
    await heldAndKnown(judge, lan.host("alpha"), alpha, beta)
    assert "10.99.0.101/24" in lan.host("alpha").addresses()
    (fakes / "hang").touch()
    alpha.stop()
    assert await ended(alpha) < 2.0
    assert (fakes / "hangs").exists()
    assert lan.host("alpha").addresses() == ["10.99.0.1/24", *_ipv6(lan, "alpha")]
    assert await beta.says("peer-left alpha: it said goodbye")
    assert not [pid for pid in lan.host("alpha").namespace.processes() if pid != os.getpid()]
    (fakes / "hang").unlink()
    await judge.untilHeldBy(ADDRESS, "beta")


def _ipv6(lan: LabLan, name: str) -> list[str]:
    return [address for address in lan.host(name).addresses() if ":" in address]


@pytest.mark.parametrize("command", COMMANDS)
@pytest_twisted.ensureDeferred
async def test_otherSignals(lan: LabLan, judge: LabJudge, command: str) -> None:
    """SIGHUP reads the same anew, SIGUSR1 does nothing: neither ends or moves anything."""
    alpha = start(lan.host("alpha"), "--address", CIDR, command=COMMANDS[command])
    await judge.untilHeldBy(ADDRESS, "alpha")
    began = await judge.mark()
    os.kill(alpha.pid, signal.SIGHUP)
    await alpha.says("Reloaded: nothing has changed")
    os.kill(alpha.pid, signal.SIGUSR1)
    await alpha.says("SIGUSR1 is ignored")
    report = await judge.report(ADDRESS, began)
    assert report.noHolder == 0.0
    assert alpha.status is None
    alpha.stop()
    await ended(alpha)


JOURNALLED = (
    *("sh", "-c"),
    'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/$$/fd/1) exec "$@" 2>&1',
    "sh",
)
"""The output is what the journal would read."""


@pytest_twisted.ensureDeferred
async def test_journal(lan: LabLan, judge: LabJudge) -> None:
    """Where the journal reads the output, each line has its priority and no time: also those of a start that fails."""
    host = lan.host("alpha")
    command = (*JOURNALLED, *TWISTD, *FOREGROUND)
    wrong = start(host, command=command)
    assert await wrong.ended() == 1
    assert [line[:3] for line in wrong.lines] == ["<3>", "<3>"], wrong.tail()
    alpha = start(host, "--address", CIDR, command=command)
    await judge.untilHeldBy(ADDRESS, "alpha")
    await alpha.says(r"^<6>\[hatwist\.[\w.]+#info\] default: STANDBY -> ACTIVE")
    os.kill(alpha.pid, signal.SIGUSR1)
    await alpha.says(r"^<4>\[hatwist\.frontends\.[\w.]*#warn\] SIGUSR1 is ignored")
    alpha.stop()
    await ended(alpha)
    assert not [line for line in alpha.lines if not re.match(r"<[2-7]>\[", line)], alpha.tail()


HUNG_UP = """
import os, signal, sys

class HangUp:
    def find_spec(self, name, path=None, target=None):
        if name == "hatwist.frontends.tap":
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, HangUp())
from twisted.scripts.twistd import run
run()
"""


@pytest_twisted.ensureDeferred
async def test_hungUpEarly(lan: LabLan, judge: LabJudge) -> None:
    """SIGHUP while a daemon starts, which is mostly imports, does not end it: it is answered once it runs."""
    command = (sys.executable, "-c", HUNG_UP, *FOREGROUND)
    alpha = start(lan.host("alpha"), "--address", CIDR, command=command)
    await alpha.says("Reloaded: nothing has changed")
    await judge.untilHeldBy(ADDRESS, "alpha")
    alpha.stop()
    await ended(alpha)


@pytest_twisted.ensureDeferred
async def test_addresses() -> None:
    """IPv4 and IPv6 addresses, also on another interface than the heartbeats', are held and let go of together."""
    lan = LabLan(("alpha", "beta"), links=2)
    judge = LabJudge(lan, reactor)
    shared = ["10.99.0.100", "fd99::100", "10.77.0.1", "fd77::1"]
    given = ["10.99.0.100/24", "fd99::100/64", "10.77.0.1/24@eth1", "fd77::1/64@eth1"]
    more = [word for address in given for word in ("--address", address)]
    try:
        await judge.start()
        alpha, beta = (start(lan.host(name), *more) for name in ("alpha", "beta"))
        for address in shared:
            await heldAndKnown(judge, lan.host("alpha"), alpha, beta, address=address)
        on = lan.host("alpha").run(["ip", "-o", "address", "show", "dev", "eth1"])
        assert "10.77.0.1/24" in on
        assert "fd77::1/64" in on
        lan.host("alpha").powerOff()
        await judge.untilHeldBy(shared[0], "beta")
        for address in shared:
            await judge.untilHeldBy(address, "beta")
        beta.stop()
        await ended(beta)
        for address in shared:
            await judge.untilHeldBy(address)
    finally:
        await judge.close()
        await lan.close()


@pytest_twisted.ensureDeferred
async def test_daemonKilled(lan: LabLan, judge: LabJudge) -> None:
    """A daemon that is killed leaves no address behind, and the next one has it at once."""
    host = lan.host("beta")
    first = start(host, "--address", CIDR)
    await judge.untilHeldBy(ADDRESS, "beta")
    since = await judge.mark()
    first.kill()
    await first.ended()
    await judge.untilHeldBy(ADDRESS)
    report = await judge.report(ADDRESS, since)
    assert report.twoHolders == 0


@pytest_twisted.ensureDeferred
async def test_noPermission(lan: LabLan) -> None:
    """Without the rights it needs it ends with 1 and one message that has every problem; nothing was touched."""
    host = lan.host("alpha")
    before = host.addresses()
    program = start(
        host,
        *("--address", "10.99.0.100", "--address", CIDR, "--priority", "999"),
        *("--interface", "eth7"),
        command=(*NO_RIGHTS, *TWISTD, *FOREGROUND),
    )
    assert await program.ended() == 1
    assert program.lines[0] == "twistd ha cannot start:"
    problems = [line.split()[0] for line in program.lines[1:]]
    assert problems == ["--address", "--priority", "--interface:", "not", "not"], program.tail()
    assert "'eth7'" in program.lines[3]
    assert "CAP_NET_ADMIN" in program.lines[4]
    assert "CAP_NET_RAW" in program.lines[5]
    assert host.addresses() == before


@pytest_twisted.ensureDeferred
async def test_someRights(lan: LabLan, judge: LabJudge) -> None:
    """The two capabilities that README names are enough: as a systemd unit's ambient ones, without any other."""
    rights = "-all,+net_admin,+net_raw"
    program = start(
        lan.host("alpha"),
        *("--address", CIDR),
        command=("setpriv", f"--bounding-set={rights}", *TWISTD, *FOREGROUND),
    )
    await judge.untilHeldBy(ADDRESS, "alpha")
    program.stop()
    await ended(program)
    await judge.untilHeldBy(ADDRESS)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ((), ("--adress", CIDR), "option --adress not recognized"),
        ((), ("--tolerance", "0.1", "--address", CIDR), "two intervals"),
        ((), (), "nothing to share"),
        ((), ("--address", CIDR, "--address", CIDR), "given twice"),
        ((), ("--address", CIDR, "--key-file", "/nonexistent"), "No such file"),
        (("--uid", "0"), ("--address", CIDR), "--uid of twistd takes away"),
        (("--chroot", "/srv"), ("--address", CIDR), "--chroot of twistd takes away"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest_twisted.ensureDeferred
async def test_wrong(
    lan: LabLan, before: tuple[str, ...], after: tuple[str, ...], message: str
) -> None:
    """What cannot be run ends with 1, one line for each problem, and no traceback."""
    host = lan.host("alpha")
    program = start(host, *after, command=(*TWISTD, *FOREGROUND, *before))
    assert await program.ended() == 1
    assert len(program.lines) == 2, program.tail()
    assert program.lines[0] == "twistd ha cannot start:"
    assert message in program.lines[1]


@pytest_twisted.ensureDeferred
async def test_wrongForTwist(lan: LabLan) -> None:
    """twist says and does the same."""
    program = start(lan.host("alpha"), "--priority", "999", command=TWIST)
    assert await program.ended() == 1
    assert program.lines[0] == "twistd ha cannot start:"
    assert len(program.lines) == 3


@pytest_twisted.ensureDeferred
async def test_help(lan: LabLan) -> None:
    """twistd and twist list the command and its options, and end with 0."""
    host = lan.host("alpha")
    for command in (TWISTD, TWIST):
        listed = host.spawn(reactor, [*command, "--help"])
        assert await listed.ended() == 0
        assert [line for line in listed.lines if line.split()[:1] == ["ha"]], listed.tail()
        shown = host.spawn(reactor, [*command, "ha", "--help"])
        assert await shown.ended() == 0
        assert [line for line in shown.lines if "--preempt-delay=" in line], shown.tail()


INTERRUPTED = """
import os, signal
from twisted.python import threadable
from twisted.scripts.twistd import run
from hatwist.runtime import reporter as reporting

armed = []

class Block:
    def __init__(self, lock):
        self.acquire_, self.release = lock.acquire, lock.release
    def acquire(self, *how):
        taken = self.acquire_(*how)
        if armed:
            armed.clear()
            os.kill(os.getpid(), signal.SIGTERM)
        return taken

def before(self, before=threadable._synchPre):
    lock = self.__dict__.get("_threadable_lock")
    if armed and lock is not None:
        lock._block = Block(lock._block)
    before(self)

def changed(self, change, changed=reporting.Reporter._changed):
    if change.new.name == "ACTIVE":
        armed.append(change)
    changed(self, change)

threadable._synchPre = before
reporting.Reporter._changed = changed
run()
"""


@pytest_twisted.ensureDeferred
async def test_interruptedLog(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """
    SIGTERM in the very instruction in which the lock of the log file was taken ends the daemon all the same.

    Python's handlers run between any two instructions; one that writes to that log waits for itself.
    """
    pidfile, log = tmp_path / "ha.pid", tmp_path / "ha.log"
    command = (sys.executable, "-c", INTERRUPTED, f"--pidfile={pidfile}", f"--logfile={log}")
    parent = start(lan.host("alpha"), "--address", CIDR, command=command)
    assert await ended(parent) < 10.0
    await judge.untilHeldBy(ADDRESS, "alpha")
    await judge.untilHeldBy(ADDRESS)
    await until(lambda: not pidfile.exists(), log.read_text)
    assert "ACTIVE -> SHUTDOWN" in log.read_text()


@pytest_twisted.ensureDeferred
async def test_daemonized(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """In the background, as twistd runs by default, it holds, logs to a file, and ends by its pid file."""
    pidfile, log = tmp_path / "ha.pid", tmp_path / "ha.log"
    command = (*TWISTD, f"--pidfile={pidfile}", f"--logfile={log}")
    parent = start(lan.host("alpha"), "--address", CIDR, command=command)
    assert await ended(parent) < 10.0
    await judge.untilHeldBy(ADDRESS, "alpha")
    pid = int(pidfile.read_text())
    assert pid != parent.pid
    os.kill(pid, signal.SIGHUP)
    os.kill(pid, signal.SIGTERM)
    await judge.untilHeldBy(ADDRESS)
    await until(lambda: not pidfile.exists(), log.read_text)
    said = log.read_text()
    assert "STANDBY -> ACTIVE" in said
    assert "ACTIVE -> SHUTDOWN" in said
    assert "Traceback" not in said


@pytest_twisted.ensureDeferred
async def test_daemonizedWrong(lan: LabLan, tmp_path: Path) -> None:
    """What cannot be run is said before it goes to the background, with 1."""
    pidfile = tmp_path / "ha.pid"
    command = (*TWISTD, f"--pidfile={pidfile}", f"--logfile={tmp_path / 'ha.log'}")
    program = start(lan.host("alpha"), command=command)
    assert await program.ended() == 1
    assert "nothing to share" in program.lines[1]
    assert not pidfile.exists()


@pytest_twisted.ensureDeferred
async def test_killedHard(lan: LabLan, judge: LabJudge) -> None:
    """A host whose power fails is succeeded after one tolerance, by the options as given."""
    alpha, beta = (start(lan.host(name), "--address", CIDR) for name in ("alpha", "beta"))
    await heldAndKnown(judge, lan.host("alpha"), alpha, beta)
    began = await judge.watch(ADDRESS)
    await judge.untilAnsweredBy(ADDRESS, "alpha")
    lan.host("alpha").powerOff()
    await judge.untilAnsweredBy(ADDRESS, "beta")
    report = await judge.report(ADDRESS, began)
    assert report.outage <= TOLERANCE + 0.1
    assert (await alpha.ended()) == 128 + signal.SIGKILL


@pytest_twisted.ensureDeferred
async def test_ownAddress(lan: LabLan, judge: LabJudge) -> None:
    """The address by which a host is on its network is not shared: refused, and it stays."""
    host = lan.host("alpha")
    program = start(host, "--address", f"{host.ipv4()}/24")
    await program.says(f"--address {host.ipv4()}/24: it is the address of this host itself on eth0")
    assert await program.ended() == 1
    assert host.ipv4() in host.run(["ip", "-4", "address", "show", "eth0"])
    host.addAddress("10.99.0.77/24")
    program = start(host, "--address", "10.99.0.77/24")
    await program.says("10.99.0.77/24 is on eth0, without hatwist's mark, and is deleted")
    program.stop()
    await ended(program)
