"""What is broken in a lab at the moment, and who hears whom all the same."""

from __future__ import annotations

import itertools

from hatwist.lab.lab import Lab

Pair = tuple[str, str]


class Breaks:
    """
    @ivar frozen: the hosts whose daemons hang.
    @ivar cuts: pairs of hosts of which the second hears nothing of the first.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.frozen: set[str] = set()
        self.cuts: set[Pair] = set()

    def cut(self, one: str, two: str, oneWay: bool = False) -> None:
        """Cut two hosts apart; or let C{two} hear nothing of C{one}."""
        # A newer cut of the same two replaces the older one.
        self._lab.lan.heal(one, two)
        self._lab.lan.cut(one, two, oneWay=oneWay)
        self.cuts -= {(one, two), (two, one)}
        self.cuts |= {(one, two)} if oneWay else {(one, two), (two, one)}

    def heal(self) -> None:
        """Every cut is over."""
        self._lab.lan.healAll()
        self.cuts.clear()

    def freeze(self, name: str) -> None:
        """The daemon of a host hangs."""
        self.frozen.add(name)
        self._lab.programs[name].freeze()

    def thaw(self, name: str) -> None:
        """It goes on."""
        self.frozen.discard(name)
        self._lab.programs[name].thaw()

    async def start(self, *names: str) -> None:
        """Boot these hosts and run their daemons; until all are heard: how long a process takes is another question."""
        lab = self._lab
        since = lab.reactor.seconds()
        for name in names:
            lab.host(name).powerOn()
            lab.run(name)
        await lab.heartbeats.untilHeard({lab.host(name).ipv4() for name in names}, since)

    def pids(self) -> list[int]:
        """The processes of the daemons that run."""
        return [self._lab.programs[name].pid for name in self._lab.names if self._lab.runs(name)]

    def connected(self) -> frozenset[Pair]:
        """Which two running daemons hear each other? Of three, any two are a majority."""
        lab = self._lab
        good = [name for name in lab.names if lab.runs(name) and name not in self.frozen]
        pairs = itertools.combinations(good, 2)
        return frozenset((a, b) for a, b in pairs if not {(a, b), (b, a)} & self.cuts)
