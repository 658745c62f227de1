"""Tests for L{hatwist.core.table}: values are read one by one, and every problem is told with its place."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.table import Table, dotted, nearest, shown


def whole(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("allowed are whole numbers")
    return value


class TableTests(SynchronousTestCase):
    """What is good is returned, what is not is noted, and reading goes on."""

    def setUp(self) -> None:
        self.problems: list[str] = []

    def table(self, **values: Any) -> Table:
        return Table(values, self.problems)

    def test_take(self) -> None:
        """A value that parses is returned; a missing one is the default."""
        table = self.table(a=1)
        self.assertEqual((table.take("a", whole, 5), table.take("b", whole, 5)), (1, 5))
        table.end()
        self.assertEqual(self.problems, [])

    def test_wrong(self) -> None:
        """A value that does not parse is named with its place, and the default counts."""
        table = self.table(group={"web": {"priority": "high"}})
        ((name, inner),) = table.named("group")
        self.assertEqual((name, inner.take("priority", whole, 100)), ("web", 100))
        self.assertEqual(self.problems, ['group.web.priority = "high": allowed are whole numbers'])

    def test_missing(self) -> None:
        """What must be given and is not is named."""
        self.table().table("group").take("resources", whole)
        self.assertEqual(self.problems, ["group.resources is missing"])

    def test_unknown(self) -> None:
        """An unknown key is told with the nearest known one, or with all there are."""
        table = self.table(intervall=1, zebra=2)
        table.take("interval", whole, 1)
        table.take("cluster", whole, 1)
        table.end()
        self.assertEqual(
            self.problems,
            [
                "intervall = 1: there is no such key; did you mean interval?",
                "zebra = 2: there is no such key; there are cluster, interval",
            ],
        )

    def test_lists(self) -> None:
        """Each item of a list is read by itself; what is no list is one problem."""
        table = self.table(a=[1, "x", 3], b=7, c=[{"d": 1}, 5])
        self.assertEqual(table.items("a", whole), (1, 3))
        self.assertEqual(table.items("b", whole), ())
        inner = list(table.tables("c"))
        self.assertEqual(inner[0].take("d", whole, 0), 1)
        inner[0].end()
        self.assertEqual(
            self.problems,
            [
                'a[2] = "x": allowed are whole numbers',
                "b = 7: allowed is a list, in brackets",
                "c[2] = 5: allowed is a table of keys and values",
            ],
        )

    def test_words(self) -> None:
        """Paths and values look as they do in TOML."""
        self.assertEqual(dotted(("group", "web", "checks", 1, "http")), "group.web.checks[2].http")
        self.assertEqual(shown({"a": [True, 'x"y\n']}), '{a = [true, "x\\"y\\n"]}')
        self.assertEqual(len(shown("x" * 200)), 80)
        self.assertEqual(
            nearest("preempt_dely", ["preempt", "preempt_delay"]), "; did you mean preempt_delay?"
        )
