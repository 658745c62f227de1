"""One program, run to its end: without a shell, in its own session, within a time limit, its output bounded."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessTransport,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.core.errors import ResourceError
from hatwist.core.phrases import printable

GRACE = 1.0  # seconds between SIGTERM and SIGKILL
LINGER = 0.1  # seconds that output may still take once the program has ended
CUT_SHORT = LINGER + 0.02  # seconds from a cancellation until it is known that all was killed
LINES = 50  # of one run that are logged; the others are counted
WIDTH = 400  # bytes of a line that are kept

# An ordinary user's PATH, cron's too, lacks them, and ifup is there.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")

# What systemd gave to this process alone (sd_notify(3)): nobody else is to speak for it.
PRIVATE = frozenset({"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"})


class IProgramReactor(IReactorProcess, IReactorTime):
    """What running a program takes of a reactor."""


class Ending(NamedTuple):
    """
    How a program ended.

    @ivar code: its exit code; 128 + N when signal N ended it.
    @ivar words: its last line on standard error, or else on standard output, or else C{""}.
    @ivar unlogged: how many lines of its output were not logged.
    """

    code: int
    words: str
    unlogged: int


def find(program: str) -> str | None:
    """The file that L{run} would start, looked for on the PATH, sbin included; C{None}: there is none."""
    return shutil.which(program, path=_path(os.environ))


def _path(environment: Mapping[str, str]) -> str:
    """Its PATH, with sbin at the end."""
    path = environment.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([*path, *SBIN]))


def run(
    reactor: IProgramReactor,
    argv: Sequence[str],
    timeout: float,
    environment: Mapping[str, str] | None = None,
    said: Callable[[str], None] | None = None,
) -> Deferred[Ending]:
    """
    Run C{argv}, and fire once it has ended.

    It is found on the PATH, sbin included, gets our environment plus C{environment}, no descriptor of ours and
    an empty standard input. What it left running in the background lives on, unless it was cut short.

    @param timeout: seconds; then SIGTERM to all it started, and SIGKILL L{GRACE} later.
    @param said: called with each line of its output, L{LINES} at most, instead of logging it.

    Fails with L{ResourceError} when it is missing, may not be run, or exceeded its time. When
    cancelled, all it started is killed at once, and CancelledError follows when it is dead.
    """
    return Deferred.fromCoroutine(_run(reactor, argv, timeout, environment or {}, said))


async def _run(
    reactor: IProgramReactor,
    argv: Sequence[str],
    timeout: float,
    extra: Mapping[str, str],
    said: Callable[[str], None] | None,
) -> Ending:
    ours = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    environment = {**ours, **extra}
    environment["PATH"] = _path(environment)
    program = shutil.which(argv[0], path=environment["PATH"])
    # Twisted cannot begin a session for a child without a terminal; setsid(1) does, and keeps the pid.
    setsid = shutil.which("setsid", path=environment["PATH"])
    for name, found in ((argv[0], program), ("setsid", setsid)):
        if found is None:
            raise ResourceError(f"{name}: no such program, or no permission to run it")
    assert program is not None
    assert setsid is not None
    child = _Child(reactor, os.path.basename(argv[0]), said)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        reactor.spawnProcess(
            child,
            setsid,
            ["setsid", program, *argv[1:]],
            env=environment,
            childFDs={0: nothing, 1: "r", 2: "r"},
        )
    except OSError as error:  # no process or descriptor to be had
        raise ResourceError(f"{argv[0]}: {error.strerror}") from error
    finally:
        os.close(nothing)
    overdue = reactor.callLater(timeout, child.terminate)
    try:
        ending = await child.wait()
    except CancelledError:
        child.kill()
        while child.ending is None:
            try:
                await child.wait()
            except CancelledError:  # once more: it is still not dead
                continue
        raise
    finally:
        if overdue.active():
            overdue.cancel()
    if child.doomed:
        raise ResourceError(
            f"{' '.join(argv)}: not done within {timeout:g} s, killed"
            + (f" (it said: {ending.words})" if ending.words else "")
        )
    return ending


class _Child(ProcessProtocol):
    """A running program: its output, its end, and its killing."""

    _log = Logger()

    def __init__(
        self, reactor: IReactorTime, name: str, said: Callable[[str], None] | None
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._said = said
        self._waiting: list[Deferred[Ending]] = []
        self._output = {1: _Lines(), 2: _Lines()}
        self._logged = 0
        self._unlogged = 0
        self._code: int | None = None
        self._pid = 0
        self._grace: IDelayedCall | None = None
        self.ending: Ending | None = None
        self.doomed = False

    def wait(self) -> Deferred[Ending]:
        """Fires at the end. Cancelling it does nothing to the program."""
        waiting: Deferred[Ending] = Deferred(self._waiting.remove)
        if self.ending is not None:
            waiting.callback(self.ending)
        else:
            self._waiting.append(waiting)
        return waiting

    def terminate(self) -> None:
        """Ask all that it started to end, and see to it L{GRACE} seconds later."""
        if self._code is None:
            self.doomed = True
            self._signal(signal.SIGTERM)
            self._grace = self._reactor.callLater(GRACE, self.kill)

    def kill(self) -> None:
        """End all that it started."""
        self.doomed = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._pid, number)
        except ProcessLookupError:  # not in its own session yet: setsid(1) has not run
            if self._code is None:
                os.kill(self._pid, number)

    def connectionMade(self) -> None:
        """It runs. Its pid is kept, since the transport forgets it when the process ends."""
        transport = cast(IProcessTransport, self.transport)
        self._pid = transport.pid

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Log what it says, up to a limit: a flood costs neither memory nor the log."""
        output = self._output[childFD]
        for line in output.receive(data, LINES - self._logged):
            self._say(line)
        self._unlogged += output.takeSkipped()

    def _say(self, line: str) -> None:
        self._logged += 1
        if self._said is not None:
            self._said(line)
        else:
            self._log.info("{program} says: {line}", program=self._name, line=line)

    def processExited(self, reason: Failure) -> None:
        """It is dead; what it started may still hold the pipes, and then does not hold us up."""
        ended = reason.value
        self._code = 0
        if isinstance(ended, ProcessTerminated):
            self._code = 128 + ended.signal if ended.signal else ended.exitCode
        if self._grace is not None and self._grace.active():
            self._grace.cancel()
        if self.doomed:
            self._signal(signal.SIGKILL)
        self._linger = self._reactor.callLater(LINGER, self._end)

    def processEnded(self, reason: Failure) -> None:
        """Its output is read to the end."""
        if self._linger.active():
            self._linger.cancel()
            self._end()

    def _end(self) -> None:
        assert self._code is not None
        for output in self._output.values():
            if output.partial and self._logged < LINES:
                self._say(_text(output.partial))
        if self._unlogged and self._said is None:
            self._log.warn(
                "{program} says too much: {unlogged} lines not logged",
                program=self._name,
                unlogged=self._unlogged,
            )
        words = self._output[2].last() or self._output[1].last()
        self.ending = Ending(self._code, words, self._unlogged)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(self.ending)


class _Lines:
    """Bytes to lines, of which only the beginning of the current one and the last one are kept."""

    def __init__(self) -> None:
        self.partial = b""
        self._last = b""
        self._skipped = 0

    def receive(self, data: bytes, wanted: int) -> list[str]:
        """The lines that C{data} completes, C{wanted} at most; the others are counted."""
        *complete, rest = data.rsplit(b"\n", 1)
        if not complete:
            self.partial = (self.partial + rest)[:WIDTH]
            return []
        whole = self.partial + complete[0]
        self.partial = rest[:WIDTH]
        lines = whole.split(b"\n", wanted)[:wanted] if wanted else []
        self._skipped += whole.count(b"\n") + 1 - len(lines)
        self._last = whole.rstrip().rsplit(b"\n", 1)[-1][:WIDTH] or self._last
        return [_text(line) for line in lines]

    def takeSkipped(self) -> int:
        """How many lines were skipped since the last call."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def last(self) -> str:
        """The last line that is not blank, even without its line feed."""
        return _text(self.partial.strip() or self._last)


def _text(line: bytes) -> str:
    return printable(line[:WIDTH].decode("utf-8", "backslashreplace").strip())
