"""What a daemon imports: what it does not use is not in its memory."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

# Everything that twistd does before the reactor runs.
MADE = """
import sys
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.scripts import twistd
from hatwist.settings import host

host.mayChangeAddresses = host.maySendFrames = lambda: True
(maker,) = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "ha"]
options = maker.options()
options.parseOptions(sys.argv[1:])
maker.makeService(options)
print(*sys.modules)
"""
PLAIN = ("--interface", "lo", "--node", "alpha", "--address", "10.99.0.100/24")


class ImportTests(SynchronousTestCase):
    """The modules of a daemon that is about to start."""

    def imported(self, *argv: str) -> set[str]:
        """The modules of one with these options."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", MADE, *argv, "--state-dir", self.mktemp()],
            env=environment,
            check=True,
            timeout=60,
            stdout=subprocess.PIPE,
            text=True,
        )
        found = set(done.stdout.split())
        self.assertIn("hatwist.service.service", found)
        return found

    def test_plain(self) -> None:
        """One group with an address takes no scapy, of pyroute2 only messages, and no HTTP; nor commands or a lab."""
        unused = {
            "scapy",
            *("pyroute2", "pyroute2.ndb", "pyroute2.ipdb", "sqlite3"),
            *("hatwist.frontends.web.server", "twisted.web", "prometheus_client"),
            *("hatwist.frontends.cli", "hatwist.frontends.importing"),
            *("hatwist.lab", "hatwist.testing"),
        }
        self.assertEqual(self.imported(*PLAIN) & unused, set())

    def test_web(self) -> None:
        """Who wants metrics has imported what makes them before the first heartbeat, not with the first question."""
        used = {"hatwist.frontends.web.server", "twisted.web.http", "prometheus_client"}
        found = self.imported(*PLAIN, "--http", "tcp:0:interface=127.0.0.1")
        self.assertEqual(used - found, set())
