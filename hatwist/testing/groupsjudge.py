"""What must be so in a cluster of many groups, whatever befalls it: for each group by itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hatwist.core.causes import Cause
from hatwist.testing.lan import Arrival
from hatwist.testing.schedules import HANDLING, TRAVEL, Violation
from hatwist.testing.simulation import NativeHost, Simulation
from hatwist.testing.words import Words, heard, hears, hearsHolder, saying, unknown

CLOCKS = 1.01
"""By how much clocks may differ."""
LOOKS = 40
"""How often it is looked in two intervals whether an old word has become a new one."""
Told = dict[str, Words]
"""What each node said at one time, by its name."""


class GroupsJudge:
    """Watches one simulation, and looks at what changes: a group that one node goes on to hold costs nothing."""

    def __init__(self, sim: Simulation, seed: int) -> None:
        self.sim = sim
        self.violations: list[Violation] = []
        self._seed = seed
        self._votes = sim.quorum is not None
        self._terms: dict[str, int] = {}
        self._stillAt: dict[str, float] = {}
        self._frozenAt: dict[str, float] = {}
        # (who, whom): since when it hears its present session; and the newest word that proves a two-way link.
        self._hears: dict[tuple[str, str], tuple[int, float]] = {}
        self._named: dict[tuple[str, str], tuple[int, float, float]] = {}
        self._contested: set[str] = set()
        self._met: dict[tuple[str, str, str], float] = {}
        sim.transcript.watchers.append(self._watch)

    def bad(self, what: str) -> None:
        self.violations.append(Violation(self._seed, self.sim.now, what))

    def _watch(self, kind: str, node: NativeHost, what: Any) -> None:
        if kind == "heard":
            self._heard(node, what)
        elif kind == "hold":
            self._claimed(node, what.group, what.term)
        elif kind == "holds":
            self._changed(*what)
        elif kind == "reload":
            self._reloaded(node, what)
        elif what in ("freezes", "thaws", "starts", "its guard fires"):
            self._stillAt[node.name] = self.sim.now
            if what == "freezes":
                self._frozenAt[node.name] = self.sim.now
            elif what == "thaws" and not self._votes:
                self._thawed(node)

    def _thawed(self, node: NativeHost) -> None:
        """Who stood still for longer than others wait lets go at once, whether or not it hears of another holder."""
        sim, name, now = self.sim, node.name, self.sim.now
        seconds = now - self._frozenAt[name]
        known = any(not peer.left() for peer in node.machine.view)
        if seconds <= sim.tolerance * CLOCKS or not known:
            return
        before = {g: sim.transcript.groups[g].since.get(name) for g in node.groups}

        def look() -> None:
            if self._stillAt[name] > now or not node.up or sim.nodes[name] is not node:
                return
            for group, since in before.items():
                same = since is not None and sim.transcript.groups[group].since.get(name) == since
                if same and node.groups[group].wanted:
                    self.bad(f"{group}: {name} stood still for {seconds:.4f} s, and holds it")

        sim.at(now + HANDLING, look)

    # Two at once

    def _changed(self, group: str, holds: bool) -> None:
        holders = self.sim.transcript.groups[group].since
        if not holds:
            for pair in [pair for pair in self._met if pair[0] == group]:
                del self._met[pair]  # what comes is another meeting
        if len(holders) < 2:
            self._contested.discard(group)
        elif self._votes and holds:
            self.bad(f"{group}: {' and '.join(sorted(holders))} hold it")
        else:
            self._contested.add(group)

    def _heard(self, node: NativeHost, arrival: Arrival) -> None:
        source, sentAt = arrival
        one, other = node.name, source.name
        now, key = self.sim.now, (one, other)
        session = source.machine.session
        if self._hears.get(key, (0, 0.0))[0] != session and hears(node.machine, source.machine):
            self._hears[key] = (session, now)
        mine, since = self._hears.get((other, one), (0, 0.0))
        before, newest, _ = self._named.get(key, (0, 0.0, 0.0))
        overtaken = (
            before == mine and sentAt < newest
        )  # by a packet that left later: it shows no life
        if mine == node.machine.session and sentAt > since and not overtaken:
            self._named[key] = (mine, sentAt, now)
            for group in self._contested:
                self._meets(group, node, source, sentAt)

    def _meets(self, group: str, node: NativeHost, source: NativeHost, sentAt: float) -> None:
        """A holder hears that another one holds, which hears it too: one of both lets go as soon as the other does."""
        since = self.sim.transcript.groups[group].since
        if node.name not in since or sentAt <= since.get(source.name, sentAt):
            return
        if not hearsHolder(node.machine, source.machine, group):
            return  # its packets come, of which none has told of this group yet
        self._met.setdefault((group, node.name, source.name), self.sim.now)
        back = self._met.get((group, source.name, node.name))
        if back is None:
            return
        now, begun = self.sim.now, (since[node.name], since[source.name])

        def look() -> None:
            both = (since.get(node.name), since.get(source.name))
            still = max(self._stillAt[node.name], self._stillAt[source.name]) < back
            wanted = node.groups[group].wanted and source.groups[group].wanted
            if both == begun and wanted and still and node.up and source.up:
                names = " and ".join(sorted((node.name, source.name)))
                self.bad(f"{group}: {names} hold it, and have heard each other since {now:.4f}")

        self.sim.at(now + TRAVEL + HANDLING, look)

    # Claims

    def _claimed(self, node: NativeHost, group: str, term: int) -> None:
        sim, name = self.sim, node.name
        if group not in {rules.name for rules in node.machine.rules.groups}:
            self.bad(f"{group}: {name} claimed, and is not configured with it")
        if self._votes:
            if term <= self._terms.get(group, 0):
                self.bad(f"{group}: {name} claimed with term {term} after {self._terms[group]}")
            self._terms[group] = term
            return
        for other, since in sim.transcript.groups[group].since.items():
            holder = sim.nodes[other]
            wanted = other != name and holder.up and holder.groups[group].wanted
            session, sent, at = self._named.get((name, other), (0, 0.0, 0.0))
            fresh = at > sim.now - sim.tolerance / CLOCKS + HANDLING
            # A named successor acts at once, unless it has heard that somebody else holds.
            named = node.machine.elections[group].standing.cause is Cause.SUCCESSION
            told = not named or hearsHolder(node.machine, holder.machine, group)
            if wanted and session == node.machine.session and sent > since and fresh and told:
                self.bad(f"{group}: {name} claimed, and had heard the holder {other}")

    # Groups that go

    def _reloaded(self, node: NativeHost, going: Collection[str]) -> None:
        """What is configured no more is let go of at once, in its time."""
        began = self.sim.now

        def look(group: str) -> None:
            back = group in {rules.name for rules in node.machine.rules.groups}
            disturbed = self._stillAt[node.name] >= began or not node.present
            if node.groups[group].held and not back and not disturbed:
                self.bad(f"{group}: {node.name} is configured without it, and holds it")

        for group in going:
            seconds = node.groups[group].releaseTime + HANDLING
            self.sim.at(began + seconds, lambda group=group: look(group))  # type: ignore[misc]

    # What nodes know of each other

    def told(self) -> Told:
        """What each node that runs says now."""
        nodes = self.sim.nodes
        return {n: saying(nodes[n].machine, nodes[n].now) for n in nodes if nodes[n].up}

    def known(self, before: Told) -> None:
        """
        Nodes that hear each other have heard, after two intervals, what the other one says of every group.

        What a node says may have changed since, and back: one that knows what is said once more is not behind.

        @param before: what each one said two intervals ago.
        """
        after = self.told()
        old = {
            (one, other, group)
            for one in before
            for other in before
            if self._twoWay(one, other)
            for group in unknown(before[other], after[other], self._heardOf(one, other))
        }
        for _ in range(LOOKS):
            if not old:
                return
            self.sim.run(2 * self.sim.interval / LOOKS)
            old = {each for each in old if self._behind(*each)}
        for one, other, group in sorted(old):
            self.bad(f"{group}: {one} has an old word of {other}")

    def _heardOf(self, one: str, other: str) -> Words:
        return heard(self.sim.nodes[one].machine, other)

    def _behind(self, one: str, other: str, group: str) -> bool:
        node = self.sim.nodes[other]
        says = saying(node.machine, node.now).get(group)
        return self._twoWay(one, other) and self._heardOf(one, other).get(group) != says

    def _twoWay(self, one: str, other: str) -> bool:
        """Both have run for long enough, and hear each other."""
        sim = self.sim
        since = sim.now - sim.tolerance * CLOCKS - 2 * sim.interval
        return (
            one != other
            and sim.lan.there(one, other)
            and max(self._stillAt[one], self._stillAt[other]) < since
            and sim.nodes[one].up
            and sim.nodes[other].up
            and not sim.nodes[one].machine.silent
            and not sim.nodes[other].machine.silent
        )

    # In the end

    def settled(self, groups: Collection[str], limit: float, calm: float, dark: float) -> None:
        """
        Faults have ended, and all nodes are configured with these groups: each is held, by one node, and stays so.

        @param limit: seconds after which that is so.
        @param calm: seconds for which it is watched then.
        @param dark: seconds for which a group may be without a holder then, while it is handed over.
        """
        sim, end = self.sim, self.sim.now
        sim.run(limit)
        since = sim.now
        sim.run(calm - 2 * sim.interval)
        before = self.told()
        sim.run(2 * sim.interval)
        self.known(before)
        for group in sorted({*sim.transcript.groups, *groups}):
            self._settled(group, group in groups, end, since, dark)

    def _settled(self, group: str, configured: bool, end: float, since: float, dark: float) -> None:
        transcript, nodes = self.sim.transcript, self.sim.nodes.values()
        holders = sorted(transcript.groups[group].since)
        if not configured:
            if holders:
                self.bad(f"{group}: {holders} hold it, which no node is configured with")
            if told := sorted(node.name for node in nodes if group in node.machine.groups):
                self.bad(f"{group}: {told} still tell of it, which no node is configured with")
            return
        darkness, overlap = transcript.darkness(since, group), transcript.overlap(since, group)
        if len(holders) != 1:
            self.bad(f"{group}: in the end {holders or 'nobody'} held it")
        elif darkness > dark or overlap > 0:
            what = f"dark for {darkness:.4f} s, held twice for {overlap:.4f} s"
            self.bad(f"{group}: {what} from {since:.4f}, when faults had ended at {end:.4f}")
