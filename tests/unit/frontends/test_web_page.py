"""Tests for L{hatwist.frontends.web.page}: what the page may do, without a browser. tests/live/test_page.py has one."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.web.page import Page


class PageTests(SynchronousTestCase):
    """The page as it is served."""

    def setUp(self) -> None:
        self.page = Page()
        self.text = self.page.body.decode()

    def test_policy(self) -> None:
        """The policy names just this script and this style, and forbids everything else from elsewhere."""
        policy = dict(part.split(" ", 1) for part in self.page.policy.split("; "))
        for tag in ("script", "style"):
            (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", self.text, re.DOTALL)
            digest = b64encode(sha256(inside.encode()).digest()).decode()
            self.assertEqual(policy[f"{tag}-src"], f"'sha256-{digest}'")
        self.assertEqual(policy["default-src"], "'none'")
        self.assertEqual(policy["connect-src"], "'self'")
        self.assertNotIn("unsafe", self.page.policy)

    def test_selfContained(self) -> None:
        """Nothing is loaded from anywhere: the page must work where there is no Internet."""
        self.assertNotRegex(self.text, r"https?:|//[a-z]|@import|url\(")
        self.assertEqual(
            set(re.findall(r'(?:src|href)="([^"]*)"', self.text)), {"data:,", "status"}
        )

    def test_textOnly(self) -> None:
        """Names come from the network: no way of the browser to make markup of text is used."""
        self.assertNotRegex(
            self.text,
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|srcdoc|\son\w+=",
        )

    def test_filled(self) -> None:
        """Nothing is left of the template."""
        self.assertNotRegex(self.text, r"\{(style|script)\}")
