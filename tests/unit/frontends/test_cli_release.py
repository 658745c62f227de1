"""Tests for L{hatwist.frontends.cli.release}: what it says; what it does to a kernel: tests/live/test_systemd.py."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ConfigurationError
from hatwist.frontends import tap
from hatwist.frontends.cli.release import WRONG, release
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.memory import MemoryResource
from hatwist.service.leftover import Left
from hatwist.settings import CommandSpec, GroupSettings
from tests.unit.service import test_service


class FileTests(SynchronousTestCase):
    """Which configuration is meant."""

    def test_usual(self) -> None:
        """Without options, or with --node only, it is the usual file; with others it is not."""
        files: list[Any] = []

        def choose(options: Any, here: bool) -> Any:
            files.append((options["config"], options["node"]))
            raise ConfigurationError(["enough"])

        self.patch(tap, "chosen", choose)
        for argv in ([], ["--node", "beta"], ["--config", "x.toml"], ["--address", "10.0.0.1/24"]):
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(release(argv), WRONG)
        usual = "/etc/hatwist/hatwist.toml"
        self.assertEqual(files, [(usual, None), (usual, "beta"), ("x.toml", None), (None, None)])


class ToldTests(test_service.ServiceTestCase):
    """What was there is told from what was not."""

    async def test_left(self) -> None:
        """What was held is released; what was not is told so; of a command without check nobody can tell."""
        held, free = (MemoryResource(reactor, name) for name in ("held", "free"))
        held.held = True
        stuck = MemoryResource(reactor, "stuck")
        stuck.failNext("release", "busy")
        command = CommandSpec(("true",), ("true",))
        group = GroupSettings(resources=(command,))
        service = self.service(held, free, stuck, groups=(group,))
        self.assertEqual(
            await service.releaseLeft(),
            {
                "stuck": Left("stuck: busy", False),
                "free": Left("", False),
                "held": Left("", True),
                "true": Left("", None),
            },
        )
        self.assertFalse(held.held)


class AddressTests(SynchronousTestCase):
    """The same of addresses, on a kernel in memory."""

    def test_left(self) -> None:
        """An address that an earlier run left is found once; then there is none."""
        clock = Clock()
        kernel = MemoryKernel(clock)
        kernel.addLink("eth0", bytes.fromhex("02000000000a"))
        specs = [AddressSpec.parse("10.9.0.100/24@eth0")]

        def made() -> Addresses:
            return Addresses(clock, kernel, specs, kernel.openSender)

        before = made()
        self.successResultOf(before.release())
        before.acquire()
        clock.advance(0.1)
        for found in (True, False):
            after = made()
            self.successResultOf(after.release())
            self.assertIs(after.leftThere, found)
