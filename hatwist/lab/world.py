"""
A private world for one command: user, network, mount and pid namespaces, and nothing left of them.

C{python -m hatwist.lab.world -- COMMAND [ARGUMENT...]} runs COMMAND as root of its own world, in
which interfaces may be made and broken freely. The exit status is the command's, 128 + N when
signal N ended it, 126 or 127 when it could not be run, and L{IMPOSSIBLE} (77) when this machine
does not allow such a world.

Four processes::

    caller ── gate ───────────── init ───────────── COMMAND
              makes the          pid 1: mounts,     and whatever
              namespaces         reaps, forwards    it starts

Each dies with its parent (PR_SET_PDEATHSIG), and with init the kernel ends its whole pid
namespace: SIGKILL of the caller leaves nothing. This file needs only the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import shlex
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

IMPOSSIBLE = 77
MARK = "HATWIST_WORLD"

# include/uapi/linux/sched.h, prctl.h, mount.h, if.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_PRIVATE_AND_BELOW = 1 << 18 | 1 << 14
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

FORWARDED = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
# Between our own processes a signal travels as the real-time signal of its number above SIGRTMIN.
RELAYED = {signal.SIGRTMIN + number: number for number in FORWARDED}
AWAITED = FORWARDED | RELAYED.keys() | {signal.SIGCHLD}
# Within this many seconds the same signal, to us and to the whole process group, is one.
SAME_SIGNAL = 0.5

# What forbids user namespaces, and the value that allows them.
SWITCHES = (
    ("kernel.unprivileged_userns_clone", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "0"),
    ("user.max_user_namespaces", "10000"),
    ("user.max_net_namespaces", "10000"),
)

libc = ctypes.CDLL(None, use_errno=True)


class WorldImpossible(Exception):
    """This machine does not allow a private world; the text says why and what to do."""


def inside() -> bool:
    """Is this process in a world made by L{enter}?"""
    return MARK in os.environ


def enter(argv: Sequence[str], again: Sequence[str] | None = None) -> int:
    """
    Run C{argv} in a private world, with this working directory and environment, and wait for it.

    @param again: the command to show behind "sudo" where this user may not do so; default: this
        module with C{argv}.
    @return: its exit status, as above.
    """
    try:
        return run(argv)
    except WorldImpossible as reason:
        root = os.geteuid() == 0
        print(advice(str(reason), again or _thisCommand(argv), root, _switches()), file=sys.stderr)
        return IMPOSSIBLE


def run(argv: Sequence[str]) -> int:
    """L{enter} without the advice: raises L{WorldImpossible}."""
    try:
        return _attempt(argv, CLONE_NEWUSER)
    except WorldImpossible:
        if os.geteuid() != 0:
            raise
        return _attempt(argv, 0)


def _attempt(argv: Sequence[str], userFlag: int) -> int:
    """Fork the gate, write its id maps if we may, wait, and relay signals."""
    sys.stdout.flush()
    sys.stderr.flush()
    oldMask = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    oldChild = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    caller, uid, gid = os.getpid(), os.geteuid(), os.getegid()
    failureRead, failureWrite = os.pipe()
    unshared = _Turn()
    mapped = _Turn()
    gate = os.fork()
    if gate == 0:
        os.close(failureRead)
        stage = "the start"
        try:
            _dieWithParent()
            if os.getppid() != caller:
                os._exit(1)
            stage = "unshare"
            flags = userFlag | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID
            succeed(libc.unshare(flags))
            # A change of credentials forgets the signal.
            _dieWithParent()
            if os.getppid() != caller:
                os._exit(1)
            unshared.pass_()
            mapped.await_()
            if userFlag and uid != 0:
                stage = "writing the id maps"
                _mapOnlyMe(uid, gid)
            _gate(argv, failureWrite, oldMask)
        except OSError as error:
            # ENOSPC is how the kernel says that a limit on namespaces is reached.
            said = "too many namespaces" if error.errno == errno.ENOSPC else error.strerror
            os.write(failureWrite, f"{stage}: {said}".encode())
        except Exception as error:
            os.write(failureWrite, f"{stage}: {error!r}".encode())
        finally:
            os._exit(IMPOSSIBLE)
    try:
        os.close(failureWrite)
        if unshared.await_() and userFlag and uid == 0:
            _mapEverybody(gate)
        mapped.pass_()
        status = _serve(gate, first=True)
        failure = os.read(failureRead, 4096).decode()
    except OSError as error:
        os.kill(gate, signal.SIGKILL)
        os.waitpid(gate, 0)
        raise WorldImpossible(str(error)) from error
    finally:
        os.close(failureRead)
        unshared.close()
        mapped.close()
        signal.signal(signal.SIGCHLD, oldChild or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, oldMask)
    if failure:
        raise WorldImpossible(failure)
    return status


class _Turn:
    """One process waits until a related one has come to some point, or has died."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._forkedFrom = os.getpid()

    def pass_(self) -> None:
        os.write(self._write, b"!")

    def await_(self) -> bool:
        os.close(self._write)
        self._write = -1
        return os.read(self._read, 1) == b"!"

    def close(self) -> None:
        for fd in (self._read, self._write):
            if fd >= 0:
                os.close(fd)


