"""
Which of this node's packets a majority has received: one number for each set of voters, whatever they vote on.

A voter says once, for all groups, which packet of the claimer it received itself last. Groups that have the votes of
the same nodes are therefore confirmed together, and none of them need be decided for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from hatwist.core.agenda import Agenda, Pulse
from hatwist.protocols.native.peer import Peer

Votes = tuple[frozenset[str], int]
"""The names of those that have given their votes, and how many of them suffice."""


class Confirmations:
    """@param peers: the other nodes, by name."""

    def __init__(self, peers: Mapping[str, Peer], agenda: Agenda) -> None:
        self._peers = peers
        self._agenda = agenda
        self._pulses: dict[Votes, tuple[Pulse, set[str]]] = {}

    def join(self, group: str, votes: Votes) -> Pulse:
        """When the newest packet left that so many of these have received; kept up to date until L{leave}."""
        if votes not in self._pulses:
            self._pulses[votes] = (self._agenda.pulse(self._time(votes)), set())
        pulse, groups = self._pulses[votes]
        groups.add(group)
        return pulse

    def leave(self, group: str, votes: Votes) -> None:
        """The group goes by these votes no longer."""
        pulse, groups = self._pulses[votes]
        groups.discard(group)
        if not groups:
            del self._pulses[votes]
            pulse.end()

    def reached(self, name: str, now: float) -> None:
        """A node has told which packet it received."""
        for votes, (pulse, _) in self._pulses.items():
            if name in votes[0]:
                pulse.renew(max(pulse.at, self._time(votes)), now)

    def _time(self, votes: Votes) -> float:
        names, needed = votes
        peers = [self._peers[name] for name in names if name in self._peers]
        times = sorted([peer.reachedAt for peer in peers], reverse=True)
        return times[needed - 1] if len(times) >= needed > 0 else -inf
