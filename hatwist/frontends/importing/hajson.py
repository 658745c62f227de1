"""
ha.json, the configuration of a small Node.js program from which hatwist descends.

The program reads C{ethernetDevice}, where it multicasts, and C{sharedEthernetDevice}, which it gives to ifup and
ifdown. Other values are constants in its source, in milliseconds; where somebody has made keys of them they are
understood by the same names, such as C{multicastInterval}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_interface
from typing import Any

from hatwist.core import parsing
from hatwist.core.parsing import Seconds
from hatwist.frontends.importing.draft import Draft, DraftGroup
from hatwist.frontends.importing.naming import fresh
from hatwist.frontends.importing.notes import MigrationError, Notes, Place, problemOf
from hatwist.frontends.importing.patience import tolerance
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.alias import aliasName
from hatwist.resources.spec import LIMITS
from hatwist.settings import words

_NAMES = {
    "interface": ("ethernetdevice", "interface", "iface", "device"),
    "alias": ("sharedethernetdevice", "alias", "sharedinterface", "shareddevice"),
    "address": ("address", "ip", "sharedaddress", "sharedip", "vip"),
    "prefix": ("prefix", "netmask", "prefixlength"),
    "interval": ("multicastinterval", "interval"),
    "tolerance": ("tolerance",),
    "timeout": ("childtimeout", "timeout"),
    "group": ("multicastaddress",),
    "port": ("multicastport", "port"),
    "priority": ("priority", "worthiness"),
    "ipversion": ("ipversion",),
    "multicast": ("multicast",),
    "multicastinterface": ("multicastinterface",),
}
_MEANING = {name: key for key, names in _NAMES.items() for name in names}
_SECRET = re.compile("pass|secret|token|key", re.IGNORECASE)
_ALIAS = (
    "ifup and ifdown go on bringing it up and down. Only the daemon can do that: for an address that the guard and the "
    'kernel can release too, write {address = "ADDRESS/PREFIX"} instead, and take the alias out of '
    "/etc/network/interfaces"
)


def draft(text: str, file: str, notes: Notes) -> Draft:
    """
    What one host's file says.

    @raise MigrationError: it is no JSON, or neither an object nor a list of objects.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise MigrationError(Place(file, error.lineno), f"is no JSON: {error.msg}") from None
    except RecursionError:
        raise MigrationError(Place(file), "is nested too deeply") from None
    objects = found if isinstance(found, list) else [found]
    if not objects or not all(isinstance(each, dict) for each in objects):
        raise MigrationError(Place(file), "is neither a JSON object nor a list of such")
    groups: list[DraftGroup] = []
    values: dict[str, Any] = {}
    for number, each in enumerate(objects, 1):
        reader = _Reader(each, Place(file), text, notes)
        own = reader.values()
        for key, value in own.items():
            if values.setdefault(key, value) != value:
                notes.lost(Place(file), f"{key} of object {number}", f"there is one: {values[key]}")
        resource = reader.resource()
        if resource is not None and any(resource in group.resources for group in groups):
            notes.lost(Place(file), f"object {number}", "it shares what another one shares")
        elif resource is not None:
            name = fresh("ha", [group.name for group in groups])
            groups.append(DraftGroup(name, f"object {number}", (resource,), (), reader.priority()))
        reader.end()
    if not groups:
        return Draft()
    return Draft({"cluster": "ha", **values}, tuple(groups))


