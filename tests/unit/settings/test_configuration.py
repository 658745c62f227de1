"""Tests for configuration files: what they come to, and every way in which they can be wrong."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import stat
import subprocess
from ipaddress import ip_network
from pathlib import Path as FilePath
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import hatwist
from hatwist.core.effects import EVENTS
from hatwist.core.errors import ConfigurationError
from hatwist.core.linkspec import LinkSpec
from hatwist.core.table import Path, Table
from hatwist.core.worth import Fitness
from hatwist.frontends import cli
from hatwist.linux.netlink.messages import IFF_UP, KernelLink, KernelRoute
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.kinds import KINDS
from hatwist.settings import (
    AliasSpec,
    CommandSpec,
    InterfaceSpec,
    Settings,
    UnitSpec,
    load,
    loadAll,
)
from hatwist.settings.changes import WARNING, changes
from hatwist.settings.digest import digest
from hatwist.settings.host import misplaced
from hatwist.settings.keyfile import readKeys
from hatwist.settings.lines import lineOf
from hatwist.settings.reading import readCluster, readGroup
from tests.broken import BROKEN, GOOD

EVERYTHING = """
cluster = "web"
interface = "eth0"
links = ["eth0", "eth1,unicast=10.1.0.2"]
interval = 0.1
tolerance = 0.4
lease = 3
quorum = "majority"
multicast = "239.9.9.9:9"
state_dir = "/srv/state"
control = "none"
http = "tcp:9107:interface=127.0.0.1"

[node.alpha]
priority = 200
[node.beta]
interface = "ens3"
links = ["ens3"]
[node.gamma]

[group.web]
resources = [
  {command = ["drbdadm", "primary", "r0"], undo = ["drbdadm", "secondary", "r0"], timeout = 3},
  {address = "192.168.1.100/24"},
  {address = "192.168.1.101/24@eth1"},
  {alias = "eth0:1"},
  {interface = "eth2"},
  {command = ["a"], undo = ["b"], check = ["c"]},
  {unit = "nginx"},
]
preempt = false
preempt_delay = 5
last_resort = "keep"
checks = [{http = "http://127.0.0.1/", interval = 5, effect = "degraded"}, {file = "/srv/ok"}]
on = {acquired = ["notify", "up"], peer-left = [["a"], ["b", "c"]]}

