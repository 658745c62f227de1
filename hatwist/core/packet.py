"""A datagram, as links and protocols hand it to each other."""

from __future__ import annotations

from typing import NamedTuple


class Dropped(NamedTuple):
    """
    The newest packet that was dropped on one link for one reason.

    @ivar at: when, on this node's clock.
    """

    at: float
    source: str
