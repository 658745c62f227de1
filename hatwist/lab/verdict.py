"""What the judge concludes from what was seen: pure functions of records. All times in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class HostChange(NamedTuple):
    """A host got (C{there}) or lost an address."""

    time: float
    host: str
    address: str
    there: bool


class Answered(NamedTuple):
    """One host answered, with no gap, C{number} times from C{first} to C{last}."""

    host: str
    first: float
    last: float
    number: int


class Span(NamedTuple):
    """Something was so from C{start} to C{end}; C{hosts} says of whom, in order of name."""

    hosts: tuple[str, ...]
    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start


class Report(NamedTuple):
    """
    One address in one window of time.

    @ivar outage: the longest time the client had no answer, beyond the usual spacing of answers.
        Gaps under 2.5 spacings count as none.
    @ivar dark: all such times together.
    @ivar noHolder: how long no host held the address, all together.
    @ivar twoHolders: how long more than one did.
    @ivar held: who held it, span after span.
    @ivar answers: who answered when.
    @ivar stalls: when the judge itself did not run: its machine stood still, and a figure that
        such a span touches proves nothing.
    @ivar lost: how often kernel events were lost (the times of changes are then late, not wrong).
    @ivar stolen: seconds for which the hypervisor kept processors from this machine, all of them together; the judge
        may have run meanwhile, on another one.
    """

    address: str
    since: float
    until: float
    outage: float
    dark: float
    noHolder: float
    twoHolders: float
    held: tuple[Span, ...]
    answers: tuple[Answered, ...]
    stalls: tuple[Span, ...]
    lost: int
    stolen: float = 0.0

    @property
    def stalled(self) -> float:
        """How long the judge stood still in this window."""
        return sum(stall.length for stall in self.stalls)

    @property
    def holders(self) -> tuple[tuple[str, ...], ...]:
        """Who held it, in order, without the times."""
        return tuple(span.hosts for span in self.held)

    def reachedAfter(self, right: str, slack: float = 0.020) -> float:
        """
        How long after the start of the window the client reached the host C{right} for good, with
        no silence of more than C{slack} from then on; infinite when it never did. A shorter one
        is a busy machine's; what a planned move may cost at worst would be an outage of its own.
        """
        reached, later = float("inf"), self.until
        for run in reversed(self.answers):
            if run.host != right or later - run.last > slack:
                break
            reached = later = run.first
        return max(0.0, reached - self.since)

    def longestWithout(self) -> float:
        """The longest time in one piece that no host held it."""
        return max([span.length for span in self.held if not span.hosts], default=0.0)


def holding(
    changes: Iterable[HostChange], address: str, since: float, until: float
) -> tuple[Span, ...]:
    """Who held C{address} in the window, in spans without holes; hosts that hold nothing: ()."""
    held: set[str] = set()
    spans: list[Span] = []
    start = since
    for change in changes:
        if change.address != address:
            continue
        if change.time > until:
            break
        before = tuple(sorted(held))
        (held.add if change.there else held.discard)(change.host)
        if change.time > start:
            spans.append(Span(before, start, change.time))
            start = change.time
    spans.append(Span(tuple(sorted(held)), start, until))
    return tuple(spans)


def silences(runs: Sequence[Answered], since: float, until: float) -> list[Span]:
    """The times between runs of answers, as far as they lie in the window."""
    edges = [since, *(edge for run in runs for edge in (run.first, run.last)), until]
    if runs and runs[0].first < since:
        edges[0] = runs[0].first
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [Span((), max(a, since), min(b, until)) for a, b in gaps if b > since and a < until]


def judge(
    address: str,
    since: float,
    until: float,
    changes: Sequence[HostChange],
    answers: Sequence[Answered],
    stalls: Sequence[Span],
    lost: int,
    spacing: float,
    stolen: float = 0.0,
) -> Report:
    """Judge one address in one window."""
    held = holding(changes, address, since, until)
    runs = [run for run in answers if run.last >= since and run.first <= until]
    beyond = [max(0.0, gap.length - spacing) for gap in silences(runs, since, until)]
    # From this length on the eyes, too, call it a gap between two runs of answers of one host.
    outages = [extra for extra in beyond if extra > 1.5 * spacing]
    return Report(
        address=address,
        since=since,
        until=until,
        outage=max(outages, default=0.0),
        dark=sum(outages),
        noHolder=sum(span.length for span in held if not span.hosts),
        twoHolders=sum(span.length for span in held if len(span.hosts) > 1),
        held=held,
        answers=tuple(runs),
        stalls=tuple(s for s in stalls if s.end >= since and s.start <= until),
        lost=lost,
        stolen=stolen,
    )
