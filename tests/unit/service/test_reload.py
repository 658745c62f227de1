"""Tests for L{hatwist.service.reload}: a service that runs, and goes on with other settings."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail

from hatwist.core.claims import Role
from hatwist.core.electorate import Quorum
from hatwist.core.errors import ResourceError
from hatwist.runtime import node
from hatwist.service import reload
from hatwist.service.service import HAService
from hatwist.settings import CommandSpec, GroupSettings, Settings
from tests.unit.service.test_service import Observer, ServiceTestCase

WEB = GroupSettings("web")
BAD = CommandSpec(("false",), ("true",))


class ReloadTests(ServiceTestCase):
    """What was asked for is done as far as it can be."""

    def setUp(self) -> None:
        super().setUp()
        self.held = self.resource("one")

    async def running(self, *groups: GroupSettings) -> HAService:
        """One that holds its first group, with a resource in memory; its guard bears with a busy machine."""
        service = self.service(self.held, groups=groups, tolerance=1.5)
        await self.active(service)
        return service

    def with_(self, service: HAService, *groups: GroupSettings) -> Settings:
        return replace(service.settings, groups=groups)

    async def test_resourceFails(self) -> None:
        """Where a new resource cannot be acquired the group has all else of its new settings, commands too."""
        service = await self.running(WEB)
        told = os.path.abspath(self.mktemp())
        web = replace(WEB, resources=(BAD,), hooks=(("released", (("touch", told),)),))
        with self.assertRaises(ResourceError):
            await service.reload(self.with_(service, web))
        await self.until(lambda: os.path.exists(told))

    async def test_letGoMeanwhile(self) -> None:
        """A group that is let go of just then needs no new goodbye in its guard; the others are gone on with."""
        service = await self.running(WEB)
        assert service.node is not None
        cancelled: Deferred[Any] = fail(CancelledError())
        self.patch(service.node.keepers["web"], "perform", lambda operation: cancelled)
        signed = replace(service.settings, keys=(b"k" * 32,))
        lines = await service.reload(signed)
        self.assertEqual(len(lines), 1)
        self.assertEqual(service.settings, signed)

    async def test_stuck(self) -> None:
        """A group that goes and cannot be released is told after a while, and gone all the same once it can be."""
        self.patch(reload, "LIMIT", 0.1)
        service = await self.running(WEB, GroupSettings("db"))
        stuck = self.held
        stuck.failNext("release", times=1_000_000)
        with self.assertRaises(ResourceError) as caught:
            await service.reload(self.with_(service, GroupSettings("db")))
        self.assertEqual(
            str(caught.exception), "group web: still not released after 0.1 s; see the log"
        )
        self.assertIn("web", service.groups)
        stuck._failures["release"].clear()
        await self.until(lambda: "web" not in service.groups and "web" not in service.roles)

    async def test_stuckToTheEnd(self) -> None:
        """One that could not be released before the service stopped is not started again."""
        self.patch(reload, "LIMIT", 0.05)
        self.patch(node, "STOP_LIMIT", 0.05)
        self.patch(node, "HURRY_LIMIT", 0.05)
        service = await self.running(WEB, GroupSettings("db"))
        self.held.failNext("release", times=1_000_000)
        with self.assertRaises(ResourceError):
            await service.reload(self.with_(service, GroupSettings("db")))
        await service.stopService()
        self.assertEqual(set(service.groups), {"db"})
        await self.active(service)
        self.assertEqual(service.roles, {"db": Role.ACTIVE})

    async def test_goes(self) -> None:
        """A group that goes is let go of, and the other one is not touched."""
        service = await self.running(WEB, GroupSettings("db"))
        await self.until(lambda: set(service.roles.values()) == {Role.ACTIVE})
        observer = Observer()
        service.addObserver(observer)
        lines = await service.reload(self.with_(service, GroupSettings("db")))
        self.assertEqual(lines, ("group web goes: it is released here",))
        self.assertFalse(self.held.held)
        self.assertEqual([(c.group, c.new) for c in observer.changes], [("web", Role.SHUTDOWN)])

    async def test_lease(self) -> None:
        """The kernel's lease follows the votes for as long as the release of what is held leaves room for it."""
        members = Quorum(frozenset(("alpha", "beta", "gamma")), 2)
        service = self.service(quorum=members, interval=0.1, tolerance=2.5, lease=3, groups=(WEB,))
        service.startService()
        assert service.node is not None
        leases = service.node.driver.leases
        short = leases.kernels[service.node.machine]
        self.assertIsNotNone(short.margin)
        slow = replace(WEB, resources=(CommandSpec(("true",), ("true",), timeout=1.0),))
        await service.reload(self.with_(service, slow))
        self.assertEqual(leases.kernels[service.node.machine], (3, None))
        await service.reload(self.with_(service, WEB))
        self.assertEqual(leases.kernels[service.node.machine], short)
