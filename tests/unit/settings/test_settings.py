"""Tests for L{hatwist.settings}: every option, good and impossible, and key files."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import IPv4Address, IPv6Address
from math import inf
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.electorate import Quorum
from hatwist.core.errors import ConfigurationError
from hatwist.core.linkspec import Kind, LinkPeer, LinkSpec, MulticastGroup
from hatwist.protocols.native.rules import Timing
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.runtime import store
from hatwist.settings import AliasSpec, GroupSettings, Settings, readKeys, settings
from hatwist.settings.digest import digest
from hatwist.settings.options import fromOptions

KEY = b"0123456789abcdef"


def problems(*, here: Any = False, **words: Any) -> list[str]:
    """What is wrong with these options."""
    try:
        fromOptions({"interface": "eth0", "node": "alpha", **words}, here)
    except ConfigurationError as e:
        return list(e.problems)
    return []


class GoodTests(SynchronousTestCase):
    """What is allowed becomes frozen values."""

    def test_defaults(self) -> None:
        """Only the interface has to be given; the rest is as README says."""
        found = settings(interface="eth0")
        self.assertEqual(
            found,
            Settings(
                interface="eth0",
                node=socket.gethostname().split(".")[0],
                cluster="default",
                groups=(
                    GroupSettings(
                        "default",
                        resources=(),
                        priority=100,
                        preempt=True,
                        preemptDelay=0.0,
                        lastResort="release",
                    ),
                ),
                interval=1.0,
                tolerance=3.5,
                multicast=MulticastGroup(IPv4Address("239.2.3.4"), 5555),
                quorum=None,
                lease=4,
                stateDir="/var/lib/hatwist",
                links=(),
                witness=None,
                witnessLost="release",
            ),
        )

    def test_everything(self) -> None:
        """Every setting can be given as words."""
        found = settings(
            interface="eth1",
            address=["192.168.1.100/24", "2001:db8::100/64@eth2"],
            alias=["eth0:1", "web"],
            node="alpha.1-x_Y",
            cluster="web",
            priority="254",
            interval="0.1",
            tolerance="0.35",
            multicast="239.1.1.1:6000",
            preempt=False,
            preemptDelay="30",
            quorum="majority",
            members=["alpha.1-x_Y, beta", "gamma"],
            lease="5",
            stateDir="/srv/state",
            link=["eth1", "eth2,unicast=10.0.0.2,[fd00::3]:5556"],
        )
        self.assertEqual(
            found,
            Settings(
                "eth1",
                (
                    GroupSettings(
                        "default",
                        (
                            AliasSpec("eth0:1"),
                            AliasSpec("web"),
                            AddressSpec.parse("192.168.1.100/24"),
                            AddressSpec.parse("2001:db8::100/64@eth2"),
                        ),
                        254,
                        False,
                        30.0,
                    ),
                ),
                "alpha.1-x_Y",
                "web",
                (),
                0.1,
                0.35,
                MulticastGroup(IPv4Address("239.1.1.1"), 6000),
                Quorum(frozenset(("alpha.1-x_Y", "beta", "gamma")), 2),
                5,
                "/srv/state",
                (
                    LinkSpec("eth1"),
                    LinkSpec(
                        "eth2",
                        Kind.UNICAST,
                        (
                            LinkPeer(IPv4Address("10.0.0.2")),
                            LinkPeer(IPv6Address("fd00::3"), 5556),
                        ),
                    ),
                ),
            ),
        )

    def test_witness(self) -> None:
        """A witness is any one host, and what happens when nobody reaches it can be chosen."""
        found = settings(interface="eth0", witness="192.168.1.1")
        self.assertEqual(
            (found.witness, found.witnessLost), (IPv4Address("192.168.1.1"), "release")
        )
        found = settings(interface="eth0", witness="fd00::1", witnessLost="keep")
        self.assertEqual((found.witness, found.witnessLost), (IPv6Address("fd00::1"), "keep"))

    def test_quorum(self) -> None:
        """A majority is more than half of the members; more may be asked for."""
        for count, majority in ((2, 2), (3, 2), (4, 3), (5, 3)):
            members = ",".join(f"n{number}" for number in range(count))
            for quorum, needed in (
                ("majority", majority),
                (str(majority), majority),
                (count, count),
            ):
                found = settings(interface="eth0", node="n0", quorum=quorum, members=[members])
                assert found.quorum is not None
                self.assertEqual((len(found.quorum.members), found.quorum.needed), (count, needed))

    def test_lease(self) -> None:
        """Without a lease it is the tolerance in whole seconds, two at least; 0 is none."""
        for words, lease in (
            ({}, 4),
            ({"tolerance": "4"}, 4),
            ({"interval": "0.1"}, 2),
            ({"interval": "60"}, 210),
            ({"lease": "0"}, 0),
            ({"lease": 0}, 0),
            ({"lease": "3600"}, 3600),
        ):
            self.assertEqual(settings(interface="eth0", **words).lease, lease, words)

    def test_stateDirectory(self) -> None:
        """It is as given, else as systemd tells it, of several the first, else the usual one."""
        self.patch(os, "environ", {"STATE_DIRECTORY": "/run/a:/run/b"})
        self.assertEqual(settings(interface="eth0").stateDir, "/run/a")
        self.assertEqual(settings(interface="eth0", stateDir="/srv").stateDir, "/srv")
        self.patch(os, "environ", {})
        self.assertEqual(settings(interface="eth0").stateDir, "/var/lib/hatwist")

    def test_ways(self) -> None:
        """Heartbeats travel by multicast on the interface, or on the links and nowhere else."""
        self.assertEqual(settings(interface="eth0").ways, (LinkSpec("eth0"),))
        found = settings(interface="eth0", link=["eth1,broadcast"])
        self.assertEqual(found.ways, (LinkSpec("eth1", Kind.BROADCAST),))

    def test_edges(self) -> None:
        """The least and the greatest of each range are allowed."""
        for words in (
            {"priority": "0"},
            {"priority": 254},
            {"interval": "0.005"},
            {"interval": "60"},
            {"interval": "0.1", "tolerance": "0.2"},
            {"tolerance": "600"},
            {"preemptDelay": "0"},
            {"preemptDelay": "86400"},
            {"askLimit": "0"},
            {"multicast": "224.0.0.1:1"},
            {"multicast": "239.255.255.255:65535"},
            {"node": "n" * 63},
            {"cluster": "c"},
            {"lease": "2"},
            {"lease": "3600"},
            {"members": ["alpha,beta"], "quorum": "2"},
        ):
            self.assertEqual(problems(**words), [], words)

    def test_tolerance(self) -> None:
        """Without a tolerance it is three and a half intervals."""
        self.assertEqual(settings(interface="eth0", interval="0.1").tolerance, 0.35)
        self.assertEqual(settings(interface="eth0", interval="60").tolerance, 210.0)

    def test_groupWithoutPort(self) -> None:
        """A multicast group without a port gets the usual one."""
        found = settings(interface="eth0", multicast="239.9.9.9").multicast
        self.assertEqual(str(found), "239.9.9.9:5555")

    def test_keysAreNotShown(self) -> None:
        """What is logged or printed of settings contains no key."""
        self.assertNotIn("0123456789", repr(Settings("eth0", keys=(KEY,))))


class ImpossibleTests(SynchronousTestCase):
    """What is not allowed is named: the option, the value, and what is allowed."""

    def check(self, option: str, value: str, allowed: str, **words: Any) -> None:
        found = problems(**words)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"--{option}"), found)
        self.assertTrue(value in found[0] or repr(value) in found[0], found)
        self.assertIn(allowed, found[0])

    def test_interface(self) -> None:
        """A missing interface is named with an example."""
        for missing in (None, ""):
            self.check("interface", "", "such as eth0", interface=missing)

    def test_address(self) -> None:
        """What is no address, has no prefix, or cannot be shared is refused."""
        example = "192.168.1.100/24"
        for text, allowed in (
            ("nonsense", example),
            ("192.168.1.100", example),
            ("192.168.1.300/24", example),
            ("192.168.1.100/33", example),
            ("192.168.1.0/24", "allowed is one in it"),
            ("192.168.1.255/24", "allowed is one below it"),
            ("239.2.3.4/24", "unicast"),
            ("127.0.0.1/8", "unicast"),
            ("fe80::1/64", "@INTERFACE"),
            ("192.168.1.100/24@", "1 to 15 characters"),
            ("192.168.1.100/24@an-interface-too-long", "1 to 15 characters"),
        ):
            self.check("address", text, allowed, address=[text])

    def test_addressTwice(self) -> None:
        """One address under two prefixes or interfaces is one address given twice."""
        self.check(
            "address", "10.0.0.1/16", "given twice", address=["10.0.0.1/24", "10.0.0.1/16@eth1"]
        )
        self.check(
            "address", "2001:db8::1/64", "twice", address=["2001:db8::1/64", "2001:db8:0::1/64"]
        )

    def test_alias(self) -> None:
        """A name that ifup could take for an option, or that has no form of a name, is refused."""
        for name in ("", "--all", "eth0 1", "eth0/1", "a" * 16, "eth0:1\n"):
            self.check("alias", name, "eth0:1", alias=[name])

    def test_aliasTwice(self) -> None:
        """An alias given twice would be brought up and down twice."""
        self.check("alias", "eth0:1", "given twice", alias=["eth0:1", "eth0:1"])

    def test_names(self) -> None:
        """Node and cluster are names of 1 to 63 plain characters."""
        for name in ("", "a b", "ä", "a/b", "n" * 64, "alpha\n"):
            self.check("node", name, "1 to 63", node=name)
            self.check("cluster", name, "1 to 63", cluster=name)

    def test_priority(self) -> None:
        """A priority is a whole number from 0 to 254."""
        for value in ("-1", "255", "1.5", "high", "", 100.5, float("inf")):
            self.check("priority", str(value), "0 to 254", priority=value)

    def test_interval(self) -> None:
        """An interval is 5 ms to a minute."""
        for value in ("0", "0.004", "-1", "61"):
            self.check("interval", value, "0.005 to 60 seconds", interval=value)
        for value in ("soon", "", "nan", "inf", "1s"):
            self.check("interval", value, "number of seconds", interval=value)

    def test_toleranceUnderTwoIntervals(self) -> None:
        """One lost packet must not look like a dead node."""
        self.check("tolerance", "1.9", "2 (two intervals) to 600 seconds", tolerance="1.9")
        self.check("tolerance", "0.19", "0.2 (two", interval="0.1", tolerance="0.19")
        self.check("tolerance", "601", "600 seconds", tolerance="601")
        self.check("tolerance", "long", "number of seconds", tolerance="long")

    def test_toleranceWithoutRoom(self) -> None:
        """A tolerance in which a holder had no time to be heard and let go is refused, with the least that will do."""
        for interval, tolerance, least in (
            ("0.005", "0.01", "0.015"),
            ("0.006", "0.0125", "0.016"),
        ):
            words = {"interval": interval}
            self.check("tolerance", tolerance, f"least {least} s", tolerance=tolerance, **words)
            self.assertEqual(problems(tolerance=least, **words), [])
            timing = Timing(float(interval), float(least))
            self.assertGreater(timing.hold, float(interval) + timing.lateness)
        for usual in (0.005, 0.01, 0.1, 1.0, 60.0):
            self.assertGreaterEqual(Timing(usual, 3.5 * usual).survives(), 0)

    def test_toleranceOfNoInterval(self) -> None:
        """A tolerance is not blamed where it is the interval that is wrong."""
        self.check("interval", "0.1s", "number", interval="0.1s", tolerance="0.35")

    def test_multicast(self) -> None:
        """The group is an IPv4 multicast address, the port a port."""
        for value, allowed in (
            ("192.168.1.1:5555", "224.0.0.0 to 239.255.255.255"),
            ("ff02::1:5555", "224.0.0.0 to 239.255.255.255"),
            ("239.2.3.4:0", "1 to 65535"),
            ("239.2.3.4:65536", "1 to 65535"),
            ("239.2.3.4:port", "GROUP:PORT"),
            ("hearts:5555", "GROUP:PORT"),
            ("", "GROUP:PORT"),
        ):
            self.check("multicast", value, allowed, multicast=value)

    def test_askLimit(self) -> None:
        """So is the time after which answers of the LAN count no more; there is none unless it is given."""
        for value in ("-1", "86401"):
            self.check("ask-limit", value, "0 to 86400 seconds", askLimit=value)
        given = [settings(interface="eth0"), settings(interface="eth0", askLimit="30")]
        self.assertEqual([found.groups[0].askLimit for found in given], [inf, 30])

    def test_preemptDelay(self) -> None:
        """A delay is no time in the past, and a day at most."""
        for value in ("-1", "86401"):
            self.check("preempt-delay", value, "0 to 86400 seconds", preemptDelay=value)

    def test_link(self) -> None:
        """What is no link, or cannot live beside another one, is named with what is allowed."""
        form = "INTERFACE[,multicast|multicast6|broadcast|unicast=PEER[,PEER...]]"
        for texts, value, allowed in (
            (["eth0,carrier-pigeon"], "carrier-pigeon", form),
            ([""], "''", form),
            (["eth0/1"], "eth0/1", form),
            (["eth0,broadcast=10.0.0.1"], "broadcast", form),
            (["eth0,unicast"], "unicast", "unicast=10.0.0.2,10.0.0.3"),
            (["eth0,unicast=beta"], "beta", "an IP address"),
            (["eth0,unicast=10.0.0.2:0"], "10.0.0.2:0", "1 to 65535"),
            (["eth0", "eth1", "eth0"], "eth0", "twice"),
            (["eth0,broadcast", "eth0,unicast=10.0.0.2"], "eth0", "one of them"),
        ):
            self.check("link", value, allowed, link=texts)

    def test_links(self) -> None:
        """Of several each that is wrong is told, by itself."""
        found = problems(link=["eth0,anycast", "eth7", "eth0,unicast=", ",:"])
        self.assertEqual(
            [problem.partition(": ")[0] for problem in found],
            ["--link eth0,anycast", "--link eth0,unicast=", "--link ,:"],
        )

    def test_members(self) -> None:
        """Members are names, each given once; they mean nothing without a quorum."""
        self.check("members", "--quorum", "--quorum majority", members=["alpha,beta"])
        for members, value, allowed in (
            (["alpha,beta,a b"], "a b", "1 to 63"),
            (["alpha,beta", "beta"], "beta", "twice"),
        ):
            self.check("members", value, allowed, members=members, quorum="majority")

    def test_quorum(self) -> None:
        """A quorum is more than half of several named nodes, of which this is one."""
        self.check("quorum", "majority", "--members, two at least", quorum="majority")
        self.check("quorum", "1", "two at least", quorum="1", members=["alpha"])
        self.check("quorum", "alpha", "--members beta,gamma", quorum="2", members=["beta,gamma"])
        for value in ("1", "4", "0", "-2", "most", "", "2.5", 2.5):
            self.check(
                "quorum",
                str(value),
                "allowed are 'majority' and 2 to 3",
                quorum=value,
                members=["alpha,beta,gamma"],
            )

    def test_lease(self) -> None:
        """The kernel counts whole seconds, and one is too few."""
        for value in ("1", "-1", "3601", "2.5", "long", "", 2.5):
            self.check("lease", str(value), "whole seconds from 2 to 3600, and 0", lease=value)

    def test_leaseUnderTwoIntervals(self) -> None:
        """One lost heartbeat must not cost the address, since it is renewed with them."""
        self.check("lease", "20", "whole seconds from 21 to", lease="20", interval="10.1")
        self.assertEqual(problems(lease="21", interval="10.1"), [])

    def test_witness(self) -> None:
        """A witness is another host, by its address."""
        for value in ("gateway", "192.168.1", "192.168.1.1/24"):
            self.check("witness", value, "the gateway's", witness=value)
        for value in ("239.1.1.1", "0.0.0.0", "127.0.0.1", "::1"):
            self.check("witness", value, "another host", witness=value)

    def test_witnessIsShared(self) -> None:
        """Whoever holds a shared address would be its own witness."""
        self.check(
            "witness", "10.0.0.1", "shared", witness="10.0.0.1", address=["10.0.0.1/24@eth0"]
        )

    def test_witnessAndQuorum(self) -> None:
        """Two judges of who is cut off could contradict each other."""
        self.check(
            *("witness", "--quorum", "votes decide"),
            witness="10.0.0.1",
            quorum="2",
            members=["alpha,beta"],
        )

    def test_witnessLost(self) -> None:
        """When nobody reaches the witness the holder keeps or releases; there is no third."""
        self.check("witness-lost", "panic", "keep and release", witnessLost="panic")

    def test_allAtOnce(self) -> None:
        """Every problem is told at once, so that nobody has to come back for the next."""
        found = problems(
            interface=None,
            address=["a", "b"],
            alias=["-x"],
            node="!",
            cluster="!",
            keyFile="/nonexistent",
            priority="x",
            interval="x",
            multicast="x",
            preemptDelay="x",
            quorum="x",
            members=["a b", "!"],
            lease="x",
            link=["eth0,x"],
            witness="x",
            witnessLost="x",
        )
        options = [line.split()[0] for line in found]
        wrong = ["interface", "address", "address", "alias", "node", "cluster", "key-file"]
        wrong += ["priority", "interval", "multicast", "preempt-delay"]
        wrong += ["quorum", "members", "members", "lease", "link", "witness", "witness-lost"]
        self.assertEqual(
            sorted(options),
            sorted(f"--{name}" for name in wrong),
        )


class HereTests(SynchronousTestCase):
    """What this host lacks is a problem where the settings are to run here."""

    def test_missingInterfaces(self) -> None:
        """Interfaces that do not exist are named with those that do, those of addresses too."""
        found = problems(interface="nope0", address=["10.9.9.9/24@nope1"], here=True)
        missing = [line for line in found if "there is no interface" in line]
        self.assertEqual(len(missing), 2, found)
        found = problems(interface="lo", link=["nope2,broadcast"], here=True)
        self.assertTrue(
            any(line.startswith("--link: there is no interface 'nope2'") for line in found)
        )
        self.assertTrue(missing[0].startswith("--interface: there is no interface 'nope0'"))
        self.assertTrue(missing[1].startswith("--address: there is no interface 'nope1'"))
        for line in missing:
            self.assertIn("lo", line.partition("it has")[2])

    def test_notHere(self) -> None:
        """Settings for another host, or for a simulation, are not held against this one."""
        self.assertEqual(problems(interface="nope0"), [])


class StateTests(SynchronousTestCase):
    """What an earlier start left must be readable before anything starts."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "web.alpha.json")

    def refused(self) -> list[str]:
        found = problems(interface="lo", cluster="web", stateDir=self.directory, here=True)
        return [line for line in found if line.startswith("--state-dir")]

    def test_nothingThere(self) -> None:
        """A first start, with or without a directory, is no problem; nor are the files of others."""
        self.assertEqual(self.refused(), [])
        with open(os.path.join(self.directory, "web.beta.json"), "w") as file:
            file.write("damaged")
        self.assertEqual(self.refused(), [])
        self.directory = self.mktemp()
        self.assertEqual(self.refused(), [])
        self.assertFalse(os.path.exists(self.directory))

    def test_good(self) -> None:
        """What a node has written is no problem."""
        with open(self.path, "w") as file:
            file.write('{"session": 7, "groups": {"default": {"reserved": 3, "vote": null}}}')
        self.assertEqual(self.refused(), [])

    def test_damaged(self) -> None:
        """A damaged file is one problem that names the file and the way out."""
        for content in (
            b"",
            b"{",
            b"[]",
            b"{}",
            b"\xff\xfe",
            b'{"session": "x", "groups": {}}',
            b'{"session": Infinity, "groups": {}}',
            b'{"session": 1, "groups": {"default": {"reserved": 1, "vote": [1]}}}',
        ):
            with open(self.path, "wb") as file:
                file.write(content)
            (line,) = self.refused()
            self.assertIn(f"{self.path} is not a state file", line)
            self.assertIn("remove it", line)

    def test_unreadable(self) -> None:
        """What cannot be read is one problem that names the file and the reason."""
        os.mkdir(self.path)
        self.assertEqual(
            self.refused(), [f"--state-dir: {self.path} cannot be read: Is a directory"]
        )
        self.directory = os.path.join(self.path, "none")
        with open(self.directory, "w"):
            pass
        (line,) = self.refused()
        self.assertTrue(line.endswith("cannot be read: Not a directory"), line)

    def test_permission(self) -> None:
        """A directory that this user may not enter is a problem too."""
        refusal = PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.path)
        # root may read everything
        with mock.patch.object(store, "openRegular", side_effect=refusal):
            found = self.refused()
        self.assertEqual(found, [f"--state-dir: {self.path} cannot be read: Permission denied"])