[group.db]
priority = {beta = 250}
resources = [{address = "2001:db8::1/64"}]
"""


class FileTests(SynchronousTestCase):
    def path(self, text: str) -> str:
        path = str(self.mktemp())
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        return path

    def problems(self, text: str, node: str | None = "alpha", **more: Any) -> list[str]:
        path = self.path(text)
        error = self.assertRaises(ConfigurationError, load, path, node, **more)
        for problem in error.problems:
            self.assertTrue(problem.startswith(path), problem)
        return [problem.removeprefix(path) for problem in error.problems]


class GoodTests(FileTests):
    """One file says for every node what it is to do."""

    def test_everything(self) -> None:
        """Every key has its place in the settings, a node's own over the common one."""
        found = loadAll(self.path(EVERYTHING))
        self.assertEqual(list(found), ["alpha", "beta", "gamma"])
        alpha, beta = found["alpha"], found["beta"]
        self.assertEqual((alpha.cluster, alpha.interface, beta.interface), ("web", "eth0", "ens3"))
        self.assertEqual(
            [str(way) for way in alpha.ways], ["eth0,multicast", "eth1,unicast=10.1.0.2"]
        )
        self.assertEqual(beta.ways, (LinkSpec("ens3"),))
        self.assertEqual((alpha.interval, alpha.tolerance, alpha.lease), (0.1, 0.4, 3))
        assert alpha.quorum is not None
        self.assertEqual((sorted(alpha.quorum.members), alpha.quorum.needed), (list(found), 2))
        self.assertEqual((str(alpha.multicast), alpha.stateDir), ("239.9.9.9:9", "/srv/state"))
        self.assertEqual((alpha.control, alpha.http), ("none", "tcp:9107:interface=127.0.0.1"))
        web, db = alpha.groups
        self.assertEqual(
            web.resources,
            (
                CommandSpec(("drbdadm", "primary", "r0"), ("drbdadm", "secondary", "r0"), None, 3),
                AddressSpec.parse("192.168.1.100/24"),
                AddressSpec.parse("192.168.1.101/24@eth1"),
                AliasSpec("eth0:1"),
                InterfaceSpec("eth2"),
                CommandSpec(("a",), ("b",), ("c",)),
                UnitSpec("nginx.service"),
            ),
        )
        self.assertEqual((web.preempt, web.preemptDelay, web.lastResort), (False, 5, "keep"))
        self.assertEqual(
            web.hooks, (("acquired", (("notify", "up"),)), ("peer-left", (("a",), ("b", "c"))))
        )
        self.assertEqual(
            [(c.name, c.interval, c.effect) for c in web.checks],
            [
                ("http http://127.0.0.1/", 5.0, Fitness.DEGRADED),
                ("file /srv/ok", 2.0, Fitness.UNFIT),
            ],
        )
        self.assertEqual([db.preempt, db.lastResort, db.hooks], [True, "release", ()])
        priorities = {n: [g.priority for g in s.groups] for n, s in found.items()}
        self.assertEqual(priorities, {"alpha": [200, 200], "beta": [100, 250], "gamma": [100, 100]})

    def test_sameDigest(self) -> None:
        """Nodes of one file have one digest, whatever they have of their own."""
        self.assertEqual(len({digest(s) for s in loadAll(self.path(EVERYTHING)).values()}), 1)
        other = loadAll(self.path(EVERYTHING.replace("10.1.0.2", "10.1.0.3")))["alpha"]
        self.assertEqual(digest(other), digest(loadAll(self.path(EVERYTHING))["beta"]))

    def test_digest(self) -> None:
        """What must be the same on every node changes the digest."""
        digests = {digest(load(self.path(EVERYTHING), "alpha"))}
        changes = (
            ("interval = 0.1", "interval = 0.2"),
            ("preempt = false", "preempt = true"),
            ('"b", "c"', '"b", "d"'),
            ('["drbdadm", "secondary"', '["drbdadm", "down"'),
            ('"nginx"', '"apache2"'),
            ("[group.db]", "[group.sql]"),
            ("2001:db8::1/64", "2001:db8::2/64"),
            ("interval = 5", "interval = 6"),
            ("/srv/ok", "/srv/good"),
            ('"keep"', '"release"'),
        )
        for old, new in changes:
            digests.add(digest(load(self.path(EVERYTHING.replace(old, new)), "alpha")))
        self.assertEqual(len(digests), 1 + len(changes))

    def test_members(self) -> None:
        """Without [node.NAME] a group may name the members all the same, and nobody else."""
        text = (
            'interface = "eth0"\nquorum = "majority"\nmembers = ["alpha", "beta", "gamma"]\n[group.g]\n'
            'resources = [{address = "192.168.1.100/24"}]\npriority = {alpha = 7, beta = 8%s}\n'
        )
        found = load(self.path(text % ""), "alpha")
        self.assertEqual(found.groups[0].priority, 7)
        (problem,) = self.problems(text % ", delta = 9")
        self.assertIn("group.g.priority.delta = 9: there is no such node", problem)

    def test_oneNode(self) -> None:
        """A file that names no node is for every host, under the host's name or the given one."""
        text = GOOD.replace("[node.alpha]\npriority = 200\n[node.beta]\n", "priority = 7\n")
        found = load(self.path(text), "gamma")
        self.assertEqual((found.node, found.groups[0].priority), ("gamma", 7))

    def test_keys(self) -> None:
        """The key file of this node is read; those of other hosts are not here."""
        key = self.mktemp()
        with open(key, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
            file.write(b"0123456789abcdef\n")
        text = GOOD.replace(
            "[node.beta]\n", '[node.beta]\nkey_file = "/nonexistent/on/this/host"\n'
        )
        found = load(self.path(f'key_file = "{key}"\n{text}'), "alpha")
        self.assertEqual(found.keys, (b"0123456789abcdef",))
        self.assertNotIn("0123456789", repr(found))

    def test_hookTimeout(self) -> None:
        """Commands of events have ten seconds each, or what the group says."""
        for line, expected in (("", 10.0), ("on.timeout = 2.5\n", 2.5)):
            (group,) = load(self.path(GOOD + line), "alpha").groups
            self.assertEqual((group.hookTimeout, group.hooks), (expected, ()))

    def test_wrongHost(self) -> None:
        """A host that the file does not name is told which there are."""
        (problem,) = self.problems(GOOD, "delta")
        self.assertIn("there is no [node.delta]; there are alpha, beta", problem)

    def test_here(self) -> None:
        """What this host lacks is a problem where it is to run."""
        text = GOOD.replace('"lo"', '"nope0"').replace(
            "[{address", '[{command = ["no-such-program"], undo = ["true"]}, {address'
        )
        found = self.problems(text, here=True)
        self.assertIn("there is no interface 'nope0' on this host", found[0])
        self.assertIn("there is no program 'no-such-program'", found[1])


class BrokenTests(FileTests):
    """Each broken file gives one message, which names its place and what is allowed."""

    def test_each(self) -> None:
        """One problem for one mistake, with its line."""
        self.assertGreaterEqual(len(BROKEN), 50)
        for broken in BROKEN:
            found = self.problems(broken.text)
            self.assertTrue(any(broken.said in problem for problem in found), (broken.name, found))
            if broken.name not in ("empty",):
                self.assertEqual(len(found), 1, (broken.name, found))

    def test_command(self) -> None:
        """hatwist check prints it, and ends with 1."""
        for broken in BROKEN:
            path, out, err = self.path(broken.text), io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = cli.main(["check", path, "--node", "alpha"])
            self.assertEqual((status, out.getvalue()), (1, ""), broken.name)
            self.assertIn(broken.said, err.getvalue())

    def test_allAtOnce(self) -> None:
        """Every problem is told in one go, in the order of the lines."""
        text = GOOD.replace("200", "300").replace('"lo"', '"l o"').replace("web]", "web]\nx = 1")
        lines = [problem.split(":")[1] for problem in self.problems(text)]
        self.assertEqual(lines, ["2", "6", "10"])

    def test_unreadable(self) -> None:
        """A file that cannot be read is one message too."""
        directory = self.mktemp()
        os.mkdir(directory)
        for path, words in ((self.mktemp(), "No such file"), (directory, "Is a directory")):
            error = self.assertRaises(ConfigurationError, load, path)
            self.assertEqual(len(error.problems), 1)
            self.assertIn(words, str(error))

    def test_fifo(self) -> None:
        """A FIFO is no file: it is neither waited for nor taken for an empty one."""
        path = self.mktemp()
        os.mkfifo(path)
        error = self.assertRaises(ConfigurationError, load, path, "alpha")
        self.assertEqual(error.problems, (f"{path}: is not a regular file",))

    def test_strangers(self) -> None:
        """Nodes that do not vote are told once, not once for each node."""
        text = f'quorum = "majority"\nmembers = ["delta", "epsilon"]\n{GOOD}'
        error = self.assertRaises(ConfigurationError, load, self.path(text), "alpha")
        (problem,) = error.problems
        self.assertIn("alpha and beta are not among members delta,epsilon", problem)

    def test_large(self) -> None:
        """A file beyond any sense is not read."""
        self.assertIn("is larger than", self.problems("#" * (1 << 21))[0])

    def test_largeWords(self) -> None:
        """Bytes count, not letters: what comes after the last one that is read must not be left out unnoticed."""
        self.assertIn(
            "is larger than", self.problems("# " + "\u00e4" * (1 << 19) + "\nrest = [")[0]
        )

    def test_digits(self) -> None:
        """A number that Python does not read is a problem like any other."""
        self.assertIn("is not TOML: ", self.problems(f"interval = {'9' * 5000}")[0])

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["node", "group", "web", "resources", "address", "on", "priority", "links"]
                    )
                    | st.text(max_size=3),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        )
    )
    def test_anything(self, values: Any) -> None:
        """Whatever TOML can say is read to the end: a problem is a problem, never another exception."""
        from hatwist.settings.file import read

        if isinstance(values, dict):
            problems: list[str] = []
            read(values, "", "f", "alpha", False, problems)
            self.assertTrue(all(isinstance(problem, str) for problem in problems))


