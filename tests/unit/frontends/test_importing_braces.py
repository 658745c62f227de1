"""Tests for L{hatwist.frontends.importing.keepalived.braces} and C{expanding}: the grammar of keepalived.conf(5)."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.importing.keepalived.braces import ConfStatement, parse
from hatwist.frontends.importing.notes import MigrationError, Notes


def tree(text: str, host: str | None = None, files: dict[str, str] | None = None) -> Any:
    """Words of each statement, with those of its block if it has one."""

    def opener(pattern: str, beside: str) -> list[tuple[str, str]]:
        if pattern not in (files or {}):
            raise FileNotFoundError(2, "No such file or directory")
        return [(pattern, (files or {})[pattern])]

    notes = Notes()
    statements, _ = parse(text, "k.conf", host, notes, opener)
    found = [_plain(each) for each in statements]
    return (found, [note.words for note in notes.all]) if notes.all else found


def _plain(statement: ConfStatement) -> Any:
    words = " ".join(statement.words)
    if statement.inside is None:
        return words
    return (words, [_plain(each) for each in statement.inside])


class GrammarTests(SynchronousTestCase):
    """Statements, blocks, quotes and comments."""

    def test_blocks(self) -> None:
        """A block belongs to the words before it, in the same line or the one above."""
        text = "a 1 {\n b {\n c\n }\n}\nd\n{\n e 2\n}\nf { g\nh }\n"
        self.assertEqual(tree(text), [("a 1", [("b", ["c"])]), ("d", ["e 2"]), ("f", ["g", "h"])])

    def test_comments(self) -> None:
        """A comment begins with # or !, anywhere but in quotes."""
        self.assertEqual(tree("! one\na b # two\nc!three\n'd # !' e"), ["a b", "c", "d # ! e"])

    def test_quotes(self) -> None:
        """Quotes are taken off, the space in them stays, and a backslash keeps a quote."""
        notes = Notes()
        statements, _ = parse("""a "b c" d" e"f 'g "h"' "i \\"j\\\\" ""\n""", "k.conf", None, notes)
        self.assertEqual(statements[0].words, ("a", "b c", "d ef", 'g "h"', 'i "j\\', ""))

    def test_braces_in_quotes(self) -> None:
        """A brace in quotes is part of a word."""
        self.assertEqual(tree('a "{" {\n b "}"\n}'), [("a {", ["b }"])])

    def test_unknown_variable(self) -> None:
        """A variable that nobody has defined stays as it is, braces and all."""
        self.assertEqual(tree("a ${B}.1 {\n c${D}\n}"), [("a ${B}.1", ["c${D}"])])

    def test_unmatched(self) -> None:
        """Braces that do not match are told with the line of the one that has no other."""
        for text, expected in (
            ("a {\n b {\n}\n", "k.conf:1: '{' is never closed"),
            ("a\n}\n", "k.conf:2: '}' closes nothing"),
            ("\n\n{\n}\n", "k.conf:3: '{' opens nothing: there is no word before it"),
            ("a {\n}\n{\n}", "k.conf:3: '{' opens nothing: there is no word before it"),
        ):
            error = self.assertRaises(MigrationError, parse, text, "k.conf", None, Notes())
            self.assertEqual(str(error), expected)

    def test_secret(self) -> None:
        """A password is not told."""
        statements, _ = parse("auth_pass hush", "k.conf", None, Notes())
        self.assertEqual(statements[0].text, "auth_pass ...")


