"""What is imported, before it is written: the keys of the configuration file with their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Table = Mapping[str, Any]
Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DraftGroup:
    """
    One C{[group.NAME]}.

    @ivar identity: what it has in common with the same group in another host's file.
    @ivar resources, checks: tables as they are in the file, in order.
    @ivar priority: of the host whose file this is.
    @ivar priorities: of each host by name, once the files of all hosts are one.
    @ivar preemptDelay: seconds.
    @ivar hooks: event to commands.
    @ivar keys: what it has besides, such as C{protocol}.
    """

    name: str
    identity: str
    resources: tuple[Table, ...] = ()
    checks: tuple[Table, ...] = ()
    priority: int | None = None
    preempt: bool = True
    preemptDelay: float = 0.0
    hooks: Mapping[str, tuple[Argv, ...]] = field(default_factory=dict)
    priorities: Mapping[str, int] = field(default_factory=dict)
    keys: Table = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """
    A whole configuration file, or what one host's file says of it.

    @ivar values: what stands above all tables, such as C{interval}.
    @ivar nodes: C{[node.NAME]} tables by name.
    """

    values: Table = field(default_factory=dict)
    groups: tuple[DraftGroup, ...] = ()
    nodes: Mapping[str, Table] = field(default_factory=dict)