class LineTests(SynchronousTestCase):
    """Where a value stands in its file."""

    TEXT = """\
a = 1
b.c = 2
[x.y]
list = [
  # a comment with ], and " in it
  {k = 1, "l" = "], {"},
  {k = 3}, {l = 4,
   m = 5},
]
["quoted name".z]
last = 1
"""

    def test_lines(self) -> None:
        """Names, items of lists, keys in items; what is not there is at its table."""
        for path, line in (
            (("a",), 1),
            (("b", "c"), 2),
            (("x", "y"), 3),
            (("x", "y", "list"), 4),
            (("x", "y", "list", 0), 6),
            (("x", "y", "list", 0, "l"), 6),
            (("x", "y", "list", 1, "k"), 7),
            (("x", "y", "list", 2), 7),
            (("x", "y", "list", 2, "m"), 8),
            (("quoted name", "z", "last"), 11),
            (("x", "y", "missing"), 3),
            (("nowhere",), None),
        ):
            self.assertEqual(lineOf(self.TEXT, path), line, path)

    @given(st.text(), st.lists(st.text(max_size=3) | st.integers(0, 3), max_size=4))
    def test_anyText(self, text: str, path: list[str | int]) -> None:
        """A line of the text or none, whatever the text is."""
        line = lineOf(text, tuple(path))
        self.assertTrue(line is None or 1 <= line <= text.count("\n") + 1)


