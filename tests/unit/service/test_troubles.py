"""Tests for L{hatwist.service.troubles}: what is told of packets that were rejected."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import REASONS
from hatwist.core.packet import Dropped
from hatwist.service.troubles import MEANINGS, RECENT, dropping, rejecting, unsent


def link(name: str, failing: str = "", **reasons: tuple[int, float]) -> Any:
    """Counts and times by reason, with an underscore for each hyphen."""
    named = {reason.replace("_", "-"): found for reason, found in reasons.items()}
    return SimpleNamespace(
        name=name,
        failing=failing,
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
                    "10.0.0.2 signs with a key that is not in the key file of this node: 12 packets were rejected "
                    "on eth1 since the start, the newest 0.50 s ago (unknown-key)"
                ),
                (
                    "10.0.0.2 does not sign its heartbeats, and this node has a key: 1 packet was rejected on eth0 "
                    "since the start, the newest 2.00 s ago (unsigned)"
                ),
            ],
        )

    def test_keyless(self) -> None:
        """Where no key is set, nobody is said to have another one."""
        links = [link("eth0", unknown_key=(1, 100.0))]
        (told,) = dropping(links, 100.0, signed=False)
        self.assertTrue(
            told.startswith(
                "10.0.0.2 signs its heartbeats, and this node has no key_file: 1 packet"
            )
        )
        self.assertEqual(
            rejecting(links, 100.0, signed=False),
            ["10.0.0.2 signs its heartbeats, and this node has no key_file"],
        )

    def test_short(self) -> None:
        """Each sender is told of once, however many links it came on; the newest comes first."""
        links = [
            link("eth0", unsigned=(1, 98.0)),
            link("eth1", unsigned=(1, 99.0), version=(1, 98.5)),
        ]
        self.assertEqual(
            rejecting(links, 100.0),
            [
                "10.0.0.2 does not sign its heartbeats, and this node has a key",
                "10.0.0.2 speaks another version of the protocol",
            ],
        )

    def test_unsent(self) -> None:
        """A link on which nothing can be sent is told with the error."""
        self.assertEqual(
            unsent([link("eth0"), link("eth1", failing="ENETDOWN")]),
            ["no heartbeat can be sent on eth1: ENETDOWN"],
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
