"""
C{hatwist lab}: three daemons keep an address alive while their hosts suffer; then a table.

Runs inside a private world (L{hatwist.frontends.cli} sees to that), in which everything it starts ends
with it, however it ends.
"""

from __future__ import annotations

import json
import statistics
import sys
import textwrap
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple, TextIO

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from hatwist.core.errors import HatwistError
from hatwist.lab import scenarios
from hatwist.lab.lab import Daemon, Lab, haDaemon
from hatwist.lab.measurement import FIGURES, RIGHT_HOST, Measurement
from hatwist.lab.scenarios import DEMO
from hatwist.runtime.clock import Monotonic

INTERRUPTED = 130
# From so many runs on there is a median.
ENOUGH = 5
# How often a figure that a standing machine spoiled is taken again.
RETRIES = 3


class Playlist(NamedTuple):
    """What to play: scenario names in order, each C{repeat} times; seconds for the daemons."""

    names: Sequence[str] = DEMO
    repeat: int = 1
    interval: float = 0.1
    tolerance: float = 0.35
    asJson: bool = False
    daemon: Daemon = haDaemon


class ProgressLine:
    """One line a step: redrawn on a terminal, else written again every other second."""

    def __init__(self, reactor: Any, stream: TextIO) -> None:
        assert IReactorTime.providedBy(reactor)
        self._reactor: Any = reactor
        self._stream = stream
        self._live = stream.isatty()
        self._text = ""
        self._began = 0.0
        self._tick = LoopingCall(self._show)
        self._tick.clock = reactor

    def begin(self, text: str) -> None:
        """A step begins."""
        self._text = text
        self._began = self._reactor.seconds()
        self._tick.start(0.5 if self._live else 2.0).addErrback(lambda _: None)

    def _show(self) -> None:
        passed = self._reactor.seconds() - self._began
        text = f"{self._text} ... {passed:.0f} s" if passed >= 1 else f"{self._text} ..."
        self._stream.write(f"\r\x1b[K{text}" if self._live else f"{text}\n")
        self._stream.flush()

    def end(self, result: str) -> None:
        """The step is over."""
        if self._tick.running:
            self._tick.stop()
            start = "\r\x1b[K" if self._live else ""
            self._stream.write(f"{start}{self._text}: {result}\n")
            self._stream.flush()


async def play(playlist: Playlist, reactor: Any, progress: ProgressLine) -> list[Measurement]:
    """Play the playlist on new labs, which are gone when this returns."""
    measured = []
    try:
        for setup, names in groupby(playlist.names, scenarios.setupOf):
            lab = Lab.of(setup, reactor, playlist.interval, playlist.tolerance, playlist.daemon)
            try:
                more = f", {' '.join(setup.more)}" if setup.more else ""
                progress.begin(f"starting the daemons on {', '.join(lab.names)}{more}")
                await lab.start()
                progress.end(f"{lab.best} holds {lab.address}")
                measured += await _all(tuple(names), lab, playlist.repeat, progress)
            finally:
                await lab.close()
    except HatwistError:
        progress.end("failed")
        raise
    return measured


async def _all(
    names: Sequence[str], lab: Lab, repeat: int, progress: ProgressLine
) -> list[Measurement]:
    """Each scenario C{repeat} times, in turn."""
    measured = []
    for turn in range(repeat):
        for name in names:
            count = f" ({turn + 1} of {repeat})" if repeat > 1 else ""
            measured.append(await _one(name, count, lab, progress))
    return measured


async def _one(name: str, count: str, lab: Lab, progress: ProgressLine) -> Measurement:
    """One scenario; once more when it went wrong while the machine itself stood still."""
    retries = RETRIES
    while True:
        progress.begin(name + count)
        result = await scenarios.play(name, lab)
        verdict = "ok" if result.ok else result.problem or "too long"
        figure = f"{result.bounded} {result.value * 1000:.0f} ms, {verdict}"
        if result.ok or not result.excused(lab.tolerance) or not retries:
            progress.end(figure if result.ok else f"{figure}\n{result.found}")
            return result
        progress.end(f"{figure}; but the machine stood still for {result.stalled * 1000:.0f} ms")
        retries -= 1