class CommandTests(FileTests):
    """hatwist check and hatwist init."""

    def run_(self, *argv: str) -> tuple[object, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status: object = cli.main(argv)
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), err.getvalue()

    def test_check(self) -> None:
        """A good file: who holds what, in which order, how sure, and the digest."""
        path = self.path(EVERYTHING)
        status, out, err = self.run_("check", path)
        self.assertEqual((status, err), (0, ""))
        for words in (
            "cluster web: 3 nodes, interval 0.1 s, tolerance 0.4 s, lease 3 s",
            f"shared configuration {digest(load(path, 'alpha')).hex()}",
            "a claim takes 2 votes of alpha, beta, gamma",
            "held by alpha (priority 200), then beta (priority 100), then gamma (priority 100)",
            "of equal priority, the node with the lowest address comes first",
            "held by beta (priority 250), then alpha (priority 200), then gamma (priority 100)",
            "a worthier node that returns gets it only when the holder fails",
            "1. command drbdadm primary r0\n  2. 192.168.1.100/24\n  3. 192.168.1.101/24 on eth1\n",
            "7. unit nginx.service",
            "checks http http://127.0.0.1/ each 5 s; failed: degraded",
            "on peer-left: a; b c",
            "guarantee: best effort: the guard cannot release command drbdadm primary r0",
            "guarantee: exclusive: ",
        ):
            self.assertIn(words, out)

    def test_checkRealtime(self) -> None:
        """A short interval is warned of where a node does not come before other processes."""
        path = self.path(
            'interface = "lo"\ninterval = 0.02\n[node.alpha]\nrealtime = true\n[node.beta]\n'
            '[group.web]\nresources = [{address = "10.0.0.1/24"}]\n'
        )
        _, out, _ = self.run_("check", path)
        self.assertRegex(
            out,
            r"node alpha\n(  .*\n)*  realtime: the daemon comes before .*\n\n"
            r"node beta\n(  .*\n)*  a busy host can delay heartbeats at 0\.02 s: realtime = true",
        )

    def test_checkLines(self) -> None:
        """A command of several lines is shown in one."""
        path = self.path(
            'interface = "lo"\n[node.alpha]\n[node.beta]\n[group.web]\n'
            'resources = [{command = ["sh", "-c", "a\\nb"], undo = ["true"]}]\n'
        )
        status, out, err = self.run_("check", path)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("  1. command sh -c a\\nb\n", out)

    def test_checkOne(self) -> None:
        """Of one node, if asked; one that is not there is named."""
        path = self.path(EVERYTHING)
        status, out, _ = self.run_("check", path, "--node", "beta")
        self.assertEqual(status, 0)
        self.assertIn("node beta\n", out)
        self.assertNotIn("node alpha\n", out)
        status, out, err = self.run_("check", path, "--node", "delta")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("there is no [node.delta]; there are alpha, beta, gamma", err)

    def test_init(self) -> None:
        """The file for the addresses given is accepted as it is, and never overwritten."""
        path = self.mktemp()
        argv = ("init", "192.168.1.100/24", "2001:db8::1/64", "--node", "a.b", "--node", "c")
        status, out, err = self.run_(*argv, "--output", path, "--cluster", "w", "-i", "ens3")
        self.assertEqual((status, err), (0, ""))
        self.assertIn("Put the same file on every node", out)
        found: Settings = load(path, "a.b")
        self.assertEqual((found.cluster, found.interface), ("w", "ens3"))
        self.assertEqual([str(a) for a in found.addresses], ["192.168.1.100/24", "2001:db8::1/64"])
        self.assertEqual(self.run_(*argv, "--output", path)[0], 1)
        self.assertEqual(self.run_(*argv)[0], 0)

    def test_initKey(self) -> None:
        """How a key is made stands there where none was given, and lets the daemon's user reach it."""
        _, without, _ = self.run_("init", "192.168.1.100/24")
        _, given, _ = self.run_("init", "192.168.1.100/24", "--key-file", "/srv/key")
        (command,) = re.findall(r"^#   (install .*)$", without, re.MULTILINE)
        directory = os.path.abspath(self.mktemp())
        before = os.umask(0o077)
        try:
            done = subprocess.run(
                ["sh", "-c", command.replace("/etc/hatwist", directory)], capture_output=True
            )
        finally:
            os.umask(before)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o755)
        self.assertEqual(len(readKeys(f"{directory}/key")), 1)
        self.assertNotIn("openssl", given)
        self.assertIn('\nkey_file = "/srv/key"\n', given)

    def test_initRefuses(self) -> None:
        """What cannot stand in a file is named, and nothing is written."""
        status, out, err = self.run_("init", "192.168.1.100", "--node", "a b", "-i", "et/h")
        self.assertEqual((status, out), (1, ""))
        for words in ("has no prefix length", "node a b: allowed are", "interface et/h: allowed"):
            self.assertIn(words, err)


