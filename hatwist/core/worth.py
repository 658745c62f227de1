"""Worth: the total order that says which node deserves a group."""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

NO_ADDRESS = (1 << 128) - 1
"""The number of a node without an address: greater than any, so the least worthy."""


class Fitness(IntEnum):
    """The verdict of health checks, links and operator on one group of one node."""

    UNFIT = 0
    DEGRADED = 1
    FIT = 2


class Worth(NamedTuple):
    """
    What nodes are compared by: C{a > b} reads "a is worthier than b".

    The order is total as long as node names are unique: fitness first, then priority, then the
    numerically lowest address, then the lowest name.

    @ivar priority: 0 to 254, higher is worthier.
    @ivar address: the node's one address as a number, see L{addressNumber}.
    """

    fitness: Fitness
    priority: int
    address: int
    name: str

    def _order(self) -> tuple[int, int, int]:
        return (self.fitness, self.priority, -self.address)

    def __gt__(self, other: object) -> bool:
        if not isinstance(other, Worth):
            return NotImplemented
        mine, theirs = self._order(), other._order()
        return mine > theirs or (mine == theirs and self.name < other.name)

    def __lt__(self, other: object) -> bool:
        return other > self if isinstance(other, Worth) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return not other > self if isinstance(other, Worth) else NotImplemented

    def __le__(self, other: object) -> bool:
        return not self > other if isinstance(other, Worth) else NotImplemented


def addressNumber(address: IPv4Address | IPv6Address | None) -> int:
    """
    The number by which addresses of both families compare, 0 to 2**128 - 1.

    An IPv4 address counts as its IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
    """
    if address is None:
        return NO_ADDRESS
    if isinstance(address, IPv4Address):
        return 0xFFFF_0000_0000 | int(address)
    return int(address)