def _gate(argv: Sequence[str], failure: int, oldMask: Iterable[int]) -> NoReturn:
    """Stay in the outer pid namespace, as the parent of pid 1 of the new one."""
    lifeRead, lifeWrite = os.pipe()
    init = os.fork()
    if init:
        os.close(lifeRead)
        os.close(failure)
        os._exit(_serve(init))
    _dieWithParent()
    os.close(lifeWrite)
    # The parent is outside of our pid namespace: getppid() cannot tell, its end of this pipe can.
    if select.select([lifeRead], [], [], 0)[0]:
        os._exit(1)
    os.close(lifeRead)
    stage = "start"
    try:
        stage = "making the mounts private"
        _mount(None, "/", None, MS_PRIVATE_AND_BELOW)
        stage = "mounting /proc"
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        stage = "mounting /run"
        _mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV)
        stage = "setting the loopback interface up"
        _loopbackUp()
    except OSError as error:
        os.write(failure, f"{stage}: {error.strerror}".encode())
        os._exit(IMPOSSIBLE)
    os.close(failure)
    child = os.fork()
    if child == 0:
        _execute(argv, oldMask)
    os._exit(_serve(child, last=True))


def _execute(argv: Sequence[str], mask: Iterable[int]) -> NoReturn:
    """Become the command, as a shell would start it."""
    os.environ[MARK] = "1"
    # What a daemon remembers goes to the /run above: gone with this world.
    os.environ["STATE_DIRECTORY"] = "/run/hatwist"
    # Python ignores these two, and an exec would hand that on.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        os.execvp(argv[0], list(argv))
    except OSError as error:
        where = _closedDoor(argv[0])
        hint = f"; {where}; use a program (a Python) that this user may read" if where else ""
        print(f"hatwist: cannot run {argv[0]}: {error.strerror}{hint}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(127 if error.errno == errno.ENOENT else 126)


def _serve(child: int, first: bool = False, last: bool = False) -> int:
    """
    Wait for C{child} and pass signals on to it.

    What somebody sent to the C{first} in the row, the C{last} gives to the command. What was sent
    to the whole process group (Ctrl-C at a terminal by the kernel, others by timeout(1) and its
    like) has reached the command already, as it has reached C{last}, and must not come twice.

    @param first: we are the process that everybody knows.
    @param last: C{child} is the command, and we are its pid 1, so reap orphans too.
    @return: its exit status, 128 + N when signal N ended it.
    """
    toAll: dict[int, float] = {}
    while True:
        while True:
            pid, status = os.waitpid(-1 if last else child, os.WNOHANG)
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return 128 - code if code < 0 else code
            if pid == 0:
                break
        heard = signal.sigwaitinfo(AWAITED)
        number, now = heard.si_signo, time.monotonic()
        if number in RELAYED and not last:
            os.kill(child, number)
        elif number in RELAYED:
            number = RELAYED[number]
            together = os.getpgid(child) == os.getpgrp()
            if not together or now - toAll.get(number, float("-inf")) > SAME_SIGNAL:
                os.kill(child, number)
        elif number in FORWARDED and last:
            toAll[number] = now
        elif number in FORWARDED and first and heard.si_code <= 0:
            os.kill(child, signal.SIGRTMIN + number)


def succeed(result: int) -> None:
    """Raise the L{OSError} of a system call that returned other than 0."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _dieWithParent() -> None:
    succeed(libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0))


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    def text(value: str | None) -> bytes | None:
        return None if value is None else value.encode()

    succeed(libc.mount(text(source), text(target), text(kind), ctypes.c_ulong(flags), None))


def _loopbackUp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _mapOnlyMe(uid: int, gid: int) -> None:
    """An ordinary user becomes root of the world; nobody else exists there (user_namespaces(7))."""
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {uid} 1")
    _write("/proc/self/gid_map", f"0 {gid} 1")


def _write(path: str, text: str) -> None:
    # Unbuffered, one write: the kernel takes an id map only so.
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _mapEverybody(gate: int) -> None:
    """Root keeps every id it can see, so that files of other users can be read as before."""
    for kind in ("uid_map", "gid_map"):
        with open(f"/proc/self/{kind}") as ours:
            ranges = [line.split() for line in ours]
        text = "".join(f"{first} {first} {count}\n" for first, _, count in ranges)
        _write(f"/proc/{gate}/{kind}", text)


def _closedDoor(program: str) -> str:
    """Say which directory or file on the way to C{program} this user may not pass, if any."""
    way = os.path.realpath(program)
    at = "/"
    for part in way.split("/")[1:]:
        at = os.path.join(at, part)
        if not os.access(at, os.X_OK):
            return (
                f"it leads to {way}, and {at} is closed to this user" if os.path.lexists(at) else ""
            )
    return ""


def _thisCommand(argv: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "hatwist.lab.world", "--", *argv]


def advice(reason: str, again: Sequence[str], root: bool, values: Mapping[str, str]) -> str:
    """
    The one message for a machine that forbids this: what, why, and two ways out.

    @param again: the command to show behind "sudo".
    @param root: is it root who was refused?
    @param values: the sysctls of this machine that could be the reason.
    """
    lines = [f"hatwist: this machine does not allow a private network here ({reason})."]
    if root:
        lines.append(
            "Even root was refused, so this is a container without CAP_SYS_ADMIN: "
            "start it privileged (docker run --privileged), or use the machine itself."
        )
        return "\n".join(lines)
    for name, allowed in SWITCHES:
        if values.get(name) == ("1" if allowed == "0" else "0"):
            lines.append(f"{name} is {values[name]}; to allow it: sudo sysctl -w {name}={allowed}")
    if len(lines) == 1:
        lines.append(
            "No sysctl forbids it, so AppArmor, SELinux or the seccomp filter of a container does: "
            "ask its administrator."
        )
    kept = ",".join(name for name in ("PATH", "PYTHONPATH") if name in os.environ)
    keep = f"--preserve-env={kept} " if kept else ""
    lines.append(f"Or run it as root: sudo {keep}{shlex.join(again)}")
    return "\n".join(lines)


def _switches() -> dict[str, str]:
    values = {}
    for name, _ in SWITCHES:
        with contextlib.suppress(OSError), open("/proc/sys/" + name.replace(".", "/")) as switch:
            values[name] = switch.read().strip()
    return values


def main() -> int:
    """The command line of this module."""
    argv = sys.argv[1:]
    if argv[:1] == ["--"]:
        argv = argv[1:]
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: python -m hatwist.lab.world -- COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2
    return enter(argv)


if __name__ == "__main__":
    sys.exit(main())