def table(measured: Sequence[Measurement], address: str, interval: float, tolerance: float) -> str:
    """The table at the end of the demo, with what its figures mean; no line is longer than 80 characters."""
    heads = [
        ("", "", "no", "two", "right", "", ""),
        ("scenario", "outage", "holder", "holders", "host", "bound", ""),
    ]
    rows = [
        (
            m.scenario,
            *(_milliseconds(value) for value in (m.outage, m.noHolder, m.twoHolders)),
            _milliseconds(m.value) if m.bounded == RIGHT_HOST else "",
            f"{m.bounded} <= {_milliseconds(m.bound)}",
            "ok" if m.ok else "FAILED",
        )
        for m in measured
    ]
    widths = [max(map(len, column)) for column in zip(*heads, *rows, strict=True)]
    numbers = range(1, 5)

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    lines = []
    told = set()
    for m, row in zip(measured, rows, strict=True):
        lines.append(line(row))
        if not m.ok:
            lines += _folded(m.problem or f"{m.bounded}: {_milliseconds(m.value)} ms", "    ")
        elif m.note and m.note not in told:
            lines += _folded(m.note, "    ")
            told.add(m.note)
    rule = line(["-" * width for width in widths[:-1]] + [""])
    title = f"{address}, interval {interval:g} s, tolerance {tolerance:g} s; all figures in ms"
    within = sum(m.ok for m in measured)
    end = f"{within} of {len(measured)} within the bounds"
    above = [
        f"{scenario}: the median is {_milliseconds(median)} ms, and may be {_milliseconds(usual)} ms"
        for scenario, (median, usual) in medians(measured).items()
        if median > usual
    ]
    return "\n".join([title, "", *map(line, heads), rule, *lines, "", *_legend(), "", end, *above])


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def _folded(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, 80, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _legend() -> list[str]:
    return [
        *(
            line
            for name, means in FIGURES.items()
            for line in textwrap.wrap(f"{name}: {means}", 80, subsequent_indent="    ")
        ),
        *textwrap.wrap(
            "Each bound is one of these, at most. A host that falls silent is given up after the tolerance; "
            "what the others are told of, or can ask the LAN about, takes milliseconds.",
            80,
        ),
    ]


def medians(measured: Sequence[Measurement]) -> dict[str, tuple[float, float]]:
    """For each scenario that was repeated: the median, and what it may be."""
    runsOf: dict[str, list[Measurement]] = {}
    for m in measured:
        runsOf.setdefault(m.scenario, []).append(m)
    return {
        scenario: (statistics.median(m.value for m in runs), runs[0].usual)
        for scenario, runs in runsOf.items()
        if len(runs) >= ENOUGH
    }


def good(measured: Sequence[Measurement]) -> bool:
    """Is every figure within its bound, and every median?"""
    return all(m.ok for m in measured) and all(m <= u for m, u in medians(measured).values())


def summary(measured: Sequence[Measurement], playlist: Playlist) -> dict[str, Any]:
    """What C{--json} prints; all times in seconds."""
    runsOf: dict[str, list[Measurement]] = {}
    for m in measured:
        runsOf.setdefault(m.scenario, []).append(m)
    return {
        "interval": playlist.interval,
        "tolerance": playlist.tolerance,
        "ok": good(measured),
        "summary": {
            scenario: {
                "runs": len(runs),
                "ok": sum(m.ok for m in runs),
                "bounded": runs[0].bounded,
                "bound": runs[0].bound,
                "median": statistics.median(m.value for m in runs),
                "median_bound": _finite({"": runs[0].usual})[""],
                "worst": max(m.value for m in runs),
                "two_holders_worst": max(m.twoHolders for m in runs),
            }
            for scenario, runs in runsOf.items()
        },
        "runs": [{**_finite(m._asdict()), "ok": m.ok} for m in measured],
    }


def _finite(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity."""
    return {k: None if v == float("inf") else v for k, v in fields.items()}


def run(playlist: Playlist) -> int:
    """
    Play the playlist and print what came of it.

    @return: 0 when everything was within its bound, 1 when not, 130 when interrupted.
    """
    from twisted.internet import reactor as real

    reactor: Any = Monotonic(real, time.CLOCK_MONOTONIC)
    progress = ProgressLine(reactor, sys.stderr)
    status = [1]

    def finish(measured: list[Measurement]) -> None:
        status[0] = 0 if good(measured) else 1
        if playlist.asJson:
            print(json.dumps(summary(measured, playlist), indent=2))
        else:
            print("\n" + table(measured, Lab.address, playlist.interval, playlist.tolerance))

    def failed(failure: Any) -> None:
        if failure.check(CancelledError):
            status[0] = INTERRUPTED
            progress.end("interrupted")
        elif failure.check(HatwistError):
            print(f"hatwist: {failure.value}", file=sys.stderr)
        else:
            failure.printTraceback()

    done: Deferred[None] = ensureDeferred(play(playlist, reactor, progress)).addCallback(finish)
    done.addErrback(failed)
    over: Deferred[None] = Deferred()

    def stop(_: object) -> None:
        over.callback(None)
        if not stopping:
            reactor.stop()

    stopping: list[bool] = []

    def interrupted() -> Deferred[None]:
        stopping.append(True)
        done.cancel()
        return over

    reactor.addSystemEventTrigger("before", "shutdown", interrupted)
    reactor.callWhenRunning(done.addBoth, stop)
    reactor.run()
    return status[0]
