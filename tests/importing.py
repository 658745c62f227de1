"""What tests of C{hatwist import} share."""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from hatwist.frontends.importing.notes import Notes, Opener, opensNothing
from hatwist.frontends.importing.reading import Source, read
from hatwist.frontends.importing.toml import write
from hatwist.settings import Settings, loadAll


class Imported(NamedTuple):
    """
    What an import made.

    @ivar lost, differs: words and advice of each note, in order.
    @ivar nodes: what the product's own reader makes of the file; empty where there is nothing to share.
    """

    text: str
    values: dict[str, Any]
    lost: list[tuple[str, str]]
    differs: list[tuple[str, str]]
    nodes: dict[str, Settings]
    notes: Notes

    def group(self, name: str) -> dict[str, Any]:
        """One group of the file."""
        found = self.values["group"][name]
        assert isinstance(found, dict)
        return found

    @property
    def addresses(self) -> list[str]:
        """Those of all groups, in order."""
        return [
            resource["address"]
            for group in self.values.get("group", {}).values()
            for resource in group["resources"]
            if "address" in resource
        ]

    def why(self, words: str) -> str:
        """The advice on what was told with these words."""
        found = [advice for told, advice in self.lost + self.differs if words in told]
        assert found, f"nothing was told of {words!r}: {self.lost + self.differs}"
        return " | ".join(found)


def imported(
    *texts: str | tuple[str, str] | Source,
    kind: str | None = None,
    hosts: tuple[str, ...] = (),
    opener: Opener = opensNothing,
    keepsVrrp: bool = False,
) -> Imported:
    """
    Import texts, each alone or with the name of its host.

    Whatever comes of it is read by the product's own reader, which has to accept it.
    """
    sources = []
    for number, text in enumerate(texts):
        if isinstance(text, str):
            text = ("", text)
        sources.append(
            text if isinstance(text, Source) else Source(text[0], f"file{number}", text[1])
        )
    notes = Notes()
    draft, _ = read(sources, kind, hosts, notes, opener, keepsVrrp)
    text = write(draft, notes.all, "Imported")
    values = tomllib.loads(text)
    nodes: dict[str, Settings] = {}
    if draft.groups:
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            nodes = loadAll(file.name, "localhost")
    else:
        assert not values, "without a group there is nothing to say"
    return Imported(
        text,
        values,
        [(note.words, note.advice) for note in notes.all if note.lost],
        [(note.words, note.advice) for note in notes.all if not note.lost],
        nodes,
        notes,
    )


SAMPLES = Path(os.environ.get("HATWIST_SAMPLES", "/usr/share/doc"))
"""The documentation of Debian packages. Minimal systems have none: .ci/run unpacks it elsewhere then."""
