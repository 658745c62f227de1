"""
What a node costs its host while nothing happens, as the benchmarks have measured it.

    python benchmarks/idle.py
    python benchmarks/groups.py --alone --groups 1,100 --nodes 2,3,8

Each figure is of one run, to one digit, on the build machine while others worked there: a core of it runs a million
steps of an empty loop in 50 ms. Seconds of one core, of daemon and guard together.

What a held group costs does not follow the interval: the kernel's lease of all addresses is renewed once in a while,
see L{hatwist.runtime.fence}. Three nodes at 0.1 s with 1, 100, 250 and 1,000 groups took 2.2, 2.4, 3.6 and 6.2 % of a
core on the holder, where a million steps took 14 ms. C{MEASURED.group} is older, and more than ten times that: a file
with very many groups is warned of too early.
"""

from __future__ import annotations

from typing import NamedTuple


class Costs(NamedTuple):
    """
    Seconds of a core.

    @ivar steady: in each second, whatever the interval is: timers, and the kernel's lease.
    @ivar beat: in each interval: a turn, a packet, the guard.
    @ivar peer: in each interval for each other node: a packet of it.
    @ivar group: in each interval for each group, on each node.
    """

    steady: float
    beat: float
    peer: float
    group: float


MEASURED = Costs(steady=0.007, beat=0.0007, peer=0.0003, group=0.00006)
MUCH = 0.5
"""The share of a core above which too little is left for a takeover, which takes more than a calm interval."""


def share(interval: float, nodes: int, groups: int, costs: Costs = MEASURED) -> float:
    """Of one core, for a node of so many with so many groups, which are calm."""
    each = costs.beat + costs.peer * (nodes - 1) + costs.group * groups
    return costs.steady + each / interval


def tooMuch(interval: float, nodes: int, groups: int) -> str:
    """What is wrong with these, a sentence without full stop; C{""}: a core gives it."""
    found = share(interval, nodes, groups)
    if found <= MUCH:
        return ""
    asks = "more than a core gives" if found > 1.0 else "which leaves too little for a takeover"
    # The same share for what remains, if only the interval is another.
    fitting = interval * (found - MEASURED.steady) / (MUCH / 2)
    return (
        f"{nodes} nodes with {groups} groups at an interval of {interval:g} s take about {found:.0%} of a core on each "
        f"node while nothing happens, {asks}: an interval of {fitting:.2g} s is enough"
    )
