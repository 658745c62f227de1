"""The configuration of a node's virtual hosts, and the times that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hatwist.protocols.carp.packet import SKEWS, Address

DEMOTED = 240
"""C{advskew} at least of one that is less fit than it should be, as FreeBSD and ucarp have it."""
ARP_AGAIN = 2
"""With the second advertisement after the first a new master announces its addresses again, for slow switches."""


class VhostRules(NamedTuple):
    """
    One virtual host, which is one group.

    @ivar name: of the group.
    @ivar vhid: 1-255, of which an interface has each once.
    @ivar addresses: all that are shared. BSD peers have the same ones, ucarp exactly one IPv4 address.
    @ivar links: this host's own address on each link, by the link's name. A link has one address family. C{None}: it
        has none there now, and does not take part.
    @ivar advbase: seconds, 1-254; C{advskew}: 0-254. Whoever advertises more often is master.
    @ivar preempt: a slower master is taken the addresses from.
    @ivar deadRatio: after so many C{advbase} of silence, and the own skew, a master is taken for dead; 2-255.
    @ivar guardable: the guard can release all of it, and says goodbye then.
    """

    name: str
    vhid: int
    addresses: tuple[Address, ...]
    password: bytes
    links: Mapping[str, Address | None]
    advbase: int = 1
    advskew: int = 0
    preempt: bool = False
    deadRatio: int = 3
    guardable: bool = True

    @property
    def tolerance(self) -> float:
        """Seconds of silence after which this node takes over, if it is well."""
        return self.deadRatio * self.advbase + self.advskew / SKEWS


class CarpRules(NamedTuple):
    """
    The configuration of a node.

    @ivar cluster, name: for the log, and not on the wire: to its peers a node is the address that it sends from.
    """

    cluster: str
    name: str
    vhosts: tuple[VhostRules, ...] = ()
