"""A program that runs on a host of the lab, and what is done to it."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure


class Program(ProcessProtocol):
    """
    One process, and every line it has written.

    @ivar name: how messages call it.
    @ivar lines: what it wrote so far, standard output and error together, without line ends.
    @ivar times: when each was read here, as C{time.monotonic()} says.
    @ivar status: None while it runs, then its exit status, 128 + N when signal N ended it.
    """

    def __init__(self, name: str, reactor: IReactorTime) -> None:
        self.name = name
        self.lines: list[str] = []
        self.times: list[float] = []
        self.status: int | None = None
        self.pid = 0
        self._reactor = reactor
        self._rest = b""
        self._waiting: list[tuple[re.Pattern[str], Deferred[str]]] = []
        self._ends: list[Deferred[int]] = []

    def connectionMade(self) -> None:
        transport: Any = self.transport
        assert IProcessTransport.providedBy(transport)
        self.pid = transport.pid

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        now = time.monotonic()
        for line in lines:
            text = line.decode("utf-8", "replace")
            self.lines.append(text)
            self.times.append(now)
            for waiting in [w for w in self._waiting if w[0].search(text)]:
                self._waiting.remove(waiting)
                waiting[1].callback(text)

    def processEnded(self, reason: Failure) -> None:
        ended = reason.value
        assert isinstance(ended, (ProcessDone, ProcessTerminated))
        self.status = 128 + ended.signal if ended.signal else (ended.exitCode or 0)
        # Each takes itself out of the list.
        for _, waiting in list(self._waiting):
            waiting.errback(RuntimeError(f"{self.name} ended ({self.status}):\n{self.tail()}"))
        ends, self._ends = self._ends, []
        for end in ends:
            end.callback(self.status)

    def says(self, pattern: str, timeout: float = 10.0) -> Deferred[str]:
        """
        Fires with the first line, written already or yet to be, in which C{pattern} is found.

        Fails when the program ends before, or after C{timeout} seconds.
        """
        wanted = re.compile(pattern)
        for line in self.lines:
            if wanted.search(line):
                done: Deferred[str] = Deferred()
                done.callback(line)
                return done
        return self.saysNext(pattern, timeout)

    def saysNext(self, pattern: str, timeout: float = 10.0) -> Deferred[str]:
        """The same for lines that are yet to be written."""
        waiting: Deferred[str] = Deferred()
        entry = (re.compile(pattern), waiting)
        self._waiting.append(entry)
        waiting.addTimeout(timeout, self._reactor, self._late(f"did not say {pattern!r}"))
        return waiting.addBoth(self._forget, entry)

    def _forget(self, result: Any, entry: tuple[re.Pattern[str], Deferred[str]]) -> Any:
        if entry in self._waiting:
            self._waiting.remove(entry)
        return result

    def ended(self, timeout: float | None = 10.0) -> Deferred[int]:
        """Fires with the exit status, once there is one; fails after C{timeout} seconds, if any."""
        end: Deferred[int] = Deferred()
        if self.status is not None:
            end.callback(self.status)
            return end
        self._ends.append(end)
        if timeout is not None:
            end.addTimeout(timeout, self._reactor, self._late("did not end"))
        return end

    def _late(self, what: str) -> Any:
        def fail(result: Any, timeout: float) -> Any:
            raise TimeoutError(f"{self.name} {what} in {timeout} s:\n{self.tail()}")

        return fail

    def tail(self, count: int = 30) -> str:
        """Its last lines, for a message."""
        return "\n".join(self.lines[-count:])

    def timed(self, zero: float, count: int) -> str:
        """Its last lines, each with how many seconds after C{zero} it was read."""
        last = list(zip(self.times, self.lines, strict=True))[-count:]
        return "\n".join(f"{at - zero:9.4f} {line}" for at, line in last)

    def kill(self) -> None:
        """SIGKILL: it dies and says nothing."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: it may take its leave."""
        self._signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: it hangs, its sockets stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on, as if nothing had been."""
        self._signal(signal.SIGCONT)

    def hangUp(self) -> None:
        """SIGHUP: it reads its configuration anew."""
        self._signal(signal.SIGHUP)

    def _signal(self, number: int) -> None:
        # While status is None the process is not reaped, so that no other one can have its pid.
        if self.status is None:
            os.kill(self.pid, number)
