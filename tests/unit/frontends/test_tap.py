"""Tests for L{hatwist.frontends.tap}: the options of C{twistd ha}, and what they become."""

from __future__ import annotations

import gc
import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

import twisted.internet.reactor  # so that there is one to be replaced
from twisted.application.service import IServiceMaker, ServiceMaker
from twisted.internet.task import Clock
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.electorate import Quorum, Ran
from hatwist.frontends import tap
from hatwist.frontends.tap import Options, makeService
from hatwist.runtime.store import Store
from hatwist.service.service import HAService
from hatwist.settings import host
from hatwist.settings import options as optionSettings

NAMES = ["alpha", "beta", "gamma"]


def parsed(*argv: str) -> Options:
    """The options of a command line."""
    options = Options()
    options.parseOptions(list(argv))
    return options


class OptionsTests(SynchronousTestCase):
    """A command line becomes options, each under its name."""

    def test_defaults(self) -> None:
        """Without options there is nothing to share, and the rest is the defaults."""
        options = parsed()
        self.assertEqual(options["address"], [])
        self.assertEqual(options["alias"], [])
        self.assertIsNone(options["interface"])
        self.assertFalse(options["no-preempt"])

    def test_repeated(self) -> None:
        """--address and --alias may be given several times, and keep their order."""
        options = parsed(
            *("--address", "10.0.0.2/24", "-a", "10.0.0.1/24@eth1", "--address=2001:db8::1/64"),
            *("--alias", "eth0:2", "--alias", "eth0:1"),
        )
        self.assertEqual(options["address"], ["10.0.0.2/24", "10.0.0.1/24@eth1", "2001:db8::1/64"])
        self.assertEqual(options["alias"], ["eth0:2", "eth0:1"])

    def test_repeatedVotesAndLinks(self) -> None:
        """--link and --members may be given several times, and keep their order."""
        options = parsed(
            *("--link", "eth1", "--link=eth2,unicast=10.0.0.2,10.0.0.3"),
            *("--members", "alpha,beta", "--members", "gamma"),
        )
        self.assertEqual(options["link"], ["eth1", "eth2,unicast=10.0.0.2,10.0.0.3"])
        self.assertEqual(options["members"], ["alpha,beta", "gamma"])

    def test_notShared(self) -> None:
        """Two command lines in one process do not add to each other's lists."""
        parsed("--address", "10.0.0.1/24", "--link", "eth0", "--members", "alpha,beta")
        for name in ("address", "alias", "link", "members"):
            self.assertEqual(parsed()[name], [])

    def test_short(self) -> None:
        """The short forms are the long ones."""
        options = parsed(*("-i", "eth0", "-n", "alpha", "-c", "web", "-k", "/key", "-p", "7"))
        self.assertEqual(
            [options[name] for name in ("interface", "node", "cluster", "key-file", "priority")],
            ["eth0", "alpha", "web", "/key", "7"],
        )

    def test_unknown(self) -> None:
        """An option or argument that does not exist ends the program with 1 and one message."""
        for argv, named in ((["--adress", "10.0.0.1/24"], "adress"), (["eth0"], "arguments")):
            error = self.assertRaises(SystemExit, parsed, *argv)
            self.assertIsInstance(error.code, str)  # which Python prints, and exits with 1
            self.assertTrue(str(error.code).startswith("twistd ha cannot start:\n  "))
            self.assertIn(named, str(error.code))
            self.assertIn("--help", str(error.code))

    def test_meant(self) -> None:
        """An option that is nearly one gets the right one's name, and another one nothing."""
        error = self.assertRaises(SystemExit, parsed, "--adress", "10.0.0.1/24")
        self.assertIn("; did you mean --address; see", str(error.code))
        error = self.assertRaises(SystemExit, parsed, "--zebra")
        self.assertNotIn("mean", str(error.code))

    def test_help(self) -> None:
        """--help shows every option with what it means, and its unit and default where it has them."""
        shown = re.sub(r"\s+", " ", str(parsed()))
        for words in (
            "--interface= Network interface for heartbeats, such as eth0.",
            "--address= Shared address, ADDRESS/PREFIX[@INTERFACE]; may be given several times.",
            "--alias= Name for ifup and ifdown, such as eth0:1; may be given several times.",
            "--node= Name of this node [default: the host's name].",
            "--cluster= Name of the cluster. [default: default]",
            "--key-file= File (mode 0600) with the key",
            "--priority= 0 to 254; the highest holds the addresses. [default: 100]",
            "--interval= Seconds between heartbeats. [default: 1.0]",
            "--tolerance= Seconds of silence that make a node count as gone [3.5 intervals].",
            "--multicast= IPv4 multicast group and port of the heartbeats. [default: 239.2.3.4:5555]",
            "--no-preempt Leave the addresses where they are when a worthier node returns.",
            "--preempt-delay= Seconds for which a worthier node is up before it takes over.",
            "--ask-limit= Seconds without a holder's word after which the address is taken though a host",
            "--link= Way of the heartbeats, INTERFACE[,KIND] of kind multicast, multicast6, broadcast or",
            "--members= Names of all nodes that vote, with commas between them;",
            "--quorum= Votes that a claim takes: majority, or a number; needs --members.",
            "--lease= Seconds, whole, after which the kernel removes addresses by itself; 0: never",
            "--state-dir= Directory where terms and votes are remembered [/var/lib/hatwist].",
            "--config= TOML file with everything, the same on every node; --node may go with it,",
            "--control= Path of the socket for the hatwist command; none: there is none [/run/hatwist/",
            "--http= Serve metrics, health and a page there, such as tcp:9107:interface=127.0.0.1.",
            "--witness= IP address of a host that tells a node whether it is cut off.",
            "--witness-lost= keep or release, when no node reaches the witness. [default: release]",
        ):
            self.assertIn(words, shown)

    def test_plugin(self) -> None:
        """twistd and twist find the command, and know it by this module's options."""
        found = [
            maker
            for maker in getPlugins(IServiceMaker)
            if isinstance(maker, ServiceMaker) and maker.tapname == "ha"
        ]
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.assertEqual([maker.module for maker in found], ["hatwist.frontends.launch"])
        self.assertIs(found[0].options, Options)
        self.assertIs(found[0].makeService, makeService)

    def test_journal(self) -> None:
        """Where twistd prints its log for the journal to read, lines get priorities; a choice of one's own stays."""
        asked: dict[str, Any] = {"nodaemon": True, "syslog": False, "logfile": None, "logger": None}
        for journalThere, change, expected in (
            (True, {}, "hatwist.frontends.logs.journal"),
            (True, {"logfile": "-"}, "hatwist.frontends.logs.journal"),
            (True, {"logfile": "ha.log"}, None),
            (True, {"logger": "mine"}, "mine"),
            (True, {"syslog": True}, None),
            (True, {"nodaemon": False}, None),
            (False, {}, None),
        ):
            self.patch(
                tap, "journalStream", lambda there=journalThere: sys.stdout if there else None
            )
            options: Any = Options()
            options.parent = {**asked, **change}
            options.parseOptions([])
            self.assertEqual(options.parent["logger"], expected, change)