class _Reader:
    """One object."""

    def __init__(self, of: Mapping[str, Any], place: Place, text: str, notes: Notes) -> None:
        self._place = place
        self._text = text
        self._notes = notes
        self._keys: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._strange: dict[str, Any] = {}
        for key, value in of.items():
            meaning = _MEANING.get(re.sub(r"[^a-z]", "", key.lower()))
            if meaning is None:
                self._strange[key] = value
            elif meaning in self._keys:
                self._tell(key, value, f"it is said by {self._keys[meaning]} already")
            else:
                self._keys[meaning] = key
                self._values[meaning] = value

    def _tell(self, key: str, value: object, advice: str, lost: bool = True) -> None:
        at = self._text.find(json.dumps(key))
        line = self._text.count("\n", 0, at) + 1 if at >= 0 else 0
        told = f"{key}: {'...' if _SECRET.search(key) else json.dumps(value)[:100]}"
        place = self._place._replace(line=line)
        (self._notes.lost if lost else self._notes.differs)(place, told, advice)

    def _take(self, meaning: str, parse: Callable[[Any], Any], usual: Any) -> Any:
        if meaning not in self._values:
            return usual
        value = self._values[meaning]
        try:
            return parse(value)
        except (ValueError, OverflowError) as error:
            self._tell(self._keys[meaning], value, str(error))
            return usual

    def values(self) -> dict[str, Any]:
        """What stands above all groups."""
        found: dict[str, Any] = {}
        interval = self._take("interval", lambda value: _ms(value, words.INTERVALS), None)
        if interval is not None:
            found["interval"] = interval
        wait = self._take("tolerance", lambda value: _ms(value, Seconds(0.001, 86400)), None)
        if wait is not None:
            found["tolerance"] = tolerance(wait, interval or 1.0, self._place, self._notes)
        interface = self._take("interface", parsing.interface, None)
        if interface is None:
            advice = "it is eth0 in the program; write the interface of the heartbeats if it is another one"
            self._notes.differs(self._place, "no ethernetDevice", advice)
        found["interface"] = interface or "eth0"
        multicast = self._multicast()
        if multicast is not None:
            found["multicast"] = multicast
        if interval is None or wait is None:
            advice = (
                "not said in the file: 1 s between heartbeats, and 3.5 s of silence before a host counts as gone, "
                "unless the constants in the program were changed"
            )
            self._notes.differs(self._place, "interval and tolerance", advice)
        return found

    def _multicast(self) -> str | None:
        if "multicast" in self._values:
            return self._take("multicast", _group, None)  # type: ignore[no-any-return]
        if "group" not in self._values and "port" not in self._values:
            return None
        group = str(self._values.get("group", "239.2.3.4"))
        port = self._values.get("port", 5555)
        if problem := problemOf(_group, f"{group}:{port}"):
            key = self._keys.get("group") or self._keys["port"]
            self._tell(key, f"{group}:{port}", problem)
            return None
        return f"{group}:{port}"

    def resource(self) -> dict[str, Any] | None:
        """What is shared; C{None}: nothing that could be carried over."""
        prefix = self._values.get("prefix")
        address = self._take("address", lambda value: _address(value, prefix), None)
        alias = self._take("alias", aliasName, None)
        timeout = self._take("timeout", lambda value: _ms(value, LIMITS), None)
        if address is not None:
            if alias is not None:
                advice = (
                    "the address is set without ifup: take the alias out of /etc/network/interfaces"
                )
                self._tell(self._keys["alias"], alias, advice, lost=False)
            return {"address": address}
        if alias is None:
            advice = "it says nothing that is shared, such as sharedEthernetDevice"
            self._notes.lost(self._place, "the object", advice)
            return None
        self._tell(self._keys["alias"], alias, _ALIAS, lost=False)
        return {"alias": alias, "timeout": timeout} if timeout is not None else {"alias": alias}

    def priority(self) -> int | None:
        """Of this host; the program has none: its lowest address wins, here too where priorities are equal."""
        return self._take("priority", words.priority, None)  # type: ignore[no-any-return]

    def end(self) -> None:
        """Tell of every key that was not understood."""
        for key, value in self._strange.items():
            self._tell(key, value, "it is no key that is known")
        for meaning in ("ipversion", "multicastinterface"):
            if meaning in self._values and self._values[meaning] not in ("IPv4", None):
                advice = "heartbeats go where links says, such as eth0 or eth0,multicast6"
                self._tell(self._keys[meaning], self._values[meaning], advice)


def _ms(value: object, parse: Callable[[Any], float]) -> float:
    """Milliseconds, as JavaScript counts."""
    try:
        return parse(parsing.number(value) / 1000)
    except ValueError as error:
        raise ValueError(f"it is milliseconds: {error}") from None


def _group(value: object) -> str:
    words.multicast(value)
    return str(value)


def _address(value: object, prefix: object) -> str:
    text = str(value)
    if "/" not in text:
        if prefix is None:
            raise ValueError("the prefix length is missing: write the address as 192.168.1.100/24")
        text = f"{text}/{prefix}"
        if "." in str(prefix):
            text = ip_interface(text).with_prefixlen
    spec = AddressSpec.parse(text)
    at = f"@{spec.interface}" if spec.interface else ""
    return f"{spec.address}/{spec.prefix}{at}"
