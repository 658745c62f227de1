"""Who came and who went, and who hears whom: told once, when it changes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from hatwist.protocols.native.heartbeat import MAX_SEQ
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.peer import Peer


class Attendance:
    """
    The other nodes, as far as they were reported.

    @param say: reports something: its kind, the node concerned or C{""}, the reason.
    """

    def __init__(self, view: Membership, say: Callable[[str, str, str], None]) -> None:
        self._view = view
        self._say = say
        self._present: set[str] = set()
        self._silent: set[tuple[str, str]] = set()
        self._unheard = False

    def look(self, now: float) -> float:
        """Report who came and who went; the result is when the next may be gone."""
        wake = inf
        for peer in self._view:
            alive = peer.alive(now)
            self._perLink(peer, now)
            if alive:
                wake = min(wake, peer.at + peer.tolerance)
            if alive and peer.name not in self._present:
                self._present.add(peer.name)
                self._say("peer-joined", peer.name, "heard" if peer.beat else "heard of")
            elif not alive and peer.name in self._present:
                self._present.discard(peer.name)
                why = "it said goodbye" if peer.left() else f"silent for {now - peer.at:.3f} s"
                if peer.left() and peer.seq == MAX_SEQ:
                    why = "its daemon died or hung, and its guard said goodbye"
                self._say("peer-left", peer.name, why)
        return min(wake, self._hearing(now))

    def _hearing(self, now: float) -> float:
        """Report that this node hears others and none of them hears it; the result is when to look again."""
        heard = [peer for peer in self._view if peer.direct(now)]
        twoWay = max((peer.twoWayUntil for peer in heard), default=-inf)
        if now < twoWay:
            if self._unheard:
                self._say("heard-again", "", "this node may claim")
            self._unheard = False
            return twoWay
        if heard and not self._unheard:
            # Who has only just been heard had no time yet to answer.
            due = min(peer.directSince for peer in heard) + self._view.tolerance
            if now < due:
                return due
            self._unheard = True
            names = ", ".join(sorted(peer.name for peer in heard))
            self._say("not-heard", "", f"it hears {names}, and is not heard: it makes no claim")
        return inf

    def _perLink(self, peer: Peer, now: float) -> None:
        """Report which of several links to a node have fallen silent, or are heard again."""
        if len(peer.reception.links) < 2:
            return
        for link, heard in peer.reception.links.items():
            way = (peer.name, link)
            if now < heard + peer.tolerance:
                if way in self._silent:
                    self._silent.discard(way)
                    self._say("link-heard", peer.name, f"on {link} again")
            elif way not in self._silent and peer.direct(now):
                self._silent.add(way)
                self._say("link-silent", peer.name, f"on {link}, heard on others")
