"""Who claims a group, who let it go, who has a vote for it: the values that every part shares."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from hatwist.core.worth import Worth

MAX_TERM = MAX_SESSION = 1 << 62
"""What a packet may say. How much of it is believed is in L{hatwist.core.counting}: there is room to go on."""


class Role(IntEnum):
    """What a node is in a group, as others are told; it prints as its name. C{ASKING} is for clusters that vote."""

    STANDBY = 0
    ASKING = 1
    ACTIVE = 2
    SHUTDOWN = 3

    def __str__(self) -> str:
        return self.name

    def __format__(self, specification: str) -> str:
        return format(self.name, specification)


class Claim(NamedTuple):
    """
    A claim to hold a group: its fencing token, and the claimer's worth then; both stay as they were.

    @ivar moved: the operator chose the claimer: no worthier node is given way to.
    """

    term: int
    worth: Worth
    moved: bool = False


class Released(NamedTuple):
    """
    A group was let go: of which claim, and to whom (C{""}: to nobody in particular).

    @ivar moved: the operator chose the successor. Not told beside a claim, which came later.
    """

    term: int
    successor: str
    moved: bool = False


class Grant(NamedTuple):
    """A vote for one claim: who, which start of it, which claim."""

    name: str
    session: int
    term: int


class Record(NamedTuple):
    """
    What a node must remember over a restart.

    @ivar reserved: no term up to this one is given to a new claim again.
    @ivar vote: the last claim voted for, which may be voted for again, or C{None}.
    """

    reserved: int = 0
    vote: Grant | None = None


NOTHING = Record()