class KeyFileTests(SynchronousTestCase):
    """A key file is a regular file that nobody else may read, with keys of some length."""

    def setUp(self) -> None:
        self.path: str = self.mktemp()

    def write(self, content: bytes, mode: int = 0o600) -> str:
        with open(self.path, "wb") as file:
            file.write(content)
        os.chmod(self.path, mode)
        return self.path

    def refused(self, path: str, reason: str) -> None:
        error = self.assertRaises(ValueError, readKeys, path)
        self.assertIn(reason, str(error))

    def test_keys(self) -> None:
        """One key in a line, without the space around it, in order; empty lines and repetitions do not count."""
        self.write(b"\n" + KEY + b"\n\n  " + KEY[::-1] + b"\t\r\n" + KEY + b"\n")
        self.assertEqual(readKeys(self.path), (KEY, KEY[::-1]))

    def test_inSettings(self) -> None:
        """Settings have the keys of the file that they name."""
        self.write(KEY)
        self.assertEqual(settings(interface="eth0", keyFile=self.path).keys, (KEY,))

    def test_mode(self) -> None:
        """A file that the group or others may use in any way is refused, with the command that helps."""
        for mode in (0o640, 0o604, 0o620, 0o610, 0o644):
            self.refused(self.write(KEY, mode), f"mode is {mode:04o}")
            self.refused(self.path, f"chmod 0600 {self.path}")
        for mode in (0o400, 0o600):
            self.assertEqual(readKeys(self.write(KEY, mode)), (KEY,))

    def test_owner(self) -> None:
        """A file that belongs to another ordinary user is refused: that user could change it."""
        self.write(KEY)
        if os.geteuid() == 0:
            os.chown(self.path, 12345, -1)
            other = 12345
        else:
            other = os.geteuid()
            self.patch(os, "geteuid", lambda: other + 1)
        self.refused(self.path, f"belongs to user {other}")

    def test_tooShort(self) -> None:
        """A key of under 16 bytes is refused with its number, and is not shown."""
        self.write(KEY + b"\nsecret\n")
        self.refused(self.path, "key 2 has 6 bytes; at least 16")
        self.assertNotIn("secret", problems(keyFile=self.path)[0])

    def test_empty(self) -> None:
        """An empty file is refused with a command that makes a key."""
        for content in (b"", b"\n \n"):
            self.refused(self.write(content), "openssl rand -hex 32")

    def test_missing(self) -> None:
        """A file that does not exist is refused under its option and name."""
        self.assertEqual(
            problems(keyFile=self.path), [f"--key-file {self.path}: No such file or directory"]
        )

    def test_symbolicLink(self) -> None:
        """A link is followed, since secrets are often mounted so; mode and owner are the file's."""
        self.write(KEY)
        link = self.mktemp()
        os.symlink(os.path.abspath(self.path), link)
        self.assertEqual(readKeys(link), (KEY,))
        os.chmod(self.path, 0o644)
        self.refused(link, "mode is 0644")

    def test_directory(self) -> None:
        """A directory is no key file."""
        os.mkdir(self.path, 0o700)
        self.refused(self.path, "directory")

    def test_fifo(self) -> None:
        """A FIFO is refused at once: nothing waits for somebody to write to it."""
        os.mkfifo(self.path, 0o600)
        self.refused(self.path, "not a regular file")

    def test_device(self) -> None:
        """A device is no key file."""
        self.refused("/dev/zero", "not a regular file")

    def test_nul(self) -> None:
        """A path that no file can have is a problem like any other."""
        self.assertEqual(len(problems(keyFile="a\0b")), 1)

    def test_descriptors(self) -> None:
        """Whatever it is, it is closed again."""
        os.mkfifo(self.path, 0o600)
        before = os.listdir("/proc/self/fd")
        for path in (self.path, "/", "/dev/zero"):
            self.assertRaises(ValueError, readKeys, path)
        self.assertEqual(os.listdir("/proc/self/fd"), before)


