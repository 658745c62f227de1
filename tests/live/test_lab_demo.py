"""C{hatwist lab}: the demo, run as its user runs it, with the real daemons."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys

from hatwist.lab import world

COMMAND = [sys.executable, "-m", "hatwist.frontends.cli", "lab"]
# The world of these tests is not the demo's: let it make its own, as outside.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != world.MARK},
    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
}


def demo(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *argv],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def begun() -> subprocess.Popen[str]:
    """A demo that has its daemons running and plays a long scenario."""
    program = subprocess.Popen(
        [*COMMAND, "loss-30-long"],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever runs these tests in the background of a shell has Ctrl-C ignored, and all below do so too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert program.stdout is not None
    for line in program.stdout:
        if line.startswith("loss-30-long"):
            return program
    raise AssertionError(f"the demo ended early, with {program.wait(timeout=5)}")


def rest(program: subprocess.Popen[str]) -> str:
    """What it still says, until nobody is left who could write to its output."""
    assert program.stdout is not None
    with program.stdout as pipe:
        assert select.select([pipe], [], [], 10.0)[0]
        return pipe.read()


def test_table() -> None:
    """A played scenario ends with its line in a table, and exit status 0."""
    done = demo("power-loss")
    assert done.returncode == 0, done.stderr + done.stdout
    line = next(text for text in done.stdout.splitlines() if text.startswith("power-loss"))
    assert line.split()[-1] == "ok"
    assert "1 of 1 within the bounds" in done.stdout
    assert "power-loss: outage" in done.stderr


def test_json() -> None:
    """With --json standard output is one JSON value, with every run."""
    done = demo("clean-stop", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(done.stdout)
    assert result["ok"]
    assert [run["scenario"] for run in result["runs"]] == ["clean-stop"]


def test_unknownScenario() -> None:
    """A scenario that does not exist is refused with those that do."""
    done = demo("earthquake")
    assert done.returncode == 2
    assert "earthquake" in done.stderr
    assert "power-loss" in done.stderr


def test_interrupted() -> None:
    """Ctrl-C and SIGTERM end the demo in order, with exit status 130, and leave no process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        program = begun()
        program.send_signal(number)
        said = rest(program)
        assert program.wait(timeout=5) == 130
        assert "interrupted" in said
        assert "Traceback" not in said


def test_killed() -> None:
    """SIGKILL of the demo leaves no process."""
    program = begun()
    program.kill()
    rest(program)
    assert program.wait(timeout=5) == -signal.SIGKILL


def test_worldImpossible() -> None:
    """Where no private world can be made: one message, exit status 77."""
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *COMMAND],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == world.IMPOSSIBLE
    assert done.stdout == ""
    assert done.stderr.startswith("hatwist: this machine does not allow a private network")