class TableOfFileTests(SynchronousTestCase):
    """A table that a place function is given for."""

    def test_place(self) -> None:
        """Problems carry what the place function says."""
        problems: list[str] = []

        def place(path: Path, value: object) -> str:
            return f"<{path}>"

        Table({"a": 1}, problems, ("x",), place).end()
        self.assertTrue(problems[0].startswith("<('x', 'a')>: there is no such key"))


class PlaceTests(FileTests):
    """Whether each address could be acquired on this host now."""

    ETH0, ETH1 = (
        KernelLink(2, "eth0", IFF_UP, b"\2\0\0\0\0\1"),
        KernelLink(3, "eth1", 0, b"\2\0\0\0\0\2"),
    )
    ROUTES = (
        KernelRoute(ip_network("192.168.1.0/24"), 2, False),
        KernelRoute(ip_network("fd00::/64"), 3, False),
    )

    def misplaced(self, resources: str, known: str) -> list[str]:
        """What is wrong with one group's resources, after those that were known."""
        text = 'interface = "eth0"\n[node.alpha]\n[group.web]\nresources = [{}]\n'
        new, old = (load(self.path(text.format(of)), "alpha") for of in (resources, known))
        return list(misplaced(new, (self.ETH0, self.ETH1), self.ROUTES, old))

    def test_table(self) -> None:
        """Each that has no place is told with its reason, unless what comes before it may give it one."""
        none, command = '{address = "10.0.0.9/24"}', '{command = ["up"], undo = ["down"]}'
        no = "group web: 10.0.0.9/24: no interface is connected to its network; say which, with @INTERFACE"
        down = "group web: fd00::9/64: eth1 is down; bring it up first"
        for resources, known, expected in (
            ('{address = "192.168.1.9/24"}', command, []),
            ('{address = "10.0.0.9/24@eth0"}', command, []),
            (none, command, [no]),
            (none, none, []),
            ('{address = "fd00::9/64"}, ' + none, command, [down, no]),
            (f"{none}, {command}", command, [no]),
            (f"{command}, {none}", command, []),
            ('{interface = "eth1"}, {address = "fd00::9/64"}', command, []),
        ):
            self.assertEqual(self.misplaced(resources, known), expected, resources)