class DigestTests(SynchronousTestCase):
    """The digest is over what must be the same on every node, and nothing else."""

    base: dict[str, Any] = {"address": ["10.0.0.1/24", "2001:db8::1/64"], "interface": "eth0"}

    def digest(self, **words: Any) -> bytes:
        return digest(settings(**{**self.base, **words}))

    def test_same(self) -> None:
        """What belongs to one node only changes nothing."""
        expected = self.digest()
        self.assertEqual(len(expected), 8)
        for words in (
            {"priority": 7},
            {"interface": "wlan0"},
            {"node": "other"},
            {"multicast": "239.9.9.9:1"},
            {"address": ["2001:db8:0::1/64@eth7", "10.0.0.1/24@eth8"]},
            {"interval": "1", "tolerance": "3.50"},
            {"lease": "9"},
            {"stateDir": "/srv"},
            {"link": ["eth1,broadcast"]},
            {"witnessLost": "keep"},
        ):
            self.assertEqual(self.digest(**words), expected, words)

    def test_different(self) -> None:
        """What is shared changes it."""
        found = {self.digest()}
        different: list[dict[str, Any]] = [
            {"address": ["10.0.0.1/24"]},
            {"address": ["10.0.0.1/25", "2001:db8::1/64"]},
            {"address": ["10.0.0.2/24", "2001:db8::1/64"]},
            {"alias": ["eth0:1"]},
            {"cluster": "other"},
            {"interval": "0.9", "tolerance": "3.5"},
            {"tolerance": "3.6"},
            {"preempt": False},
            {"preemptDelay": "1"},
            {"askLimit": "1"},
            {"quorum": "2", "members": ["alpha,beta"], "node": "alpha"},
            {"quorum": "2", "members": ["alpha,beta,gamma"], "node": "alpha"},
            {"quorum": "3", "members": ["alpha,beta,gamma"], "node": "alpha"},
            {"witness": "10.0.0.9"},
        ]
        members = {"quorum": "2", "node": "beta"}
        self.assertEqual(
            self.digest(members=["alpha,beta"], **members),
            self.digest(members=["beta", "alpha"], **members),
        )
        self.assertEqual(self.digest(witness="10.0.0.8"), self.digest(witness="10.0.0.9"))
        for words in different:
            found.add(self.digest(**words))
        self.assertEqual(len(found), len(different) + 1)


