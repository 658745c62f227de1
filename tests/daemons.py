"""C{twistd ha} on hosts of the lab, as the live tests start it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host
from hatwist.lab.program import Program

ADDRESS = "10.99.0.100"
CIDR = "10.99.0.100/24"
INTERVAL, TOLERANCE = 0.1, 0.35
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
TWIST = (
    *(sys.executable, "-c", "from twisted.application.twist._twist import Twist; Twist.main()"),
    "--log-format=text",
)
# twistd ends itself, when all is done, with the signal that it was sent
ORDERLY = (0, 128 + signal.SIGTERM, 128 + signal.SIGINT)
FOREGROUND = ("--nodaemon", "--pidfile=")


def options(host: Host, *more: str, priority: int | None = None) -> list[str]:
    """What follows C{ha}: heartbeats on eth0, fast; the host with the lower number is the worthier."""
    return [
        *("--node", host.name),
        *("--interface", "eth0", "--interval", str(INTERVAL), "--tolerance", str(TOLERANCE)),
        *("--priority", str(200 - host.number if priority is None else priority)),
        *more,
    ]


def start(
    host: Host,
    *more: str,
    priority: int | None = None,
    command: tuple[str, ...] = (*TWISTD, *FOREGROUND),
    env: Mapping[str, str] | None = None,
) -> Program:
    """Start C{twistd ha} there, with these options too."""
    argv = [*command, "ha", *options(host, *more, priority=priority)]
    return host.spawn(reactor, argv, None if env is None else {**os.environ, **env})


async def ended(program: Program) -> float:
    """Wait for its end in good order; the result is how many seconds that took."""
    clock: Any = reactor
    began = clock.seconds()
    status = await program.ended(10.0)
    assert status in ORDERLY, f"{status}: {program.tail()}"
    took: float = clock.seconds() - began
    return took


def roles(program: Program) -> list[str]:
    """Its lines about changes of role."""
    return [line for line in program.lines if " -> " in line]


async def heldAndKnown(
    judge: LabJudge, holder: Host, *programs: Program, address: str = ADDRESS
) -> None:
    """
    Wait until C{holder} alone holds the address, each program has seen each other, and none
    still listens: before a tolerance has passed a node succeeds nobody.
    """
    for program in programs:
        for other in programs:
            if other is not program:
                await program.says(f"peer-joined {other.name.split()[-1]}: heard")
    await deferLater(reactor, TOLERANCE + INTERVAL)
    await judge.untilHeldBy(address, holder.name)


async def until(condition: Callable[[], object], why: Callable[[], str] = str) -> None:
    """
    Wait for C{condition()} to be true, ten seconds at most.

    @param why: asked only when it did not come true; what is then told beside that.
    """
    clock: Any = reactor
    end = clock.seconds() + 10.0
    while not condition():
        assert clock.seconds() < end, f"it did not come true within 10 s {why()}".strip()
        await deferLater(reactor, 0.01)


def processes() -> str:
    """What every other process of this world does now: a line each, down to what it waits for in the kernel."""
    found = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        words = {
            name: _read(pid, name) for name in ("cmdline", "stat", "wchan", "syscall", "stack")
        }
        if pid not in (1, os.getpid()) and words["stat"]:
            _, state, parent, *_ = words["stat"].rpartition(")")[2].split(" ")
            waits = " < ".join(line.split()[-1] for line in words["stack"].splitlines()[:6])
            called = " ".join(words["cmdline"].split("\0"))[-160:]
            found.append(
                f"{pid} of {parent}: {state} {waits or words['wchan']} [{words['syscall'].strip()}] {called}"
            )
    return "\n".join(found)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""
