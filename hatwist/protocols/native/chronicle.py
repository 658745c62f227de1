"""
The role changes of the whole cluster, as one node sees them, each with its cause.

A node tells the others its roles, and not why they changed. What went before tells that: who released the group,
naming whom, and who fell silent.
"""

from __future__ import annotations

from collections.abc import Sequence

from hatwist.core.claims import Released
from hatwist.core.effects import ACQUIRING, SILENT, Change, RoleChange
from hatwist.core.worth import Fitness
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.others import fenced
from hatwist.protocols.native.peer import Peer

AGAIN = "heard again; it had held all along"
"""Why a node is ACTIVE that was so before it fell silent: it did not take over."""
_NAMES = ("STANDBY", "STANDBY", "ACTIVE", "SHUTDOWN")
"""By L{Role}; who asks for votes is a standby here."""

_CLAIMED = ("ACTIVE", ACQUIRING)


class Chronicle:
    """
    @param name: of this node, which tells its own changes itself, see L{own}.
    @ivar holders: for each group that somebody holds, how each of its holders came to that.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.holders: dict[str, dict[str, Change]] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._freed: dict[str, tuple[str, str, Released | None]] = {}
        self._unheard: dict[tuple[str, str], Change] = {}

    def own(self, change: RoleChange, released: Released | None, now: float) -> Change:
        """
        Take in a role change of this node.

        @param released: what it tells of its last release.
        """
        old = _NAMES[change.old] if change.old is not None else ""
        found = Change(
            now, self.name, change.group, old, _NAMES[change.new], change.term, change.reason
        )
        return self._note(found, "released it", released)

    def look(self, view: Membership, groups: Sequence[str], now: float) -> list[Change]:
        """
        What has changed among the others since the last look.

        @param groups: those to look at; they are touched when a node falls silent, or is heard again.
        """
        found: list[Change] = []
        for peer in view:
            known = self._known.get(peer.name)
            if known is None:
                known = self._known[peer.name] = {}
            left = peer.left()
            for group in groups:
                state, new = peer.state(group), SILENT
                if state is None and known.get(group) not in _CLAIMED:
                    continue  # it does not have the group, or has not told of it yet
                if not peer.lastWord.older(peer.tolerance, now, group) or left:
                    new = _NAMES[state.role] if state is not None else "STANDBY"
                    if new == "ACTIVE" and known.get(group) != "ACTIVE":
                        new = _progress(peer, group, now, known.get(group, ""))
                if known.get(group) != new:
                    found.append(self._changed(peer, group, known.get(group, ""), new, now))
                    known[group] = new
        if not found:
            return found
        for name in set(self._known) - set(view.peers):
            del self._known[name]
            for place in [place for place in self._unheard if place[0] == name]:
                del self._unheard[place]
        # Who released comes before who took over, so that the one explains the other.
        found.sort(key=lambda change: change.new in _CLAIMED)
        return [self._explained(change, view) for change in found]

    def _changed(self, peer: Peer, group: str, old: str, new: str, now: float) -> Change:
        state = peer.state(group)
        term = 0
        if new in _CLAIMED and state is not None and state.claim is not None:
            term = state.claim.term
        elif old in _CLAIMED:
            held = self.holders.get(group, {}).get(peer.name)
            term = held.term if held is not None else 0
        return Change(now, peer.name, group, old, new, term, "")

    def _explained(self, change: Change, view: Membership) -> Change:
        peer = view.peers[change.node]
        how = ""
        if change.new == SILENT:
            how = "fell silent"
            reason = f"silent for {change.at - peer.at:.3f} s"
        elif change.new in _CLAIMED:
            reason = self._takeover(change)
        elif change.new == "SHUTDOWN":
            said = peer.state(change.group)
            why = said.reason if said is not None else ""
            how = "stopped"
            if fenced(peer):
                how, why = "died or hung", f"the guard released {change.group}"
            reason = f"{how}: {why}" if why else how
        elif change.old == ACQUIRING:
            how = "gave up acquiring it"
            reason = self._release(peer, change, "did not get everything")
        elif change.old in _CLAIMED:
            how = "released it"
            reason = self._release(peer, change)
        else:
            reason = "heard again" if change.old == SILENT else "heard"
        return self._note(change._replace(reason=reason), how, _released(peer, change.group))

    def _release(self, peer: Peer, change: Change, first: str = "") -> str:
        released = _released(peer, change.group)
        said = peer.state(change.group)
        reason = ""
        if released is not None and released.successor:
            reason = f"handed over to {released.successor}"
            if said is not None and said.fitness == Fitness.UNFIT:
                reason = f"named {released.successor} as successor"
            if released.moved:
                return "; ".join(
                    filter(None, (first, f"moved to {released.successor} by the operator"))
                )
        if said is not None and said.fitness < Fitness.FIT and said.reason:
            # One that is unfit does not wait for a successor, nor know whether anybody hears it.
            found = "released" if said.fitness == Fitness.UNFIT else said.fitness.name.lower()
            why = f"{found}: {said.reason}"
            reason = f"{why}; {reason}" if reason else why
        return "; ".join(filter(None, (first, reason))) or "released it"

    def _takeover(self, change: Change) -> str:
        before = self.holders.get(change.group, {}).get(change.node)
        if before is not None:
            return AGAIN if before.new == "ACTIVE" else before.reason
        if change.old == SILENT:
            held = self._unheard.get((change.node, change.group))
            if held is not None and held.term == change.term:
                return AGAIN if held.new == "ACTIVE" else held.reason
            return "it took over while it was not heard"
        others = [name for name in self.holders.get(change.group, {}) if name != change.node]
        if others:
            return f"although {' and '.join(others)} held it"
        if not change.old:
            return "it held already when it was first heard"
        freed = self._freed.get(change.group)
        if freed is None:
            return "no holder was heard"
        name, how, released = freed
        if name == change.node:
            return f"it claimed again, after it {how}"
        if released is None or released.successor != change.node:
            return f"{name} {how}"
        if released.moved:
            return f"moved from {name} by the operator"
        return f"named as successor by {name}, which {how}"

    def _note(self, change: Change, how: str, released: Released | None) -> Change:
        holders = self.holders.setdefault(change.group, {})
        place = (change.node, change.group)
        if change.new not in _CLAIMED:
            held = holders.pop(change.node, None)
            self._unheard.pop(place, None)
            if held is not None:
                self._freed[change.group] = (change.node, how, released)
                if change.new == SILENT:
                    self._unheard[place] = held
        elif change.reason != AGAIN:
            holders[change.node] = change
        elif change.node not in holders:
            # It holds since then, and for that reason.
            holders[change.node] = self._unheard.pop(place)._replace(new="ACTIVE")
        return change


def _released(peer: Peer, group: str) -> Released | None:
    said = peer.state(group)
    return said.released if said is not None else None


def _progress(peer: Peer, group: str, now: float, before: str) -> str:
    """Whether a holder that is new here has everything already: that is in its own packets only."""
    said = peer.state(group)
    if said is None or peer.lastPacket.older(peer.tolerance, now, group):
        return "ACTIVE"
    if said.lettingGo:
        return ACQUIRING if before == ACQUIRING else "ACTIVE"
    return ACQUIRING if said.steps else "ACTIVE"
