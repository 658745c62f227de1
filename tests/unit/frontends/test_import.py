"""Tests for C{hatwist import}: what it reads, prints and ends with."""

from __future__ import annotations

import io
import os
import re
import textwrap
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ConfigurationError
from hatwist.frontends.cli import main
from hatwist.frontends.importing import keywords
from hatwist.frontends.importing.heartbeat.directives import AGENTS, DIRECTIVES
from hatwist.frontends.importing.keepalived import instance
from hatwist.frontends.importing.ucarp import ucarp
from hatwist.settings import loadAll
from tests.importing import SAMPLES

PAGE = Path(__file__).parents[3] / "docs/migrating.rst"
WHOLE = "vrrp_instance A {\ninterface eth0\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}\n"
PARTLY = WHOLE + "frob 7\n"


class CommandTests(SynchronousTestCase):
    """The subcommand."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def file(self, name: str, text: str | bytes) -> str:
        """The path of a new file."""
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def run_(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, and what was printed on standard output and standard error."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(["import", *arguments])
        return status, out.getvalue(), err.getvalue()

    def test_complete(self) -> None:
        """Everything was carried over: 0, and the file says from where it is."""
        status, out, err = self.run_(self.file("k.conf", WHOLE))
        self.assertEqual(status, 0)
        self.assertTrue(out.startswith("# Imported from "))
        self.assertNotIn("Not carried", out + err)
        self.assertIn("A", tomllib.loads(out)["group"])

    def test_not_complete(self) -> None:
        """Something was not: 1, and the same is told in the file and on standard error, with file, line and words."""
        path = self.file("k.conf", PARTLY)
        status, out, err = self.run_(path)
        self.assertEqual(status, 1)
        told = f"  {path}:7: frob 7\n      hatwist has nothing that corresponds to it\n"
        self.assertIn(told, err)
        for line in err.splitlines():
            self.assertIn(f"# {line}", out.splitlines())
        self.assertIn("A", tomllib.loads(out)["group"])

    def test_unreadable(self) -> None:
        """What cannot be read is 2 with one line that says where and why, and nothing on standard output."""
        cases: list[tuple[str | bytes, str]] = [
            ("", "is for none of"),
            ("hello", "is for none of"),
            ("vrrp_instance A {\n", ":1: '{' is never closed"),
            (b"vrrp_instance A {\n\xff\n}\n", ":2: is not UTF-8"),
            ("vrrp_instance A {\n\0}\n", ":2: is not text"),
            ("iface eth0 inet dhcp\n", "no stanza has options of ucarp"),
            ('{\n"a": }', ":2: is no JSON"),
            ("x" * (1 << 20) + "\n", "is larger than"),
        ]
        for text, expected in cases:
            status, out, err = self.run_(self.file("f", text))
            self.assertEqual((status, out), (2, ""), text[:40])
            self.assertIn(expected, err)
            self.assertEqual(err.count("\n"), 1, err)
            self.assertTrue(err.startswith("hatwist import: "))
        for path in (str(self.directory / "missing"), str(self.directory)):
            status, out, err = self.run_(path)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(path, err)

    def test_from(self) -> None:
        """--from decides what a file is."""
        path = self.file("f", "frob 1\n")
        self.assertEqual(self.run_(path)[0], 2)
        status, out, err = self.run_("--from", "keepalived", path)
        self.assertEqual(status, 1)
        self.assertEqual(tomllib.loads(out), {})
        self.assertIn("nothing could be carried over", err)

    def test_hosts(self) -> None:
        """Names come before '=', or from --node, for each file or for one."""
        one, two = self.file("a.conf", WHOLE), self.file("b.conf", WHOLE)

        def nodes(*arguments: str) -> list[str]:
            status, out, err = self.run_(*arguments)
            self.assertEqual(status, 0, err)
            return list(tomllib.loads(out).get("node", {}))

        self.assertEqual(nodes(f"alpha={one}", f"beta={two}"), ["alpha", "beta"])
        self.assertEqual(nodes("--node", "alpha", "--node", "beta", one, two), ["alpha", "beta"])
        self.assertEqual(nodes("--node", "alpha", "--node", "beta", one), ["alpha", "beta"])
        self.assertEqual(nodes("--node", "alpha", one), ["alpha"])
        self.assertEqual(nodes(one), [])
        # A file may be called like that.
        self.assertEqual(nodes(self.file("x=y", WHOLE)), [])

    def test_wrong_hosts(self) -> None:
        """Names that do not go with the files are told."""
        one, two = self.file("a.conf", WHOLE), self.file("b.conf", WHOLE)
        for arguments, expected in (
            (("--node", "a", f"b={one}"), "not both"),
            (("--node", "a b", one), "allowed are"),
            (("--node", "a", "--node", "a", one), "twice"),
            (("--node", "a", one, two), "one for each file"),
            ((one, one), "is given twice"),
            ((f"a={one}", f"a={two}"), "is the second file of a, after "),
            ((one, two), "is the second file of a host without a name"),
        ):
            status, out, err = self.run_(*arguments)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(expected, err)

    def test_included(self) -> None:
        """Files are included from beside the one that names them; one that cannot be read is told."""
        self.file("d/one.conf", WHOLE)
        self.file("d/two.conf", b"\xff")
        main_ = self.file("k.conf", "include d/one.*\nincluder d/two.conf\ninclude d/three.conf\n")
        status, out, err = self.run_(main_)
        self.assertEqual(status, 1)
        self.assertIn("A", tomllib.loads(out)["group"])
        self.assertIn("not UTF-8", err)
        self.assertIn("there is no such file", err)

    def test_standard_input(self) -> None:
        """'-' is standard input."""
        with mock.patch("sys.stdin", mock.Mock(buffer=io.BytesIO(WHOLE.encode()))):
            status, out, _ = self.run_("-")
        self.assertEqual(status, 0)
        self.assertIn("A", tomllib.loads(out)["group"])

    def test_terminal(self) -> None:
        """Control characters of a file reach neither the terminal nor a comment."""
        path = self.file("k.conf", WHOLE + "frob \x1b[2J\x07\n")
        status, out, err = self.run_(path)
        self.assertEqual(status, 1)
        for text in (out, err):
            self.assertIn("frob ?[2J?", text)
            self.assertTrue(all(char.isprintable() or char == "\n" for char in text))
        tomllib.loads(out)


class SampleTests(SynchronousTestCase):
    """What the packages of Debian ship as examples is read, and the product takes what is made of it."""

    def imported(self, path: str, *more: str) -> tuple[int, str, str, Any]:
        """Exit status, output, and the settings that it has."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(["import", path, *more])
        made = self.mktemp()
        Path(made).write_text(out.getvalue())
        if not tomllib.loads(out.getvalue()):
            return status, out.getvalue(), err.getvalue(), {}
        try:
            return status, out.getvalue(), err.getvalue(), loadAll(made)
        except ConfigurationError as error:
            self.fail(f"{path}: {error}")

    def samples(self, directory: str) -> list[str]:
        """Paths in the documentation of a package."""
        found = sorted(str(path) for path in (SAMPLES / directory).glob("*"))
        if not found:
            self.skipTest("needs what is not installed: apt-get install keepalived ucarp")
        return found

    def test_keepalived(self) -> None:
        """Every sample of keepalived: with an instance it makes groups, without one comments, and never silence."""
        paths = [path for path in self.samples("keepalived/samples") if "keepalived.conf." in path]
        self.assertGreater(len(paths), 20)
        for path in paths:
            text = Path(path).read_text()
            status, out, err, nodes = self.imported(path)
            self.assertIn(status, (0, 1), path)
            self.assertEqual(bool(nodes), "vrrp_instance" in text, path)
            for word, told in (
                ("virtual_server ", "IPVS is not done here"),
                ("auth_pass", "key_file"),
                ("notification_email {", "no mails are sent"),
                ("static_routes", "it does not move"),
                ("use_vmac", "no virtual MAC"),
            ):
                if word in "\n".join(
                    line.partition("#")[0].partition("!")[0] for line in text.split("\n")
                ):
                    self.assertEqual(status, 1, f"{path}: {word}")
                    self.assertIn(told, " ".join(err.split()), f"{path}: {word}")
            addresses = {str(spec.address) for node in nodes.values() for spec in node.addresses}
            for address in addresses:
                self.assertIn(address, text)
            self.assertNotIn("1111", out + err)

    def test_keepalived_in_full(self) -> None:
        """Of two samples: exactly these groups, addresses and checks."""
        directory = os.path.dirname(self.samples("keepalived/samples")[0])
        _, out, _, nodes = self.imported(f"{directory}/keepalived.conf.vrrp.sync")
        found = tomllib.loads(out)["group"]
        self.assertEqual(
            {name: len(group["resources"]) for name, group in found.items()}, {"G1": 7, "G2": 2}
        )
        self.assertEqual(
            found["G1"]["on"]["acquired"], ["/usr/local/bin/vrrp.mast", "arg1", "arg2"]
        )
        status, out, _, nodes = self.imported(f"{directory}/keepalived.conf.vrrp.localcheck")
        self.assertEqual(status, 0)
        found = tomllib.loads(out)["group"]
        self.assertEqual(list(found), [f"VI_{number}" for number in range(1, 10)])
        self.assertEqual(
            [(next(iter(check)), check["effect"]) for check in found["VI_1"]["checks"]],
            [
                ("carrier", "degraded"),
                ("carrier", "degraded"),
                ("carrier", "unfit"),
                ("command", "degraded"),
                ("command", "degraded"),
                ("tcp", "degraded"),
                ("tcp", "degraded"),
                ("tcp", "degraded"),
            ],
        )
        _, out, _, nodes = self.imported(f"{directory}/keepalived.conf.conditional_conf")
        self.assertEqual(
            {name: node.groups[0].priority for name, node in nodes.items()},
            {"high": 170, "low": 85},
        )

    def test_ucarp(self) -> None:
        """The stanzas that ucarp's README.Debian shows."""
        self.samples("ucarp")
        readme = (SAMPLES / "ucarp/README.Debian").read_text()
        stanzas = readme[readme.index("iface eth0 inet static") : readme.index("In the above")]
        path = self.mktemp()
        Path(path).write_text(stanzas)
        status, out, err, _ = self.imported(path)
        self.assertEqual(status, 1)
        found = tomllib.loads(out)
        self.assertEqual(
            found["group"],
            {"carp-3": {"resources": [{"address": "10.0.0.1/32@eth0"}], "priority": 254}},
        )
        self.assertEqual(err.count("Not carried over:"), 1)
        self.assertIn("ucarp-password ...", err)
        self.assertNotIn("16charsatmost", out + err)

    def test_scripts(self) -> None:
        """Its example scripts are not taken for a configuration."""
        for path in self.samples("ucarp/examples"):
            with redirect_stderr(io.StringIO()):
                self.assertEqual(main(["import", path]), 2)


