"""docs/vrrp-carp.rst: its files are accepted."""

from __future__ import annotations

import os
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import hatwist
from hatwist.settings import load

PAGE = (Path(hatwist.__file__).parent.parent / "docs" / "vrrp-carp.rst").read_text()


class PageTests(SynchronousTestCase):
    def test_files(self) -> None:
        """Each of them, of both protocols."""
        blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", PAGE)
        files = [re.sub("(?m)^    ", "", block) for block in blocks if "[group." in block]
        directory = self.mktemp()
        os.mkdir(directory)
        secret = os.path.join(directory, "carp")
        with open(secret, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("sesame\n")
        found = []
        for text in files:
            path = os.path.join(directory, "hatwist.toml")
            with open(path, "w") as file:
                file.write(text.replace("/etc/hatwist/carp", secret))
            (group,) = load(path, "alpha").groups
            found.append(group.protocol)
        self.assertEqual(found, ["vrrp", "carp"])