class ChangesTests(SynchronousTestCase):
    """What a reload comes to."""

    def test_keys(self) -> None:
        """Keys of which none ran before are warned of: nodes would not hear each other meanwhile."""
        old, both, new = (b"o" * 16,), (b"n" * 16, b"o" * 16), (b"n" * 16,)
        for before, after, expected in (
            (old, new, 1),
            (old, both, 0),
            (both, new, 0),
            ((), new, 0),
            (new, (), 0),
        ):
            lines = changes(
                Settings("lo", node="alpha", keys=before), Settings("lo", node="alpha", keys=after)
            ).lines
            self.assertEqual(sum(line.startswith(WARNING) for line in lines), expected)
            self.assertTrue(lines)


class DocumentTests(FileTests):
    """docs/configuration.rst shows what is so."""

    TEXT = (FilePath(hatwist.__file__).parent.parent / "docs/configuration.rst").read_text()

    def block(self, beginning: str) -> str:
        """The literal block that begins so."""
        place = self.TEXT.index(f"    {beginning}")
        lines = []
        for line in self.TEXT[place:].splitlines():
            if line and not line.startswith("    "):
                break
            lines.append(line[4:])
        return "\n".join(lines)

    def test_everything(self) -> None:
        """The long example is accepted, but for its key file, and nodes agree on it."""
        text = self.block('cluster = "web"\n').replace('key_file = "/etc/hatwist/key"\n', "")
        found = loadAll(self.path(text), "alpha")
        self.assertEqual(list(found), ["alpha", "beta", "gamma"])
        self.assertEqual([group.name for group in found["beta"].groups], ["web", "mail"])
        self.assertEqual(len({digest(settings) for settings in found.values()}), 1)

    def test_commands(self) -> None:
        """What init and check are shown to print is what they print."""
        directory = self.mktemp()
        os.mkdir(directory)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(directory)
        shown = self.block("$ hatwist init").split("$ ")[1:]
        self.assertEqual(len(shown), 2)
        for each in shown:
            command, _, expected = each.partition("\n")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                self.assertEqual(cli.main(shlex.split(command)[1:]), 0)
            printed = re.sub(
                "configuration [0-9a-f]{16}", "configuration CHANGES WITH THE FILE", out.getvalue()
            )
            self.assertEqual(printed.strip(), expected.strip())

    def test_keys(self) -> None:
        """Every key that is read is in a table of the page."""
        known: set[str] = set()

        class Spy(Table):
            def end(self) -> None:
                known.update(self._known)

        problems: list[str] = []
        top = Spy({}, problems)
        readCluster(top, Spy({}, problems), "alpha")
        top.end()
        group = Spy({}, problems)
        readGroup(group, "web", "alpha")
        group.end()
        self.assertGreater(len(known), 20)
        for key in known | set(KINDS) | set(EVENTS):
            self.assertTrue(
                f"``{key}``" in self.TEXT or f"``{{{key} = " in self.TEXT, f"{key} is not told of"
            )
