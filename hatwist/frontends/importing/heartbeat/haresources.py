"""The lines of Heartbeat's haresources: a node, and what it prefers to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from hatwist.frontends.importing.draft import Table
from hatwist.frontends.importing.heartbeat.directives import AGENTS
from hatwist.frontends.importing.notes import Notes, Place, problemOf
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.unit import unitName

_TIMEOUT = 60
"""Seconds; Heartbeat waits without end."""
_SCRIPT = (
    "its exit status is believed: 0 for started, and for stopped; Heartbeat's own scripts must stay installed, others "
    "are better a unit"
)


class Preference(NamedTuple):
    """
    One line.

    @ivar interface: where an address of it goes, if it says so.
    """

    node: str
    resources: tuple[Table, ...]
    place: Place
    interface: str | None


def preferences(text: str, file: str, notes: Notes) -> list[Preference]:
    """All lines of a file."""
    found = []
    for parts, place in _lines(text, file):
        resources: list[Table] = []
        for part in parts[1:]:
            resource = _resource(part, place, notes)
            if resource in resources:
                notes.differs(place, part, "it is there twice")
            elif resource is not None:
                resources.append(resource)
        if len(parts) == 1:
            notes.lost(place, parts[0], "it has no resources")
            continue
        at = [str(each["address"]).partition("@")[2] for each in resources if "address" in each]
        interface = next(filter(None, at), None)
        found.append(Preference(parts[0], tuple(resources), place, interface))
    return found


def _lines(text: str, file: str) -> Iterator[tuple[list[str], Place]]:
    """Words of each line; a backslash at its end continues it."""
    begun: list[str] = []
    place = Place(file)
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.partition("#")[0].strip()
        if not begun:
            place = Place(file, number)
        begun += line.removesuffix("\\").split()
        if not line.endswith("\\") and begun:
            yield begun, place
            begun = []
    if begun:
        yield begun, place


def _resource(text: str, place: Place, notes: Notes) -> Table | None:
    """What a resource becomes; C{None}: nothing, which is told."""
    name, colons, rest = text.partition("::")
    if name in ("IPaddr", "IPaddr2", "IPv6addr"):
        return _address(rest, text, place, notes)
    if not colons and _isAddress(text.partition("/")[0]):
        return _address(text, text, place, notes)
    arguments = rest.split("::") if colons else []
    if name in _KNOWN:
        read = _KNOWN[name](arguments)
        if isinstance(read, str):
            notes.lost(place, text, read)
            return None
        table, advice = read
        notes.differs(place, text, advice)
        return {**table, "timeout": _TIMEOUT}
    if name in _NOT_NEEDED:
        notes.differs(place, text, _NOT_NEEDED[name])
        return None
    if not arguments and name not in AGENTS and "/" not in name:
        if problem := problemOf(unitName, name):
            notes.lost(place, text, problem)
            return None
        advice = (
            "the systemd unit of that name: systemd must not start it by itself (systemctl disable), since it "
            "runs where the group is"
        )
        notes.differs(place, text, advice)
        return {"unit": unitName(name), "timeout": _TIMEOUT}
    notes.differs(place, text, _SCRIPT)
    script = name if "/" in name else f"{_where(name)}/{name}"
    command = [script, *arguments]
    return {"command": [*command, "start"], "undo": [*command, "stop"], "timeout": _TIMEOUT}


def _where(name: str) -> str:
    return "/etc/ha.d/resource.d" if name in AGENTS else "/etc/init.d"


def _isAddress(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _address(text: str, told: str, place: Place, notes: Notes) -> Table | None:
    """C{ADDRESS[/MASK[/INTERFACE]][/BROADCAST]}"""
    address, *parts = text.split("::")[0].split("/") if text.count(":") < 3 else text.split("/")
    prefix = interface = ""
    if parts and (parts[0].isdigit() or _isAddress(parts[0])):
        prefix = parts.pop(0)
    else:
        advice = "no prefix length is given, so it has that of one address, as keepalived and others do it"
        notes.differs(place, told, advice)
    if parts and parts[0] and not _isAddress(parts[0]):
        interface = parts.pop(0).partition(":")[0]
    if any(parts):
        advice = "broadcast addresses are not set here; nothing that is in use today needs one"
        notes.differs(place, told, advice)
    try:
        if not prefix:
            prefix = str(ip_address(address).max_prefixlen)
        elif "." in prefix:
            prefix = str(_ones(prefix))
        spec = AddressSpec.parse(f"{address}/{prefix}" + (f"@{interface}" if interface else ""))
    except ValueError as error:
        notes.lost(place, told, str(error))
        return None
    at = f"@{spec.interface}" if spec.interface else ""
    return {"address": f"{spec.address}/{spec.prefix}{at}"}


def _ones(mask: str) -> int:
    bits = f"{int(ip_address(mask)):b}"
    if "01" in bits or len(bits) != 32:
        raise ValueError(f"{mask} is no netmask")
    return bits.count("1")


_Read = tuple[dict[str, Any], str] | str
_USAGE = "its arguments are not those that Heartbeat's script takes"


_MOUNT = (
    "mount and umount are run directly: without fsck, and without killing what uses the file system, so that the "
    "release fails while something does"
)


def _drbd(arguments: Sequence[str]) -> _Read:
    if len(arguments) != 1 or not arguments[0]:
        return _USAGE
    primary, secondary = (["drbdadm", role, arguments[0]] for role in ("primary", "secondary"))
    return (
        {"command": primary, "undo": secondary},
        "drbdadm is run directly. A peer that is still primary refuses, and then the group is not taken",
    )


def _filesystem(arguments: Sequence[str]) -> _Read:
    if not 2 <= len(arguments) <= 4 or not all(arguments):
        return _USAGE
    device, directory, *more = arguments
    options = ["-t", more[0]] if more else []
    options += ["-o", more[1]] if len(more) > 1 else []
    return (
        {
            "command": ["mount", *options, device, directory],
            "undo": ["umount", directory],
            "check": ["mountpoint", "-q", directory],
        },
        _MOUNT,
    )


def _lvm(arguments: Sequence[str]) -> _Read:
    if len(arguments) != 1 or not arguments[0]:
        return _USAGE
    on, off = (["vgchange", "--activate", to, arguments[0]] for to in ("y", "n"))
    return {"command": on, "undo": off}, "vgchange is run directly"


def _mail(arguments: Sequence[str]) -> _Read:
    return (
        'no mails are sent here: let the group\'s "on" run what sends one, or alert on the metrics'
    )


def _source(arguments: Sequence[str]) -> _Read:
    return (
        "write a command that sets the source address of the routes, such as ip route replace ... src ADDRESS, and one "
        "that undoes that"
    )


def _ipvs(arguments: Sequence[str]) -> _Read:
    return "IPVS is not done here: keep ldirectord as a unit of its own"


_KNOWN: dict[str, Callable[[Sequence[str]], _Read]] = {
    "drbddisk": _drbd,
    "Filesystem": _filesystem,
    "IPsrcaddr": _source,
    "LVM": _lvm,
    "LVSSyncDaemonSwap": _ipvs,
    "ldirectord": _ipvs,
    "MailTo": _mail,
    "WinPopup": _mail,
    "AudibleAlarm": _mail,
}
_NOT_NEEDED = {
    "SendArp": "not needed: a new holder announces its addresses by itself",
    "Delay": "not needed: each resource is waited for before the next one",
}
