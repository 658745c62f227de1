"""Tests for L{hatwist.core.parsing}: what may stand for a value, and that every refusal says what may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.parsing import Seconds, interface, number


class ParsingTests(SynchronousTestCase):
    """Values as files and options have them."""

    def assertRefused(
        self, parse: Callable[[Any], object], values: tuple[object, ...], words: str
    ) -> None:
        for value in values:
            error = self.assertRaises(ValueError, parse, value)
            self.assertEqual(str(error), words, repr(value))

    def test_seconds(self) -> None:
        """What is no number of seconds is refused with the bounds, as is one beyond them."""
        parse = Seconds(0.5, 60)
        self.assertEqual([parse(value) for value in (1, 0.5, "60")], [1.0, 0.5, 60.0])
        self.assertRefused(parse, (0.4, 61), "allowed are 0.5 to 60 seconds")
        wrong: tuple[object, ...] = ("soon", "0.7s", "", True, None, [], "nan", "inf", 10**400)
        self.assertRefused(parse, wrong, "is not a number of seconds; allowed are 0.5 to 60")

    def test_number(self) -> None:
        """Without bounds any finite number will do; one beyond every float is none."""
        self.assertEqual(number("-1.5"), -1.5)
        wrong: tuple[object, ...] = ("soon", True, None, "nan", "inf", 10**400)
        self.assertRefused(number, wrong, "is not a number of seconds")

    def test_interface(self) -> None:
        """An interface has any name that the kernel takes, and no other."""
        for name in ("eth0", "br-lan.7", "...", "x" * 15):
            self.assertEqual(interface(name), name)
        wrong = (
            "",
            ".",
            "..",
            "x" * 16,
            "a/b",
            "eth0:1",
            "a b",
            "a\vb",
            "a\r",
            "eth0\n",
            "a\0b",
            3,
        )
        self.assertRefused(
            interface, wrong, "allowed is the name of a network interface, such as eth0"
        )
