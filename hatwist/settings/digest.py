"""What must be the same on every node, as eight bytes that nodes compare; see docs/protocol.rst."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from hatwist.checks.check import CheckSpec
from hatwist.resources.kinds import parts
from hatwist.settings.key import Scope
from hatwist.settings.keys import of, ofGroup
from hatwist.settings.values import GroupSettings, Settings


def digest(settings: Settings) -> bytes:
    """
    The same for settings that go together, in this version and in earlier ones: nodes of several run side by side
    while they are updated.
    """
    quorum = settings.quorum
    shared = (
        settings.cluster,
        sorted((_group(group) for group in settings.groups), key=repr),
        _words(settings, Scope.CLUSTER, Scope.NODE),
        (sorted(quorum.members), quorum.needed) if quorum is not None else None,
        settings.witness is not None,
    )
    return hashlib.sha256(repr(shared).encode()).digest()[:8]


def _group(group: GroupSettings) -> object:
    return (
        group.name,
        [part.shared for part in parts(group.resources)],
        " ".join(
            filter(None, [key.word(getattr(v, key.field)) for key, v in ofGroup(group) if key.word])
        ),
        group.hooks,
        tuple(_Verbatim(_check(check)) for check in group.checks),
    )


class _Verbatim(str):
    """A text that C{repr} leaves as it is."""

    def __repr__(self) -> str:
        return str(self)


def _check(check: CheckSpec) -> str:
    """As C{repr} was when digests were first compared, whatever its classes are called since."""
    what: Any = check.what
    name = type(what).__name__.removesuffix("Check")
    inner = ", ".join(f"{each.name}={getattr(what, each.name)!r}" for each in fields(what))
    return (
        f"CheckSpec(what={name}({inner}), interval={check.interval!r}, timeout={check.timeout!r}, "
        f"rise={check.rise!r}, fall={check.fall!r}, effect={check.effect!r})"
    )


def _words(values: object, *scopes: Scope) -> str:
    """Those that have no other place, in the order of their rows."""
    return " ".join(filter(None, _each(values, *scopes)))


def _each(values: Any, *scopes: Scope) -> Iterator[str]:
    for key in of(*scopes):
        if key.word is not None:
            yield key.word(getattr(values, key.field))
