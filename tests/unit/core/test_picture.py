"""Tests for L{hatwist.core.picture}: what several protocols of one node know, as one."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.picture import MemberPicture, PeerPicture, Picture, merged
from hatwist.core.worth import Fitness

MEMBER = MemberPicture(Role.ACTIVE, Fitness.FIT, "", 100, 0, False, 0, 0)


def peer(name: str, age: float, link: str, group: str, **more: Any) -> PeerPicture:
    found = PeerPicture(
        name,
        0,
        age,
        True,
        True,
        True,
        False,
        False,
        True,
        0,
        0,
        0,
        {link: age},
        {group: MEMBER},
        True,
    )
    return found._replace(**more)


def picture(*peers: PeerPicture, **more: Any) -> Picture:
    found = Picture(5.0, "alpha", 7, False, False, "", "", {}, {each.name: each for each in peers})
    return found._replace(**more)


class MergedTests(SynchronousTestCase):
    def test_first(self) -> None:
        """What is known of the node is what its first protocol knows."""
        first = picture(session=9, drained=True, alone="nobody is heard", split="perhaps")
        found = merged([first, picture(session=0), picture(session=0)])
        self.assertEqual(found, first)

    def test_groups(self) -> None:
        """All groups of all protocols are there."""
        one, other = picture(groups={"web": "a"}), picture(groups={"lan": "b"})
        self.assertEqual(merged([one, other]).groups, {"web": "a", "lan": "b"})

    def test_apart(self) -> None:
        """Peers of other names are others."""
        found = merged(
            [
                picture(peer("beta", 0.1, "eth0", "web")),
                picture(peer("10.0.0.2", 0.2, "eth0,raw", "lan")),
            ]
        )
        self.assertEqual(list(found.peers), ["beta", "10.0.0.2"])

    def test_same(self) -> None:
        """One of the same name is one, as new as its newest word, with all that it says on each link."""
        vrrp = peer("10.0.0.2", 0.9, "eth0,raw", "lan", agrees=False)
        carp = peer("10.0.0.2", 0.2, "eth0,raw", "old", alive=False)
        (found,) = merged([picture(), picture(vrrp), picture(carp)]).peers.values()
        self.assertEqual((found.age, found.alive, found.agrees), (0.2, True, False))
        self.assertEqual((found.links, sorted(found.groups)), ({"eth0,raw": 0.2}, ["lan", "old"]))
