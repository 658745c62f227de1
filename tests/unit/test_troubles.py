"""Tests for L{hatwist.troubles}: what is told of packets that were dropped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.errors import REASONS
from hatwist.troubles import MEANINGS, RECENT, Dropped, dropping


def link(name: str, **reasons: tuple[int, float]) -> Any:
    """Counts and times by reason, with an underscore for each hyphen."""
    named = {reason.replace("_", "-"): found for reason, found in reasons.items()}
    return SimpleNamespace(
        name=name,
        bad={reason: count for reason, (count, _) in named.items()},
        dropped={reason: Dropped(at, "10.0.0.2") for reason, (_, at) in named.items()},
    )


class DroppingTests(SynchronousTestCase):
    """Links as they count."""

    def test_told(self) -> None:
        """Count, link, age, source, reason and what that means, the newest first."""
        links = [link("eth0", unsigned=(1, 98.0)), link("eth1", unknown_key=(12, 99.5))]
        self.assertEqual(
            dropping(links, 100.0),
            [
                (
                    "12 packets were dropped on eth1 since the start, the newest 0.50 s ago from 10.0.0.2: unknown-key "
                    "(it has a key that this node does not have: another key file?)"
                ),
                (
                    "1 packet was dropped on eth0 since the start, the newest 2.00 s ago from 10.0.0.2: unsigned "
                    "(it signs nothing; is its key_file missing?)"
                ),
            ],
        )

    def test_quiet(self) -> None:
        """Noise of the LAN is no trouble, nor is what is long ago."""
        links = [
            link("eth0", cluster=(5, 100.0), reflected=(5, 100.0), signature=(5, 100.0 - RECENT))
        ]
        self.assertEqual(dropping(links, 100.0), [])

    def test_known(self) -> None:
        """Every reason that has a meaning here is one for which packets are dropped."""
        self.assertLessEqual(set(MEANINGS), set(REASONS))