class ArgumentTests(SynchronousTestCase):
    """A program that gives arguments is told of arguments, each problem once."""

    def problems(self, **words: Any) -> list[str]:
        error = self.assertRaises(ConfigurationError, settings, **{"interface": "eth0", **words})
        return list(error.problems)

    def test_words(self) -> None:
        """A wrong value is told with the argument that has it, as Python writes it, and nothing else is."""
        for words, beginning in (
            ({"interval": "soon"}, "interval='soon': "),
            ({"interval": -1}, "interval=-1: "),
            ({"preemptDelay": "x"}, "preemptDelay='x': "),
            ({"tolerance": 0.1, "interval": 1}, "tolerance=0.1: "),
            ({"address": ["10.0.0.1/24", "10.0.0"]}, "address[1]='10.0.0': "),
            ({"link": ["eth0,anycast"]}, "link[0]='eth0,anycast': "),
            ({"keyFile": "/nowhere/key"}, "keyFile='/nowhere/key': "),
            (
                {"witness": "10.0.0.9", "quorum": "majority", "members": ["a,b"], "node": "a"},
                "witness goes",
            ),
        ):
            found = self.problems(**words)
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(beginning), found)
            self.assertNotIn("--", found[0])

    def test_list(self) -> None:
        """A str where a list is wanted is told as that, once, and not letter by letter."""
        for name in ("address", "alias", "link", "members"):
            (line,) = self.problems(**{name: "eth1"})
            self.assertEqual(line, f"{name}='eth1': allowed is a list, such as {name}=['eth1']")

    def test_unknown(self) -> None:
        """An argument that does not exist is told with all other problems, and with the one that is meant."""
        self.assertEqual(
            self.problems(preemptdelay=3, zebra=1, interval=-1)[:2],
            [
                "preemptdelay: there is no such argument; did you mean preemptDelay?",
                "zebra: there is no such argument",
            ],
        )
        self.assertEqual(len(self.problems(preemptdelay=3, zebra=1, interval=-1)), 3)

    def test_here(self) -> None:
        """So is what this host has not."""
        found = self.problems(interface="nope0", here=True)
        self.assertTrue(found[0].startswith("interface: there is no interface 'nope0'"), found)

    def test_good(self) -> None:
        """A tuple is as good as a list, and numbers as words."""
        found = settings(interface="eth0", address=("10.0.0.1/24",), interval=0.5)
        self.assertEqual(
            ([str(spec) for spec in found.addresses], found.interval), (["10.0.0.1/24"], 0.5)
        )
