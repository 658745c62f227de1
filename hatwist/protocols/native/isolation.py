"""Whether a node hears anybody: one that hears nobody can speak for itself only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hatwist.core.phrases import joined
from hatwist.protocols.native.membership import Membership


class Here(NamedTuple):
    """
    What this node knows beyond heartbeats, for whoever explains.

    @ivar alone: the sentence that tells that it hears no other node, without full stop; C{""}: it hears one.
    @ivar answer: who answers on the LAN for the addresses of the group.
    @ivar port: of UDP, on which heartbeats arrive; 0: not known.
    """

    alone: str = ""
    answer: str = "another host answers on the LAN for the address"
    port: int = 0


NOTHING = Here()


def missing(view: Membership, known: Collection[str], now: float) -> list[str]:
    """
    Of which nodes no word comes, although they have not said goodbye.

    @param known: names of others that there should be; this node's own name may be among them.
    """
    names = {peer.name for peer in view if not peer.alive(now) and not peer.left()}
    return sorted(names | (set(known) - set(view.peers) - {view.name}))


def isolated(view: Membership, known: Collection[str], rejected: Sequence[str], now: float) -> str:
    """
    The sentence that comes before all others where no valid heartbeat of any other known node arrives, or C{""}.

    Without anybody who is known to be there, and nothing rejected, the node is alone, and that is no fault.

    @param rejected: why packets of others were dropped of late, a clause for each sender.
    """
    if any(peer.direct(now) for peer in view):
        return ""
    silent = missing(view, known, now)
    if not silent and not rejected:
        return ""
    others = f": {joined(silent)}" if 0 < len(silent) <= 4 else ""
    if rejected:
        return (
            f"{view.name} hears no other node: it rejects what arrives, since {'; '.join(rejected)}. "
            f"Look at the others{others}"
        )
    return (
        f"{view.name} hears no other node: it may be the one that is cut off. "
        f"Look at the others{others}"
    )


def split(holding: Collection[str], silent: Sequence[str]) -> str:
    """
    What a network in two parts may mean for groups that are held without votes, or C{""}.

    @param holding: those groups that somebody is known to hold.
    """
    if not holding or not silent:
        return ""
    which = joined(sorted(holding))
    return (
        f"{joined(list(silent))} {'is' if len(silent) == 1 else 'are'} not heard. If the network is split, "
        f"another node may hold {which} too: without votes nothing prevents that"
    )
