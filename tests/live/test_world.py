"""The private world itself: what runs in it, and that nothing is left of it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from hatwist.lab import world

ENTER = [sys.executable, "-m", "hatwist.lab.world", "--"]


def enter(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ENTER, *argv], capture_output=True, text=True, timeout=20, check=False)


def test_exitStatus() -> None:
    """The exit status is the command's."""
    assert enter("sh", "-c", "exit 7").returncode == 7


def test_killedCommand() -> None:
    """A command that signal N ended gives 128 + N."""
    assert enter("sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_missingCommand() -> None:
    """A command that does not exist gives 127 and its name."""
    done = enter("/nonexistent/program")
    assert done.returncode == 127
    assert "/nonexistent/program" in done.stderr


def test_insideItIsPrivate() -> None:
    """Inside, one is root, sees only a loopback interface, which is up, and pid 1 is ours."""
    done = enter("sh", "-c", "id -u; cat /proc/net/dev | tail -n +3; cat /proc/1/cmdline; ls /run")
    user, interface, init = done.stdout.splitlines()
    assert user == "0"
    assert interface.split(":")[0].strip() == "lo"
    assert "hatwist.lab.world" in init


def test_keepsDirectoryAndEnvironment() -> None:
    """The command runs in the caller's directory with the caller's environment, and a mark."""
    done = subprocess.run(
        [*ENTER, "sh", "-c", f'pwd; echo "$COLOUR ${world.MARK}"'],
        cwd="/usr",
        env={**os.environ, "COLOUR": "blue", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stdout.splitlines() == ["/usr", "blue 1"]


ORPHAN = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.write(write, b"%d" % os.getpid())
        os._exit(0)
    os._exit(0)
os.wait()
orphan = os.read(read, 20).decode()
end = time.monotonic() + 5
while os.path.exists("/proc/" + orphan) and time.monotonic() < end:
    os.sched_yield()
print(os.path.exists("/proc/" + orphan))
"""


def test_orphansAreReaped() -> None:
    """A process whose parent has died before it leaves no zombie."""
    assert enter(sys.executable, "-c", ORPHAN).stdout == "False\n"


def _started() -> subprocess.Popen[bytes]:
    """A world with a process in a session of its own, all of them holding our pipe."""
    program = subprocess.Popen(
        [*ENTER, "sh", "-c", "setsid sleep 300 & trap '' TERM; echo up; sleep 300; sleep 300"],
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"up\n"
    return program


def _everybodyGone(program: subprocess.Popen[bytes]) -> bool:
    """The end of the pipe means that nobody is left to write to it."""
    assert program.stdout is not None
    with program.stdout as pipe:
        return bool(select.select([pipe], [], [], 5.0)[0]) and pipe.read() == b""


def test_nothingLeftAfterKill() -> None:
    """SIGKILL of the outermost process ends everything inside, other sessions included."""
    program = _started()
    program.kill()
    program.wait(timeout=5)
    assert _everybodyGone(program)


def test_nothingLeftAfterKillOfTheGate() -> None:
    """SIGKILL of the process in between ends everything inside, and is the caller's status."""
    program = _started()
    with open(f"/proc/{program.pid}/task/{program.pid}/children") as children:
        (gate,) = children.read().split()
    os.kill(int(gate), signal.SIGKILL)
    assert program.wait(timeout=5) == 128 + signal.SIGKILL
    assert _everybodyGone(program)


def test_nothingLeftAfterEnd() -> None:
    """When the command ends, so does whatever it left running."""
    program = subprocess.Popen(
        [*ENTER, "sh", "-c", "setsid sleep 300 & exit 0"], stdout=subprocess.PIPE
    )
    assert program.wait(timeout=5) == 0
    assert _everybodyGone(program)


COUNTER = """
import os, signal
signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print("up", flush=True)
first = signal.sigwaitinfo(signals)
second = signal.sigtimedwait(signals, 0.3)
print(first.si_signo, second and second.si_signo)
"""


def _signalled(number: int, group: bool) -> bytes:
    program = subprocess.Popen(
        [*ENTER, sys.executable, "-c", COUNTER], stdout=subprocess.PIPE, start_new_session=True
    )
    assert program.stdout is not None
    with program.stdout as pipe:
        assert pipe.readline() == b"up\n"
        (os.killpg if group else os.kill)(program.pid, number)
        said = pipe.read()
    program.wait(timeout=5)
    return said


def test_signalsAreForwarded() -> None:
    """INT, TERM and HUP sent to the outermost process reach the command, once."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        assert _signalled(number, group=False) == b"%d None\n" % number


def test_signalsToTheGroupComeOnce() -> None:
    """A signal sent to the whole process group, as timeout(1) does, reaches the command once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        assert _signalled(number, group=True) == b"%d None\n" % number


def test_forbidden() -> None:
    """Where the machine forbids it: exit status 77, one message, and the command not run."""
    done = enter(
        *("setpriv", "--bounding-set=-all", "--inh-caps=-all"),
        *(*ENTER, "echo", "ran"),
    )
    assert done.returncode == world.IMPOSSIBLE
    assert "ran" not in done.stdout
    assert "does not allow a private network" in done.stderr
