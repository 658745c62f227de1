"""The kinds of resources that a configuration can name: the key of each says which it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from hatwist.core.table import Table, nearest
from hatwist.resources.addresses.batchspec import AddressBatch
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.alias import AliasSpec
from hatwist.resources.command import CommandSpec
from hatwist.resources.interface import InterfaceSpec
from hatwist.resources.spec import LoneSpec, ResourcePart
from hatwist.resources.unit import UnitSpec

ResourceSpec = AddressSpec | LoneSpec

KINDS: dict[str, Callable[[Table], ResourceSpec | None]] = {
    AddressSpec.kind: AddressSpec.read,
    AliasSpec.kind: AliasSpec.read,
    CommandSpec.kind: CommandSpec.read,
    InterfaceSpec.kind: InterfaceSpec.read,
    UnitSpec.kind: UnitSpec.read,
}
"""How each is read; the key names it and says what is held."""


def readResource(table: Table) -> ResourceSpec | None:
    """One table of C{resources}; C{None}: it says of no resource, or of an impossible one."""
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1:
        if kinds:
            table.problem(f"is {' and '.join(kinds)} at once; each resource is one thing")
        elif table.values:
            table.problem(f"is no resource{nearest(next(iter(table.values)), list(KINDS))}")
        return None
    spec = KINDS[kinds[0]](table)
    table.end()
    return spec


def parts(specs: Iterable[ResourceSpec]) -> Iterator[ResourcePart]:
    """Each alone, but addresses that follow each other together: they are acquired as one."""
    addresses: list[AddressSpec] = []
    for spec in specs:
        if isinstance(spec, AddressSpec):
            addresses.append(spec)
            continue
        if addresses:
            yield AddressBatch(tuple(addresses))
            addresses = []
        yield spec
    if addresses:
        yield AddressBatch(tuple(addresses))