class MakeServiceTests(SynchronousTestCase):
    """Options become a service, or one message with everything that is wrong."""

    def setUp(self) -> None:
        reactor: Any = Clock()
        self.reactor = reactor
        self.whenRunning: list[Any] = []
        reactor.callWhenRunning = self.whenRunning.append
        self.patch(twisted.internet, "reactor", self.reactor)
        self.patch(host, "mayChangeAddresses", lambda: True)
        self.patch(host, "maySendFrames", lambda: True)

    def make(self, *argv: str, parent: dict[str, Any] | None = None) -> HAService:
        options = parsed(*argv)
        if parent is not None:
            options.parent = parent  # type: ignore[assignment]
        made = makeService(options)
        assert isinstance(made, HAService)
        return made

    def refused(self, *argv: str, parent: dict[str, Any] | None = None) -> Sequence[str]:
        error = self.assertRaises(SystemExit, self.make, *argv, parent=parent)
        first, *lines = str(error.code).splitlines()
        self.assertEqual(first, "twistd ha cannot start:")
        return [line.removeprefix("  ") for line in lines]

    def test_service(self) -> None:
        """What was given is in the service's settings."""
        made = self.make(
            *("--interface", "lo", "--address", "10.0.0.1/24", "--node", "alpha", "-p", "7"),
            *("--interval", "0.1", "--no-preempt", "--preempt-delay", "2", "--cluster", "c"),
            *("--multicast", "239.9.9.9:9", "--realtime"),
        )
        found = made.settings
        self.assertTrue(found.realtime)
        self.assertEqual(
            (found.interface, found.node, found.cluster, found.interval, found.tolerance),
            ("lo", "alpha", "c", 0.1, 0.35),
        )
        (group,) = found.groups
        self.assertEqual((group.priority, group.preempt, group.preemptDelay), (7, False, 2.0))
        self.assertEqual(str(found.multicast), "239.9.9.9:9")
        self.assertEqual([str(spec) for spec in found.addresses], ["10.0.0.1/24"])

    def test_fencing(self) -> None:
        """So is what was given of votes, leases, links and the witness."""
        argv = ("--interface", "lo", "--address", "10.0.0.1/24", "--node", "alpha")
        directory = self.mktemp()
        found = self.make(
            *(*argv, "--link", "lo,broadcast", "--members", "alpha,beta,gamma", "--quorum", "3"),
            *("--lease", "7", "--state-dir", directory),
        ).settings
        assert found.quorum is not None
        self.assertEqual((sorted(found.quorum.members), found.quorum.needed), (NAMES, 3))
        self.assertEqual((found.lease, found.stateDir), (7, directory))
        self.assertEqual([str(spec) for spec in found.ways], ["lo,broadcast"])
        found = self.make(*argv, "--witness", "10.0.0.9", "--witness-lost", "keep").settings
        self.assertEqual((str(found.witness), found.witnessLost), ("10.0.0.9", "keep"))

    def test_untouched(self) -> None:
        """Making the service opens no socket and starts no timer: twistd forks afterwards."""
        with mock.patch.object(socket, "socket", side_effect=AssertionError("a socket")):
            self.patch(optionSettings, "hostProblems", lambda found, name: ())
            self.make("--interface", "lo", "--address", "10.0.0.1/24", "--alias", "eth0:1")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_garbage(self) -> None:
        """What was imported is looked through by no collection of garbage, which would delay heartbeats."""
        self.make("--interface", "lo", "--address", "10.0.0.1/24")
        self.assertEqual(self.whenRunning, [gc.freeze])

    def test_everyProblem(self) -> None:
        """Every problem is in one message."""
        found = self.refused(
            *("--priority", "300", "--tolerance", "1", "--address", "x/y", "--lease", "1"),
            *("--quorum", "2", "--link", "lo,x", "--witness", "x", "--witness-lost", "x"),
        )
        self.assertEqual(
            sorted(line.split()[0] for line in found),
            [
                *("--address", "--interface", "--lease", "--link", "--priority", "--quorum"),
                *("--tolerance", "--witness", "--witness-lost"),
            ],
        )

    def test_damagedState(self) -> None:
        """A state file that is damaged is one message, before anything was started."""
        directory = self.mktemp()
        os.mkdir(directory)
        path = os.path.join(directory, "default.alpha.json")
        with open(path, "w") as file:
            file.write("{")
        argv = ("--interface", "lo", "--address", "10.0.0.1/24", "--state-dir", directory)
        (line,) = self.refused(*argv, "--node", "alpha")
        self.assertTrue(line.startswith(f"--state-dir: {path} is not a state file"), line)
        self.make(*argv, "--node", "beta")

    def test_members(self) -> None:
        """Members that could give two majorities are one message that says which step to take; nothing is started."""
        directory = self.mktemp()
        argv = (
            *("--interface", "lo", "--address", "10.0.0.1/24", "--state-dir", directory),
            *("--node", "alpha", "--quorum", "majority", "--members"),
        )
        memory = Store.of(None, directory, "default", "alpha")
        memory.ran = Ran(Quorum(frozenset(("alpha", "beta", "gamma")), 2), ("x",), {})
        memory.writeNow()
        (line,) = self.refused(*argv, "alpha,beta,gamma,delta,epsilon")
        self.assertTrue(
            line.startswith(
                "--members: from 3 to 5 nodes at once could give two majorities; change one node at a time: "
                "first alpha, beta, delta, gamma on every node"
            ),
            line,
        )
        self.make(*argv, "gamma,beta,alpha")

    def test_nothingToShare(self) -> None:
        """Without any address or alias it does not start."""
        self.assertEqual(
            self.refused("--interface", "lo"),
            ["nothing to share: give at least one --address or --alias, or a file with --config"],
        )

    def test_permission(self) -> None:
        """What this process may not do is told with the way out, together with the rest."""
        self.patch(host, "mayChangeAddresses", lambda: False)
        self.patch(host, "maySendFrames", lambda: False)
        found = self.refused("--interface", "nope0", "--address", "10.0.0.1/24")
        self.assertEqual(len(found), 3)
        self.assertIn("nope0", found[0])
        self.assertIn("CAP_NET_ADMIN", found[1])
        self.assertIn("CAP_NET_RAW", found[2])

    def test_http(self) -> None:
        """An endpoint on which nobody can listen is a problem like others, before anything is started."""
        argv = ("--interface", "lo", "--address", "10.0.0.1/24", "--state-dir", self.mktemp())
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            (line,) = self.refused(*argv, "--http", f"tcp:{port}:interface=127.0.0.1")
        self.assertIn("cannot listen there: Address already in use", line)
        for description, words in (
            ("unix:/nonexistent/x", "/nonexistent cannot be written"),
            ("tcp:0:interface=192.0.2.1", "cannot listen there: Cannot assign requested address"),
            ("tcp:x", "allowed is a server endpoint"),
        ):
            (line,) = self.refused(*argv, "--http", description)
            self.assertTrue(line.startswith(f"--http {description}: "), line)
            self.assertIn(words, line)
        for more, there in (((), False), (("--http", f"tcp:{port}:interface=127.0.0.1"), True)):
            made = self.make(*argv, *more)
            self.assertEqual("web" in made.namedServices, there)

    def test_inFile(self) -> None:
        """What is wrong in a file is named as it stands there."""
        path = self.mktemp()
        for given in ('http = "unix:/nonexistent/x"', 'control = "/nonexistent/x"'):
            with open(path, "w", encoding="utf-8") as file:
                file.write(
                    f'{given}\ninterface = "lo"\nstate_dir = "{self.mktemp()}"\n'
                    '[group.web]\nresources = [{address = "10.0.0.1/24"}]\n'
                )
            (line,) = self.refused("--config", path)
            self.assertTrue(line.startswith(f"{path}: {given}: "), line)

    def test_twistdUser(self) -> None:
        """--uid, --gid and --chroot of twistd take away the right to release: refused, each by name."""
        argv = ("--interface", "lo", "--address", "10.0.0.1/24")
        for name, value in (("uid", 1000), ("gid", 0), ("chroot", "/srv")):
            found = self.refused(*argv, parent={"uid": None, "gid": None, name: value})
            self.assertEqual(len(found), 1)
            self.assertTrue(found[0].startswith(f"--{name} of twistd"))
            self.assertIn("AmbientCapabilities", found[0])
        self.make(*argv, parent={"uid": None, "gid": None, "chroot": None})

    def test_lateReactor(self) -> None:
        """A reactor that has timers already is as good: they stay on its own clock."""
        self.reactor.callLater(1.0, lambda: None)
        self.make("--interface", "lo", "--address", "10.0.0.1/24")
