"""What a simulated host has of one group."""

from __future__ import annotations


class HostGroup:
    """
    One group on one host.

    @ivar lease: by which it is held.
    @ivar held: its resources are here; C{wanted}: they are to be.
    @ivar failing: they cannot be acquired.
    @ivar clean: nothing was acquired since the last release.
    """

    def __init__(self) -> None:
        self.held = self.wanted = self.failing = False
        self.clean = True
        self.lease = ""
        self.acquireTime = self.releaseTime = 0.0005
        self.operation = 0
