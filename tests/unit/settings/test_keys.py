"""Tests for L{hatwist.settings.keys}: the rows agree with values, options and documents, and each is enough."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import hatwist
from hatwist.core.effects import EVENTS
from hatwist.core.parsing import Seconds
from hatwist.core.table import Table
from hatwist.frontends.tap import Options
from hatwist.resources.kinds import KINDS
from hatwist.settings import keys
from hatwist.settings.changes import changes
from hatwist.settings.digest import digest
from hatwist.settings.example import example
from hatwist.settings.key import Key, KeyOption, Known, OnReload, Scope
from hatwist.settings.keys import KEYS, named, of
from hatwist.settings.options import OPTIONS
from hatwist.settings.reading import OWN, readGroup
from hatwist.settings.summary import plan
from hatwist.settings.values import CarpSettings, GroupSettings, Settings, VrrpSettings

DOCS = Path(hatwist.__file__).parent.parent / "docs"
PAGE = (DOCS / "configuration.rst").read_text()
MANUAL = (DOCS / "man" / "hatwist.toml.5").read_text().replace("\\-", "-")
README = (DOCS.parent / "README.rst").read_text()
ABOVE = [key for key in KEYS if key.scope in (Scope.CLUSTER, Scope.NODE) or key.inherited]
"""What can stand above the tables."""


VALUES: dict[Scope, type] = {
    Scope.GROUP: GroupSettings,
    Scope.EVENTS: GroupSettings,
    Scope.VRRP: VrrpSettings,
    Scope.CARP: CarpSettings,
}
"""What has the value of a setting, of those that are not in L{Settings}."""


def between(text: str, beginning: str, end: str) -> str:
    """The part of a text after one line, up to another."""
    return text[text.index(beginning) + len(beginning) : text.index(end)]


class RowTests(SynchronousTestCase):
    """Each row fits what it stands for."""

    def test_fields(self) -> None:
        """Every value of the settings comes from one row, and every row but that of members gives one."""
        for scopes, values, others in (
            ((Scope.OPTION, Scope.CLUSTER, Scope.NODE), Settings, {"groups"}),
            ((Scope.GROUP, Scope.EVENTS), GroupSettings, {"name", "vrrp", "carp"}),
            ((Scope.VRRP,), VrrpSettings, set()),
            ((Scope.CARP,), CarpSettings, set()),
        ):
            given = [key.field for key in of(*scopes) if key.field]
            self.assertEqual(sorted(given), sorted({f.name for f in fields(values)} - others))
        self.assertEqual([key.name for key in KEYS if not key.field], ["members", "protocol"])

    def test_names(self) -> None:
        """No name stands for two settings in one place, and no option for two anywhere."""
        for scope in Scope:
            names = [key.path for key in of(scope)]
            self.assertEqual(len(names), len(set(names)), scope)
        options = [key.optionName for key, _ in OPTIONS]
        self.assertEqual(len(options), len(set(options)))

    def test_defaults(self) -> None:
        """What a program leaves out is what a file leaves out."""
        for key in KEYS:
            if not key.field:
                continue
            values = VALUES.get(key.scope, Settings)
            default = {f.name: f.default for f in fields(values)}.get(key.field, MISSING)
            if key.usual is not None and key.name != "multicast":
                self.assertEqual(
                    (key.default, type(key.default)), (default, type(default)), key.name
                )

    def test_parsed(self) -> None:
        """Each is read by a parser, or by a function of its own."""
        for key in KEYS:
            self.assertTrue(key.parse or key.read, key.name)

    def test_word(self) -> None:
        """Only what is shared has a word in the digest."""
        self.assertEqual([key.name for key in KEYS if key.word and not key.shared], [])

    def test_range(self) -> None:
        """A range is told as it is read."""
        self.assertEqual(named("interval", Scope.CLUSTER).range, "0.005 to 60")
        self.assertEqual(named("preempt_delay", Scope.GROUP).range, "0 to 86400")
        self.assertEqual(named("on.timeout", Scope.EVENTS).range, "0.1 to 60")


class DocumentTests(SynchronousTestCase):
    """The tables of the documents are those of the rows."""

    def rows(self, beginning: str, end: str) -> list[str]:
        """The keys of a table of configuration.rst."""
        return re.findall(r"^``([a-z_]+)`` ", between(PAGE, beginning, end), re.MULTILINE)

    def test_above(self) -> None:
        """What stands above the tables."""
        found = self.rows("Above the tables\n", "``[node.NAME]``\n-----")
        self.assertEqual(sorted(found), sorted(key.name for key in ABOVE))

    def test_own(self) -> None:
        """What a node may have of its own, in the page and in the manual."""
        text = between(PAGE, "What a node has of its own: ", ". It comes before")
        self.assertEqual(sorted(re.findall(r"``([a-z_]+)``", text)), sorted(OWN))
        text = between(MANUAL, "before what is said above:\n", "The name is the host's")
        self.assertEqual(sorted(re.findall(r"^\.BR? ([a-z_]+)", text, re.MULTILINE)), sorted(OWN))

    def test_group(self) -> None:
        """What a group has, with its events, and the kinds of its resources."""
        found = self.rows("``[group.NAME]``\n-----", "A resource is one of these:")
        self.assertEqual(sorted(found), sorted(key.name for key in of(Scope.GROUP)))
        for protocol, scope, end in (
            ("vrrp", Scope.VRRP, 'With ``protocol = "carp"``:'),
            ("carp", Scope.CARP, "Changing the key\n"),
        ):
            found = self.rows(f'With ``protocol = "{protocol}"``:', end)
            self.assertEqual(sorted(found), sorted(key.name for key in of(scope)))
        kinds = re.findall(r"^``\{([a-z]+) = ", PAGE, re.MULTILINE)
        self.assertEqual(sorted(kinds), sorted(KINDS))
        (timeout,) = of(Scope.EVENTS)
        text = between(PAGE, "The events of ``on`` are ", "Changing it while it runs")
        self.assertEqual(set(re.findall(r"``([a-z-]+)``[ ,.]", text)), {*EVENTS})
        self.assertIn(f"may take, {timeout.range} ({timeout.default:g})", text)

    def test_reload(self) -> None:
        """What of the things above the tables does not take a restart."""
        text = re.sub(r"\s+", " ", between(PAGE, "Everything above the tables but ", " a restart"))
        applied = [key.name for key in ABOVE if key.reload is not OnReload.REFUSED]
        self.assertEqual(re.findall(r"``([a-z_]+)``", text), applied)

    def entries(self, beginning: str, end: str) -> dict[str, tuple[str, str]]:
        """What stands behind each key of a part of hatwist.toml(5), and below it."""
        found = {}
        for entry in between(MANUAL, beginning, end).split(".TP\n")[1:]:
            head, _, text = entry.partition("\n")
            _, name, *behind = head.split(" ", 2)
            found[name] = (behind[0].strip('" ') if behind else "", text.replace("\n", " "))
        return found

    def test_manual(self) -> None:
        """Each key has its entry, with its default and its range."""
        above = self.entries(".SH THE CLUSTER\n", ".SH [node.NAME]\n")
        group = self.entries(".SH [group.NAME]\n", ".SS Resources\n")
        self.assertEqual(sorted(above), sorted(key.name for key in ABOVE))
        self.assertEqual(sorted(group), sorted(key.name for key in of(Scope.GROUP)))
        vrrp = self.entries(".SS VRRP\n", ".SS CARP\n")
        carp = self.entries(".SS CARP\n", ".SS Checks\n")
        self.assertEqual(sorted(vrrp), sorted(key.name for key in of(Scope.VRRP)))
        self.assertEqual(sorted(carp), sorted(key.name for key in of(Scope.CARP)))
        for key, (behind, text) in (
            *((key, vrrp[key.name]) for key in of(Scope.VRRP)),
            *((key, carp[key.name]) for key in of(Scope.CARP)),
            *((key, above[key.name]) for key in ABOVE),
            *((key, group[key.name]) for key in of(Scope.GROUP) if not key.inherited),
        ):
            if isinstance(key.usual, str) and key.usual:
                self.assertEqual(behind, f"({key.usual})", key.name)
            if key.range:
                self.assertIn(key.range.removeprefix("0 "), text, key.name)
        (timeout,) = of(Scope.EVENTS)
        self.assertIn(f"{timeout.range} ({timeout.default:g})", group["on"][1])

    def test_readme(self) -> None:
        """The table of options has the range of each time; tests/unit/test_readme.py has the rest."""
        table = between(README, "\noption ", "Without ``--config`` at least")
        for key, _ in OPTIONS:
            if isinstance(key.parse, Seconds):
                (row,) = re.findall(rf"^``--{key.optionName}``.*\n(?: .*\n)*", table, re.MULTILINE)
                self.assertIn(key.range.removeprefix("0 "), row)

    def test_example(self) -> None:
        """The file of hatwist init has the usual value of each setting that it shows, and keys that there are."""
        text = example(["192.168.1.100/24"], "eth0", ["alpha"], "default")
        shown = dict(re.findall(r"^(?:# )?([a-z_]+) = (.*)$", text, re.MULTILINE))
        self.assertEqual(set(shown) - {key.name for key in KEYS}, set())
        for name, value in (("interval", "1.0"), ("preempt", "true"), ("preempt_delay", "0")):
            self.assertEqual(shown[name], value)


class NewTests(SynchronousTestCase):
    """A setting is all there once it has a row, and a field."""

    TOY = Key(
        "toy_time",
        "hookTimeout",
        Scope.GROUP,
        Seconds(1, 9),
        "3",
        shared=True,
        word=lambda value: f"{value:.6f}" if value != 3 else "",
        reload=OnReload.TOLD,
        option=KeyOption("Seconds of play."),
        example="How long it plays.",
        told=lambda group: f"plays for {group.hookTimeout:g} s",
    )

    def setUp(self) -> None:
        self.plain = Settings("eth0", (GroupSettings(hookTimeout=3.0),), "alpha")
        self.before = digest(self.plain)
        rows = tuple(key for key in KEYS if key.scope is not Scope.EVENTS)
        self.patch(keys, "KEYS", (*rows, self.TOY))

    def toyed(self, seconds: float) -> Settings:
        return Settings("eth0", (GroupSettings(hookTimeout=seconds),), "alpha")

    def read(self, **values: Any) -> tuple[float, list[str]]:
        problems: list[str] = []
        table = Table(values, problems)
        group = readGroup(table, "web", "alpha")
        table.end()
        return group.hookTimeout, problems

    def test_file(self) -> None:
        """It is read from a file, or has its default, or is refused."""
        self.assertEqual(self.read(), (3.0, []))
        self.assertEqual(self.read(toy_time=5), (5.0, []))
        self.assertEqual(
            self.read(toy_time=10), (3.0, ["toy_time = 10: allowed are 1 to 9 seconds"])
        )

    def test_digest(self) -> None:
        """Nodes that use it agree on it; those that do not are understood by those that do not know it."""
        self.assertEqual(digest(self.plain), self.before)
        self.assertNotEqual(digest(self.toyed(4.0)), self.before)

    def test_reload(self) -> None:
        """A reload tells of it."""
        found = changes(self.plain, self.toyed(4.0))
        self.assertEqual(found, (("group default: toy_time 3 becomes 4",), ()))

    def test_plan(self) -> None:
        """So does hatwist check."""
        self.assertIn("\n  plays for 4 s\n", plan({"alpha": self.toyed(4.0)}))

    def test_example(self) -> None:
        """The file of hatwist init has it."""
        text = example(["192.168.1.100/24"], "eth0", ["alpha"], "default")
        self.assertIn("\n# How long it plays.\ntoy_time = 3\n", text)

    def test_option(self) -> None:
        """It has an option's names."""
        self.assertEqual((self.TOY.optionName, self.TOY.argument), ("toy-time", "toyTime"))


class OptionTests(SynchronousTestCase):
    """Each option, and none else."""

    def test_options(self) -> None:
        """twistd ha has the option of each row, with its help."""
        options = Options()
        self.assertLessEqual({key.optionName for key, _ in OPTIONS}, set(options))
        shown = re.sub(r"\s+", " ", str(options))
        for _, option in OPTIONS:
            self.assertIn(option.help.partition(" [")[0], shown)

    def test_known(self) -> None:
        """What was read is found by the names of keys."""
        known = Known("alpha", inherited={"priority": 7})
        problems: list[str] = []
        for path in ("priority", "preempt"):
            named(path, Scope.GROUP).take(Table({}, problems), known)
        self.assertEqual((known.found, problems), ({"priority": 7, "preempt": True}, []))