class ExpansionTests(SynchronousTestCase):
    """Conditions, definitions, sequences and files."""

    def test_conditions(self) -> None:
        """A line with @host is for that host, one with @^host for every other."""
        text = "a\n@one b\n@^one c\n@two d\n"
        self.assertEqual(tree(text, "one"), ["a", "b"])
        self.assertEqual(tree(text, "two"), ["a", "c", "d"])
        self.assertEqual(tree(text), ["a", "c"])

    def test_names(self) -> None:
        """The names in conditions are told, in their order, those in definitions too."""
        text = "@b x\n$D= \\\n @^c y \\\n z\n$D\n@a $E=1\n@b w"
        self.assertEqual(parse(text, "k.conf", None, Notes())[1], ["b", "c", "a"])

    def test_definitions(self) -> None:
        """A definition is put in where it is used, with the values of that moment."""
        text = (
            "$BASE=10.2.${SUB}\n$SUB=0\na ${BASE}.100/32\n$SUB=10\na ${BASE}.100/32\n"
            "b $SUB c$SUB/d $NONE/d\n"
        )
        self.assertEqual(
            tree(text),
            ["a 10.2.0.100/32", "a 10.2.10.100/32", "b 10 c$SUB/d $NONE/d"],
        )

    def test_conditional_definition(self) -> None:
        """A definition may be for one host, and a condition may be a definition."""
        text = "@main $P=240\n@other $P=200\npriority $P\n$IF=@main\n$IF only\n"
        self.assertEqual(tree(text, "main"), ["priority 240", "only"])
        self.assertEqual(tree(text, "other"), ["priority 200"])

    def test_several_lines(self) -> None:
        """A definition of several lines makes several lines, each time, and may set others."""
        text = "$I= \\\nvi ${N} { \\\n @a x \\\n y ${N} \\\n}\n$N=0\n$I\n$N=1\n$I\n"
        self.assertEqual(tree(text, "a"), [("vi 0", ["x", "y 0"]), ("vi 1", ["x", "y 1"])])
        self.assertEqual(tree(text, "b"), [("vi 0", ["y 0"]), ("vi 1", ["y 1"])])

    def test_continued(self) -> None:
        """A backslash at the end of any other line continues it."""
        self.assertEqual(tree("a b \\\n c\nd"), ["a b c", "d"])

    def test_sequences(self) -> None:
        """~SEQ and ~LST repeat the rest of the line."""
        self.assertEqual(tree("~SEQ(N, 0, 2) a.${N}"), ["a.0", "a.1", "a.2"])
        self.assertEqual(tree("~SEQ(N, 3) a.${N}"), ["a.1", "a.2", "a.3"])
        self.assertEqual(tree("~SEQx(N, 0x90, 0x10, 0xb0) a:${N}"), ["a:90", "a:a0", "a:b0"])
        self.assertEqual(tree("~SEQ(N, 3, -2, 0) a.${N}"), ["a.3", "a.1"])
        self.assertEqual(tree("~LST(N, x, y) ~SEQ(M,1,2) $N ${M}"), ["x 1", "x 2", "y 1", "y 2"])
        self.assertEqual(tree("~LST({A, B}, {10,1}, {20,4}) ${A}.${B}"), ["10.1", "20.4"])

    def test_endless(self) -> None:
        """What never ends, or makes too much, is told with its line."""
        for text in (
            "$A=${A}\nb ${A}",
            "$A=${A}${A}\nb ${A}",
            "$A= \\\n${A} \\\nx\n${A}",
            "~SEQ(N, 0, 99999999) a",
            "~SEQ(N, 1, 0, 5) a",
            "~SEQ(N, one) a",
            "~LST(N) a",
            "~SEQ(A,1,9999) ~SEQ(B,1,9999) a",
        ):
            error = self.assertRaises(MigrationError, parse, text, "k.conf", None, Notes())
            self.assertRegex(str(error), r"^k\.conf:[1-4]: ")

    def test_include(self) -> None:
        """Files are included, also by each other; one that is not there is told."""
        files = {"x": "b\ninclude y\n", "y": "c\n"}
        self.assertEqual(tree("a\nincluder x\nd", None, files), ["a", "b", "c", "d"])
        self.assertEqual(tree("a\ninclude z\n", None, files), (["a"], ["include z"]))

    def test_include_endless(self) -> None:
        """A file that includes itself is told."""
        error = self.assertRaises(MigrationError, tree, "include x", None, {"x": "include x"})
        self.assertIn("files include each other without end", str(error))
