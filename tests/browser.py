"""Chromium without a screen, as the tests of the page use it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from html import unescape
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
DARK, LIGHT = 0, 1


def browser(
    profile: Path, url: str, *more: str, seconds: float = 2.5, scheme: int = LIGHT
) -> list[str]:
    """
    The command that opens a page, lets it run for so long by its own clock, and ends.

    @param profile: a directory that does not exist yet.
    @param more: what it is to do then, C{--dump-dom} or C{--screenshot=FILE}.
    """
    program = shutil.which("chromium") or "chromium"
    return [
        *(program, *FLAGS, f"--user-data-dir={profile}"),
        *(f"--virtual-time-budget={seconds * 1000:.0f}", "--window-size=1100,1500"),
        *(f"--blink-settings=preferredColorScheme={scheme}", *more, url),
    ]


class Shown:
    """
    A page as C{--dump-dom} has written it.

    @ivar html: its markup, without style and script.
    @ivar text: what a reader sees, a space between any two pieces.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        dumped = "\n".join(lines)
        self.html = re.sub(r"(?s)^.*?<!DOCTYPE|<(style|script|noscript).*?</\1>", "", dumped)
        self.title = unescape(re.sub(r"(?s).*<title>(.*?)</title>.*", r"\1", self.html))
        self.text = plain(re.sub(r"(?s).*?<body", "<body", self.html, count=1))

    def of(self, name: str) -> str:
        """The text of one part of the page, to the beginning of the next."""
        found = re.search(rf'(?s)<(\w+) id="{name}".*?(?=<\w+ [^>]*?id="|<section|\Z)', self.html)
        assert found, f"the page has no {name}:\n{self.html}"
        return plain(found.group())


def plain(markup: str) -> str:
    """What is left of markup without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", markup)).split())
