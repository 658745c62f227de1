"""What README.rst claims of options and commands is so."""

from __future__ import annotations

import doctest
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.errors import REASONS
from hatwist.settings import MULTICAST, TOLERANCE, settings
from hatwist.tap import Options

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.rst").read_text()


def commands() -> list[str]:
    """Every line of the indented blocks that is a command."""
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", README)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


class OptionsTests(SynchronousTestCase):
    """The table of options is that of the program."""

    def rows(self) -> dict[str, tuple[str, str, str]]:
        """Short form, unit and default of each option in the table."""
        table = README[README.index("\noption ") : README.index("At least one ``--address``")]
        found = re.findall(
            r"^``--([a-z-]+)``(?:, ``-([a-z])``)? +(?: |(seconds) +)(\S.*?)  +\S",
            table,
            re.MULTILINE,
        )
        return {name: (short, unit, default.strip()) for name, short, unit, default in found}

    def test_names(self) -> None:
        """It lists each option, and no other, with its short form."""
        options = Options()
        declared: Any = [*options.optParameters, *options.optFlags]
        shorts = {row[0]: row[1] or "" for row in declared}
        shorts |= {"address": "a", "alias": ""}
        self.assertEqual({name: row[0] for name, row in self.rows().items()}, shorts)
        self.assertEqual(
            {name for name in options.longOpt if not name.startswith(("help", "version"))},
            {name if name == "no-preempt" else f"{name}=" for name in shorts},
        )

    def test_defaults(self) -> None:
        """It gives each default as the program has it."""
        rows = self.rows()
        declared: Any = Options.optParameters
        for name, _, default, *_ in declared:
            if default is not None:
                self.assertEqual(rows[name][2], default, name)
        self.assertEqual(rows["tolerance"][2], f"{TOLERANCE} intervals")
        self.assertEqual(rows["multicast"][2], str(MULTICAST))

    def test_units(self) -> None:
        """Times have their unit."""
        timed = {name for name, row in self.rows().items() if row[1] == "seconds"}
        self.assertEqual(timed, {"interval", "tolerance", "preempt-delay"})


class CommandTests(SynchronousTestCase):
    """The commands exist, and are understood."""

    def test_make(self) -> None:
        """Each make target named is in the Makefile."""
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        named = [line.split()[1] for line in commands() if line.startswith("make ")]
        self.assertEqual(named, ["demo", "test"])
        self.assertTrue(set(named) <= set(targets))

    def test_twistd(self) -> None:
        """Each line of twistd ha has options that are accepted, but for what the host must have."""
        lines = [line for line in commands() if "/twistd " in line and " ha " in line]
        self.assertEqual(len(lines), 3)
        for line in lines:
            options = Options()
            options.parseOptions(shlex.split(line.partition(" ha ")[2]))
            chosen = settings(
                interface=options["interface"],
                address=options["address"],
                node=options["node"] or "host",
                priority=options["priority"],
            )
            self.assertEqual([str(spec) for spec in chosen.addresses], ["192.168.1.100/24"])

    def test_files(self) -> None:
        """Each file of the project that is named exists."""
        named = set(re.findall(r"(?:docs|examples)/[a-z_]+\.[a-z]+", README))
        self.assertEqual(len(named), 5)
        for name in named:
            self.assertTrue((ROOT / name).exists(), name)

    def test_logLines(self) -> None:
        """The table of what is logged has lines of the log; that they come is a live test's."""
        self.assertEqual(len([line for line in commands() if line.startswith("default: ")]), 3)


class DocumentTests(SynchronousTestCase):
    """What docs/ shows as Python works, and what it lists is there."""

    def test_examples(self) -> None:
        """The interactive examples of composition.rst give what they show."""
        failed, tried = doctest.testfile(
            str(ROOT / "docs/composition.rst"), module_relative=False, report=True
        )
        self.assertGreater(tried, 10)
        self.assertEqual(failed, 0)

    def test_names(self) -> None:
        """Every name that composition.rst imports is importable."""
        text = (ROOT / "docs/composition.rst").read_text()
        found = re.findall(r"from ([\w.]+) import ([\w, ]+)", text)
        self.assertGreater(len(found), 7)
        for module, names in found:
            for name in names.split(", "):
                if (module, name) != ("twisted.internet", "reactor"):
                    self.assertTrue(hasattr(import_module(module), name), f"{module}.{name}")

    def test_reasons(self) -> None:
        """architecture.rst names every reason for which a packet is dropped and logged."""
        text = (ROOT / "docs/architecture.rst").read_text()
        for reason in REASONS:
            if reason != "reflected":
                self.assertIn(f"``{reason}``", text)

    def test_events(self) -> None:
        """architecture.rst explains every kind of event, and no other."""
        text = (ROOT / "docs/architecture.rst").read_text()
        section = text[text.index("begin with their kind") : text.index("Lines of a link")]
        code = "".join(
            (ROOT / f"hatwist/{name}.py").read_text() for name in ("election", "machine")
        )
        kinds = set(re.findall(r"(?:self\.event|_say)\(\s*\"([a-z-]+)\"", code))
        self.assertEqual(set(re.findall(r"``([a-z-]+)``(?=,|$)", section, re.MULTILINE)), kinds)

    def test_modules(self) -> None:
        """architecture.rst has each module and package, and no other."""
        text = (ROOT / "docs/architecture.rst").read_text()
        package = ROOT / "hatwist"
        there = {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")}
        there |= {path.parent.name for path in package.glob("*/__init__.py")}
        section = text[text.index("Three floors") : text.index("The way of a packet")]
        for name in there:
            self.assertIn(f"``{name}``", section)
        listed = set(re.findall(r"^``(\w+)``$", section, re.MULTILINE))
        self.assertEqual(listed - there, set())
