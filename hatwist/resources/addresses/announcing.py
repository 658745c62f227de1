"""When an announcement is sent: at once, repeated while caches settle, and every minute after."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hatwist.linux.interfaces import ISender

# Seconds after the start, then seconds between rounds for as long as the address is held.
SCHEDULE = (0.0, 0.1, 0.5, 2.0, 5.0)
EVERY = 60.0
# Frames sent in one turn of the reactor: 1 to 3 ms
SLICE = 200
# Seconds for which a round after the first one waits while the node is overloaded
LATER = 1.0


class Announcer:
    """
    Sends rounds of frames by L{SCHEDULE}, in slices, so that a thousand frames block nobody.

    @param reactor: for the time of the rounds.
    @param frames: called when a round begins; gives each frame with where to send it.
    @param permitted: asked before each slice; if not, nothing more is sent: it has gone, as its owner will learn.
    @param busy: asked before each round but the first: then it waits.
    @ivar sent: how many frames were sent so far.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        frames: Callable[[], Iterable[tuple[ISender, bytes]]],
        permitted: Callable[[], bool] = lambda: True,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reactor = reactor
        self._frames = frames
        self._permitted = permitted
        self._busy = busy
        self.sent = 0
        self._began = 0.0
        self._rounds = 0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """Send the first slice of the first round now, the rest by the schedule from now."""
        self.stop()
        self._began = self._reactor.seconds()
        self._rounds = 0
        self._round()

    def stop(self) -> None:
        """Send nothing more."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _round(self) -> None:
        if self._rounds and self._busy():
            self._call = self._reactor.callLater(LATER, self._round)
            return
        self._send(iter(self._frames()))

    def _send(self, frames: Iterator[tuple[ISender, bytes]]) -> None:
        self._call = None
        if not self._permitted():
            return
        sent = 0
        for sender, frame in islice(frames, SLICE):
            sender.send(frame)
            sent += 1
        self.sent += sent
        if sent == SLICE:
            self._call = self._reactor.callLater(0, self._send, frames)
            return
        passed = self._reactor.seconds() - self._began
        # Rounds whose time has come meanwhile are one with this one.
        self._rounds = max(self._rounds + 1, bisect_left(SCHEDULE, passed))
        delay = EVERY
        if self._rounds < len(SCHEDULE):
            delay = max(0.0, SCHEDULE[self._rounds] - passed)
        self._call = self._reactor.callLater(delay, self._round)
