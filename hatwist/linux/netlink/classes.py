"""
The message classes of pyroute2, without the package around them.

C{import pyroute2} imports all that it can do (NDB, IPDB, nftables, WireGuard): 200 modules, 11 MB and a tenth of a
second, where three classes take 25 small modules and 2 MB. So they are imported while an empty package stands where the
whole one will be: whoever imports pyroute2 afterwards gets all of it, as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


def classesOf(package: str, modules: Sequence[str]) -> list[Any]:
    """
    Return one class of each module in a package: the one that is called as the module is.

    Modules that cannot do without their package get it, which costs memory and time, and nothing else.

    @param modules: absolute names.
    @raise ImportError: there is no such package, or it has no such modules.
    """
    if package not in sys.modules:
        try:
            with _empty(package):
                return [_classOf(module) for module in modules]
        except Exception:  # whatever it is that is missing: with the package it may be there
            pass
    return [_classOf(module) for module in modules]


def _classOf(module: str) -> Any:
    return getattr(import_module(module), module.rpartition(".")[2])


@contextmanager
def _empty(package: str) -> Iterator[None]:
    """Meanwhile modules of a package are imported without its C{__init__}; afterwards none of them is known."""
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(package)
    sys.modules[package] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
            del sys.modules[name]


ifaddrmsg, ifinfmsg, rtmsg = classesOf(
    "pyroute2",
    [
        "pyroute2.netlink.rtnl.ifaddrmsg",
        "pyroute2.netlink.rtnl.ifinfmsg",
        "pyroute2.netlink.rtnl.rtmsg",
    ],
)