class DocumentationTests(SynchronousTestCase):
    """docs/migrating.rst shows what happens."""

    def test_example(self) -> None:
        """The example's two files make the output, and the file, that the page shows."""
        blocks = [
            textwrap.dedent(block).strip() + "\n"
            for block in re.findall(r"::\n\n((?:    .*\n|\n)+)", PAGE.read_text())
        ]
        alpha, changed, shown, made = blocks[:4]
        beta = alpha
        for line in changed.splitlines()[1:]:
            word = line.split()[0]
            beta = re.sub(rf"(?m)^( +){word} .*$", rf"\1{line}", beta)
        self.assertEqual(len(set(beta.splitlines()) - set(alpha.splitlines())), 2)
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "alpha.conf").write_text(alpha)
        (directory / "beta.conf").write_text(beta)
        out, err = io.StringIO(), io.StringIO()
        before = os.getcwd()
        os.chdir(directory)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                status = main(shown.splitlines()[0].partition(" > ")[0].split()[2:])
        finally:
            os.chdir(before)
        self.assertEqual(status, 1)
        self.assertEqual(err.getvalue(), shown.partition("\n")[2])
        self.assertTrue(out.getvalue().endswith(f"\n\n{made}"), out.getvalue())

    def test_words(self) -> None:
        """Every word of keepalived, Heartbeat and ucarp that the tables name is one that is read or told."""
        text = PAGE.read_text()
        tables = text[text.index("What becomes of what") :]
        known = {
            *(
                *keywords.TOP,
                *keywords.INSTANCE,
                *keywords.GLOBAL,
                *instance.READ,
                *DIRECTIVES,
                *AGENTS,
            ),
            *(
                "vrrp_instance",
                "vrrp_sync_group",
                "weight",
                "authentication",
                "authkeys",
                "stonith",
            ),
            *("ethernetDevice", "sharedEthernetDevice", *ucarp.READ),
        }
        rows = re.findall(r"(?m)^``.+?  ", tables)
        named = {word for row in rows for word in re.findall(r"``([a-zA-Z_-]+)``", row)}
        self.assertGreater(len(named), 40)
        self.assertEqual(named - known - {"_excluded", "NAME", "up", "down"}, set())
