"""Tests for L{hatwist.resources.kinds}: what a configuration says of a resource, and what is made of it."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.limits import LIMIT
from hatwist.core.table import Table
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.resources.addresses.batchspec import AddressBatch
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.command import CommandSpec
from hatwist.resources.interfaces import ICloseable, IResource
from hatwist.resources.kinds import KINDS, parts, readResource
from hatwist.resources.spec import World
from hatwist.resources.unit import UnitSpec

ADDRESS: dict[str, Any] = {"address": "192.168.1.100/24@eth0"}
ALIAS: dict[str, Any] = {"alias": "eth0:1", "timeout": 3}
COMMAND: dict[str, Any] = {"command": ["up", "a"], "undo": ["down"], "timeout": 4}
CHECKED: dict[str, Any] = {**COMMAND, "check": ["ask"]}
INTERFACE: dict[str, Any] = {"interface": "eth1"}
UNIT: dict[str, Any] = {"unit": "nginx"}
ALL = (ADDRESS, ALIAS, COMMAND, CHECKED, INTERFACE, UNIT)


def read(values: dict[str, Any]) -> Any:
    """What a table says, which is without problems."""
    problems: list[str] = []
    found = readResource(Table(values, problems))
    assert not problems, problems
    return found


class KindTests(SynchronousTestCase):
    """Each kind, from its table to its resource."""

    def world(self) -> World:
        """Where anything may be held, for ever."""
        clock = Clock()
        kernel = MemoryKernel(clock)
        return World(
            *(clock, kernel, "web", kernel.openSender, lambda: True, lambda: None, lambda: inf),
            lambda owner, deletions: succeed(None),
        )

    def test_said(self) -> None:
        """What it is called, what it takes on the host, and how long its release may take without the guard."""
        for values, text, programs, releaseTime in (
            (ADDRESS, "192.168.1.100/24 on eth0", (), 0.0),
            (ALIAS, "alias eth0:1", ("ifup", "ifdown"), 6),
            (COMMAND, "command up a", ("up", "down"), 4),
            (CHECKED, "command up a", ("up", "down", "ask"), 8),
            (INTERFACE, "interface eth1", (), LIMIT),
            (UNIT, "unit nginx.service", ("systemctl",), 60),
        ):
            spec = read(values)
            found = str(spec), spec.programs, spec.releaseTime
            self.assertEqual(found, (text, programs, releaseTime))
            self.assertIn(spec.kind, values)

    def test_made(self) -> None:
        """What is made of it is a resource that takes as long as was said, and is left by a dead daemon as was said."""
        for values in ALL:
            spec = read(values)
            (part,) = parts([spec])
            made = part.make(self.world())
            self.assertTrue(IResource.providedBy(made), values)
            guarded = getattr(made, "guarded", False)
            self.assertEqual(guarded, spec.releaseTime == 0)
            if not guarded:
                self.assertEqual(getattr(made, "releaseTime", LIMIT), spec.releaseTime)

    def test_traits(self) -> None:
        """What has sockets, what manages an interface, and what cannot tell whether it is held."""
        made = [part.make(self.world()) for values in ALL for part in parts([read(values)])]
        self.assertEqual(
            [ICloseable.providedBy(each) for each in made], [True, True, False, False, False, False]
        )
        managed = [getattr(each, "managed", None) for each in made]
        self.assertEqual(managed, [None, "eth0:1", None, None, "eth1", None])
        checked = [getattr(each, "checked", True) for each in made]
        self.assertEqual(checked, [True, True, False, True, True, True])

    def test_identity(self) -> None:
        """An address is the same with another prefix; a command is another one in another group."""
        same = AddressSpec.parse("10.0.0.1/24"), AddressSpec.parse("10.0.0.1/16@eth1")
        self.assertEqual(same[0].identity("web"), same[1].identity("db"))
        command = CommandSpec(("up",), ("down",))
        self.assertEqual(command.identity("web"), command.identity("web"))
        self.assertNotEqual(command.identity("web"), command.identity("db"))
        self.assertEqual(UnitSpec("a", 1).identity("web"), UnitSpec("a", 2).identity("db"))

    def test_wrong(self) -> None:
        """A table is of one kind; what it is not is told."""
        for values, words in (
            ({}, None),
            ({"adress": "10.0.0.1/24"}, "is no resource; did you mean address?"),
            ({**UNIT, **ALIAS}, "is alias and unit at once; each resource is one thing"),
            ({**UNIT, "zebra": 1}, "zebra = 1: there is no such key; there are timeout, unit"),
        ):
            problems: list[str] = []
            readResource(Table(values, problems))
            self.assertEqual(len(problems), 0 if words is None else 1, problems)
            self.assertIn(words or "", "".join(problems))

    def test_all(self) -> None:
        """Every kind is tested here."""
        self.assertEqual({read(values).kind for values in ALL}, set(KINDS))


class PartTests(SynchronousTestCase):
    """Addresses that follow each other are one part."""

    @given(st.lists(st.sampled_from(["10.0.0.1/24", "10.0.0.2/24", "a", "b"]), max_size=8))
    def test_parts(self, words: list[str]) -> None:
        """Nothing is lost, the order stays, and no two batches follow each other."""
        specs = [AddressSpec.parse(each) if "/" in each else UnitSpec(each) for each in words]
        found = [*parts(specs)]
        flat: list[Any] = []
        for part in found:
            flat += part.specs if isinstance(part, AddressBatch) else [part]
        self.assertEqual(flat, specs)
        for one, other in pairwise(found):
            self.assertFalse(isinstance(one, AddressBatch) and isinstance(other, AddressBatch))
