"""What keeps settings from running on this host; nothing is changed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from itertools import takewhile

from hatwist.core.electorate import refusal
from hatwist.core.errors import ResourceError
from hatwist.linux.netlink.messages import FOREVER, KernelLink, KernelRoute
from hatwist.linux.netlink.present import addressesNow
from hatwist.linux.permission import mayChangeAddresses, maySendFrames
from hatwist.resources.addresses.placing import Finder
from hatwist.resources.addresses.removing import unmarked
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.process import find
from hatwist.runtime.store import Store
from hatwist.settings.digest import digest
from hatwist.settings.values import GroupSettings, Settings


def hostProblems(settings: Settings, name: Callable[[str], str]) -> Iterator[str]:
    """
    Every problem, in a sentence that says what to change.

    @param name: what whoever wrote the settings calls a key.
    """
    known = [interface for _, interface in socket.if_nameindex()]
    wanted = {"interface": [settings.interface] if settings.interface else []}
    wanted["links"] = [spec.interface for spec in settings.links]
    wanted["address"] = [spec.interface for spec in settings.addresses if spec.interface]
    for key, interfaces in wanted.items():
        for interface in dict.fromkeys(interfaces):
            if interface not in known:
                yield (
                    f"{name(key)}: there is no interface {interface!r} on this host; "
                    f"it has {', '.join(sorted(known)) or 'none'}"
                )
    yield from _ownAddresses(settings, name("address"))
    for group in settings.groups:
        for program in dict.fromkeys(_programs(group)):
            if find(program) is None:
                yield (
                    f"group {group.name}: there is no program {program!r} on this host's PATH, "
                    "or this user may not run it"
                )
        for check in group.checks:
            for problem in check.problems():
                yield f"group {group.name}: check {check.name}: {problem}"
    try:
        # It opens nothing else, and starts nothing: no reactor is needed.
        store = Store.of(None, settings.stateDir, settings.cluster, settings.node)
        store.read()
        shared = digest(settings).hex()
        if wrong := refusal(
            store.ran, settings.quorum, shared, settings.node, store.path, time.time()
        ):
            yield f"{name('members')}: {wrong}"
    except OSError as e:
        yield f"{name('state_dir')}: {e.filename} cannot be read: {e.strerror}"
    except ValueError as e:
        yield f"{name('state_dir')}: {e}; remove it, and this node starts as if for the first time"
    hint = "run as root, or give the service AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"
    if not mayChangeAddresses():
        yield f"not permitted to change addresses (CAP_NET_ADMIN): {hint}"
    if not maySendFrames():
        yield f"not permitted to send gratuitous ARP (CAP_NET_RAW): {hint}"


def _ownAddresses(settings: Settings, key: str) -> Iterator[str]:
    """An address by which this host itself is on its network would be deleted wherever the group is not."""
    try:
        there = addressesNow()
    except OSError:
        return
    for spec in settings.addresses:
        for interface, entry in there:
            network = ip_network((entry.address, entry.prefix), strict=False)
            if (
                (entry.address, entry.prefix) == (spec.address, spec.prefix)
                and network.num_addresses > 1
                and unmarked(entry)
                and entry.valid == FOREVER
                and not entry.address.is_loopback
                and not any(
                    other.address in network
                    for name, other in there
                    if name == interface and other is not entry
                )
            ):
                yield (
                    f"{key} {spec.address}/{spec.prefix}: it is the address of this host itself on {interface}, "
                    "the only one it has in that network; share another one. If it is left from another "
                    f"program: ip address del {entry.address}/{entry.prefix} dev {interface}"
                )


def misplaced(
    settings: Settings,
    links: Iterable[KernelLink],
    routes: Iterable[KernelRoute],
    known: Settings | None = None,
) -> Iterator[str]:
    """
    Why an address could not be acquired here now, a sentence for each of which that is so.

    What is acquired before an address in its group may be what gives it a place, so such addresses are left out.

    @param links: every interface of this host.
    @param routes: all its routes.
    @param known: the addresses of its groups are left out, too.
    """
    before = {group.name: group.resources for group in known.groups} if known else {}
    finder = Finder(links, routes)
    for group in settings.groups:
        for spec in takewhile(lambda spec: isinstance(spec, AddressSpec), group.resources):
            assert isinstance(spec, AddressSpec)
            if spec in before.get(group.name, ()):
                continue
            try:
                finder.find(spec)
            except ResourceError as e:
                yield f"group {group.name}: {e}"


def _programs(group: GroupSettings) -> Iterator[str]:
    for spec in group.resources:
        yield from spec.programs
    for _, commands in group.hooks:
        for argv in commands:
            yield argv[0]
