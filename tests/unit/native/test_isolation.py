"""Tests for L{hatwist.protocols.native.isolation}: what a node says first that hears no other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.worth import Fitness
from hatwist.protocols.native.datagram import GroupState
from hatwist.protocols.native.isolation import isolated, missing, split
from hatwist.protocols.native.membership import Membership
from tests.statements import Statement, Word, hear, membership

NOW = 100.0


def view(**heard: float) -> Membership:
    """Node a, and when it heard each other one."""
    made = membership("a", 0.35, b"d" * 8)
    for name, at in heard.items():
        told(made, name, at)
    return made


def told(made: Membership, name: str, at: float, role: Role = Role.STANDBY, *by: Word) -> None:
    state = GroupState("web", role, Fitness.FIT, 100)
    leaving = role is Role.SHUTDOWN
    hear(made, Statement(name, 1, 1, (state,), by, leaving, digest=b"d" * 8), at)


class IsolationTests(SynchronousTestCase):
    """From what a node has heard, and from whom something should be heard."""

    def test_heard(self) -> None:
        """One node that is heard is enough to know of the cluster."""
        self.assertEqual(isolated(view(b=NOW, c=NOW - 9), {"d"}, ["x"], NOW), "")

    def test_silent(self) -> None:
        """Without any, the silent ones are named, whether they were ever heard or only should be."""
        for made, known, who in (
            (view(b=NOW - 2), (), "b"),
            (view(b=NOW - 2, c=NOW - 3), ("a", "b", "d"), "b, c and d"),
            (view(), ("a", "b"), "b"),
        ):
            self.assertEqual(
                isolated(made, known, [], NOW),
                "a hears no other node: it may be the one that is cut off. "
                f"Look at the others: {who}",
            )
        many = isolated(view(), [f"n{number}" for number in range(9)], [], NOW)
        self.assertTrue(many.endswith("Look at the others"), many)

    def test_rejected(self) -> None:
        """Heartbeats that arrive and are rejected are no silence."""
        self.assertEqual(
            isolated(view(), (), ["10.0.0.2 does not sign its heartbeats"], NOW),
            "a hears no other node: it rejects what arrives, since 10.0.0.2 does not sign its heartbeats. "
            "Look at the others",
        )

    def test_alone(self) -> None:
        """Who never had company, or whose company has said goodbye, is well."""
        self.assertEqual(isolated(view(), ("a",), [], NOW), "")
        made = view()
        told(made, "b", NOW - 2, Role.SHUTDOWN)
        self.assertEqual(isolated(made, (), [], NOW), "")
        self.assertEqual(missing(made, ("b",), NOW), [])

    def test_hearsay(self) -> None:
        """One that others hear is not missing."""
        made = view()
        told(made, "b", NOW, Role.STANDBY, Word("c", 1, 1))
        self.assertEqual(missing(made, (), NOW), [])

    def test_split(self) -> None:
        """What is held without votes may be held twice while somebody is silent."""
        self.assertEqual(
            split(["web", "mail"], ["b", "c"]),
            "b and c are not heard. If the network is split, another node may hold mail and web too: "
            "without votes nothing prevents that",
        )
        self.assertEqual(split([], ["b"]), "")
        self.assertEqual(split(["web"], []), "")
