"""Tests for L{hatwist.settings.changes}: what a reload says that it would do, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.electorate import Quorum
from hatwist.settings import GroupSettings, Settings
from hatwist.settings.changes import changes

PLAIN = Settings("eth0")


class ChangesTests(SynchronousTestCase):
    """Values are told as people write them."""

    def refused(self, **fields: Any) -> str:
        (problem,) = changes(PLAIN, replace(PLAIN, **fields)).problems
        return problem

    def test_quorum(self) -> None:
        """Votes are told with their members in order."""
        self.assertEqual(
            self.refused(quorum=Quorum(frozenset("cab"), 2)),
            "quorum cannot change by reload (running none, file 2 votes of a, b, c): "
            "restart the daemons one at a time",
        )

    def test_multicast(self) -> None:
        """A multicast group is told with its port."""
        self.assertIn(
            "(running 239.2.3.4:5555, file 239.2.3.4:6)",
            self.refused(multicast=PLAIN.multicast._replace(port=6)),
        )

    def test_group(self) -> None:
        """Each value of a group that differs has a line."""
        group = GroupSettings(preempt=False, preemptDelay=3.0, askLimit=30.0)
        other = GroupSettings(preempt=True, preemptDelay=0.5, askLimit=inf)
        found = changes(replace(PLAIN, groups=(group,)), replace(PLAIN, groups=(other,)))
        self.assertEqual(
            found.lines,
            (
                "group default: preempt false becomes true",
                "group default: preempt_delay 3 becomes 0.5",
                "group default: ask_limit 30 becomes none",
            ),
        )
