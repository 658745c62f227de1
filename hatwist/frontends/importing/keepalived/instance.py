"""One C{vrrp_instance}."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NamedTuple, TypeVar

from hatwist.core import parsing
from hatwist.core.linkspec import LinkPeer
from hatwist.frontends.importing import keywords
from hatwist.frontends.importing.draft import Argv, Table
from hatwist.frontends.importing.keepalived import routes
from hatwist.frontends.importing.keepalived.braces import ConfStatement
from hatwist.frontends.importing.keepalived.notifying import NOTIFIES, hooks
from hatwist.frontends.importing.keepalived.tracking import Scripts
from hatwist.frontends.importing.notes import Notes, Place, problemOf
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.settings import words

_Number = TypeVar("_Number", int, float)
TRACKS = ("track_interface", "track_script", "track_process")
_ADDRESSES = ("virtual_ipaddress", "virtual_ipaddress_excluded")
_KEY = (
    "heartbeats are not signed until you make a key of 16 bytes or more on one host, copy it to the others, and name "
    'its file: key_file = "/etc/hatwist/key". This password is no such key, since it travels in clear text'
)
_PARTS = {
    "brd": (False, "broadcast addresses are not set here; nothing that is in use today needs one"),
    "scope": (True, "every address has the scope global"),
    "label": (False, "its label is that of every shared IPv4 address: INTERFACE:ha"),
    "preferred_lft": (True, "the lifetime of an address is the lease here"),
    "no_track": (False, "an address that somebody else deletes is put back within 50 ms"),
    "-nodad": (False, "always so: it may be used at once"),
    "home": (True, "there is no such flag here"),
    "mngtmpaddr": (True, "there is no such flag here"),
    "noprefixroute": (
        True,
        "there is no such flag here; with the prefix length of one address no route is made",
    ),
    "autojoin": (True, "there is no such flag here"),
    "use_vmac": (True, keywords.INSTANCE["use_vmac"].advice),
}
_TAKE_VALUES = ("brd", "scope", "label", "preferred_lft")
_UNADVERTISED = (
    "a group that speaks VRRP has addresses of one interface, and advertises all of them: with this one the others "
    "would see another list of addresses"
)
_READ_TOO = ("version", "virtual_router_id", "authentication", "native_ipv6", "unicast_src_ip")
_FAMILY = (
    "keepalived ignores it, since the first address is of the other family (it would have to stand in "
    "virtual_ipaddress_excluded); if it is to be shared, add it to the resources"
)
_COMMAND = (
    "it is a command here, which only the daemon can undo: where that is killed the guard releases the addresses, "
    "and this stays until it is started again"
)


@dataclass(frozen=True, slots=True)
class Instance:
    """
    @ivar router: the virtual router id; 0 for none.
    @ivar patience: intervals without advertisement that make a master count as gone.
    @ivar preempts: it takes over from a lesser one.
    @ivar peers: of unicast; empty: multicast.
    @ivar six: it advertises by IPv6.
    @ivar version: of VRRP; C{None}: that of all.
    @ivar password: of version 2; empty: none.
    """

    name: str
    place: Place
    router: int = 0
    interface: str = "eth0"
    resources: tuple[Table, ...] = ()
    checks: tuple[Table, ...] = ()
    priority: int = 100
    interval: float = 1.0
    patience: int = 3
    preempts: bool = True
    preemptDelay: float = 0.0
    hooks: dict[str, tuple[Argv, ...]] = field(default_factory=dict)
    peers: tuple[str, ...] = ()
    six: bool = False
    version: int | None = None
    password: str = ""

    @property
    def identity(self) -> str:
        """What it has in common with its like on other hosts."""
        return f"router {self.router}" if self.router else self.name


class Reading(NamedTuple):
    """
    What all instances of a file share while they are read.

    @ivar taken: each address that was carried over, with the instance that has it.
    @ivar keepsVrrp: it is to speak VRRP here, too.
    """

    scripts: Scripts
    notes: Notes
    taken: dict[str, str]
    keepsVrrp: bool = False


def readInstance(statement: ConfStatement, reading: Reading, weighted: bool) -> Instance:
    """
    @param weighted: weights of what is tracked count; they do not in a sync group.
    """
    notes = reading.notes
    says = {each.keyword: each for each in statement.blocks}
    name = " ".join(statement.words[1:]) or "VI"
    number = _Numbers(says, notes)
    interface = _interface(statement, says, notes)
    delay = number.of("preempt_delay", words.DELAYS, 0.0)
    router = number.of("virtual_router_id", _within(1, 255), 0)
    resources: list[Table] = []
    versions: list[int] = []
    for keyword in _ADDRESSES:
        for entry in _entries(statement, keyword):
            spec = _address(entry, interface, name, reading)
            if spec is None:
                continue
            version = spec.address.version
            # The family of the first one is that of the advertisements; those that are excluded from them may differ.
            if keyword == "virtual_ipaddress" and versions[:1] not in ([], [version]):
                notes.lost(entry.place, entry.text, _FAMILY)
                del reading.taken[str(spec.address)]
                continue
            versions.append(version)
            if reading.keepsVrrp and (
                keyword != "virtual_ipaddress" or spec.interface != interface
            ):
                notes.lost(entry.place, entry.text, _UNADVERTISED)
                continue
            resources.append({"address": f"{spec.address}/{spec.prefix}@{spec.interface}"})
    resources += _moving(statement, notes)
    _rest(statement, router, reading)
    return Instance(
        name,
        statement.place,
        router,
        interface,
        tuple(resources),
        tuple(tracked(statement.blocks, reading.scripts, weighted)),
        _priority(number, notes),
        number.of("advert_int", words.INTERVALS, 1.0),
        number.of("down_timer_adverts", _within(1, 100), 3),
        _preempts(says, notes),
        delay,
        hooks(
            (each for each in statement.blocks if each.keyword in NOTIFIES), "INSTANCE", name, notes
        ),
        tuple(_peers(statement, notes)),
        versions[:1] == [6],
        number.of("version", _within(2, 3), 0) or None,
        _password(statement),
    )


def tracked(statements: Iterable[ConfStatement], scripts: Scripts, weighted: bool) -> list[Table]:
    """The checks that are asked for, each once."""
    found: list[Table] = []
    for statement in statements:
        if statement.keyword in TRACKS:
            checks = scripts.checks(statement, weighted)
            found += [check for check in checks if check not in found]
    return found


class _Numbers:
    """Reads statements of one number."""

    def __init__(self, says: dict[str, ConfStatement], notes: Notes) -> None:
        self.says = says
        self._notes = notes

    def of(self, keyword: str, parse: Callable[[Any], _Number], usual: _Number) -> _Number:
        """What a keyword says; what is no such number is told, and C{usual}."""
        statement = self.says.get(keyword)
        if statement is None:
            return usual
        try:
            return parse(statement.words[1])
        except IndexError:
            reason = "it says nothing"
        except ValueError as error:
            reason = str(error)
        self._notes.lost(statement.place, statement.text, f"{reason}; here it is {usual:g}")
        return usual


def _within(least: int, most: int) -> Callable[[Any], int]:
    def parse(value: str) -> int:
        number = parsing.whole(value)
        if number is None or not least <= number <= most:
            raise ValueError(f"allowed are whole numbers from {least} to {most}")
        return number

    return parse


def _interface(statement: ConfStatement, says: dict[str, ConfStatement], notes: Notes) -> str:
    own = says.get("interface")
    if own is None or len(own.words) < 2:
        notes.lost(
            statement.place,
            statement.text,
            "it names no interface: eth0 is written; give the right one",
        )
        return "eth0"
    if problem := problemOf(parsing.interface, own.words[1]):
        notes.lost(own.place, own.text, f"{problem}; eth0 is written")
        return "eth0"
    return own.words[1]


def _priority(number: _Numbers, notes: Notes) -> int:
    found = number.of("priority", _within(1, 255), 100)
    if found == 255:
        statement = number.says["priority"]
        notes.differs(
            statement.place,
            statement.text,
            "254 is the highest here; a host that has an address of its own for good should not share it",
        )
    return min(found, 254)


def _preempts(says: dict[str, ConfStatement], notes: Notes) -> bool:
    never, state = says.get("nopreempt"), says.get("state")
    if never is None:
        return True
    if state is not None and state.words[1:] == ("MASTER",):
        notes.differs(
            never.place,
            never.text,
            "keepalived ignores it where the state is MASTER, so it is left out; preempt = false would make "
            "the addresses stay where they are when this host returns",
        )
        return True
    return False


def _entries(statement: ConfStatement, keyword: str) -> list[ConfStatement]:
    return [each for block in statement.blocks if block.keyword == keyword for each in block.blocks]


def _address(
    entry: ConfStatement, interface: str, owner: str, reading: Reading
) -> AddressSpec | None:
    """One line of C{virtual_ipaddress}; C{None}: it cannot be carried over, which is told."""
    notes = reading.notes
    text, rest = entry.keyword, list(entry.words[1:])
    while rest:
        word = rest.pop(0)
        if word == "dev" and rest:
            interface = rest.pop(0)
        elif word == "peer":
            notes.lost(entry.place, entry.text, "an address with a peer cannot be shared here")
            return None
        elif word in _PARTS:
            lost, advice = _PARTS[word]
            told = f"{entry.keyword} {word}"
            if word in _TAKE_VALUES and rest:
                told += f" {rest.pop(0)}"
            (notes.lost if lost else notes.differs)(entry.place, told, advice)
        else:
            notes.lost(entry.place, entry.text, f"{word!r} is unknown")
    try:
        if "/" not in text:
            text += f"/{ip_address(text).max_prefixlen}"
        spec = AddressSpec.parse(f"{text}@{parsing.interface(interface)}")
    except ValueError as error:
        notes.lost(entry.place, entry.text, str(error))
        return None
    other = reading.taken.get(str(spec.address))
    if other is None:
        reading.taken[str(spec.address)] = owner
        return spec
    tell = notes.differs if other == owner else notes.lost
    tell(entry.place, entry.text, f"the same address is given in {other} already")
    return None


def _moving(statement: ConfStatement, notes: Notes) -> list[Table]:
    """Routes and rules that move with the addresses: after them, since routes may need them."""
    found = []
    for keyword, read in (("virtual_routes", routes.route), ("virtual_rules", routes.rule)):
        for entry in _entries(statement, keyword):
            resource = read(entry.words)
            told = " ".join(entry.words)
            if isinstance(resource, str):
                advice = f"{resource}: write a command that adds it, and one that undoes that"
                notes.lost(entry.place, told, advice)
            else:
                notes.differs(entry.place, told, _COMMAND)
                found.append(resource)
    return found


def _peers(statement: ConfStatement, notes: Notes) -> list[str]:
    """The addresses of the other hosts; those that are none are told."""
    found: list[str] = []
    for entry in _entries(statement, "unicast_peer"):
        if problem := problemOf(LinkPeer.parse, entry.keyword):
            notes.lost(entry.place, entry.text, problem)
        elif entry.keyword not in found:
            found.append(str(ip_address(entry.keyword)))
        if len(entry.words) > 1:
            notes.differs(entry.place, entry.text, "the TTL of heartbeats is not looked at")
    return found


READ = {
    *("interface", "priority", "advert_int", "down_timer_adverts", "preempt_delay", "nopreempt"),
    *("preempt", "virtual_routes", "virtual_rules", "unicast_peer"),
    *_ADDRESSES,
    *TRACKS,
    *NOTIFIES,
}


def _password(statement: ConfStatement) -> str:
    """Of C{auth_type PASS}; keepalived takes eight bytes of it."""
    says = {
        inner.keyword: inner.words[1:]
        for each in statement.blocks
        if each.keyword == "authentication"
        for inner in each.blocks
    }
    found = says.get("auth_pass", ())
    return found[0][:8] if found and says.get("auth_type", ("PASS",))[:1] == ("PASS",) else ""


def _rest(statement: ConfStatement, router: int, reading: Reading) -> None:
    """Tell of every word that was not read."""
    notes = reading.notes
    for each in statement.blocks:
        if reading.keepsVrrp and each.keyword in _READ_TOO:
            continue
        if each.keyword == "authentication":
            for inner in each.blocks or [each]:
                if inner.keyword != "auth_type":
                    notes.lost(inner.place, inner.text, _KEY)
        elif each.keyword == "virtual_router_id" and not router:
            continue
        elif each.keyword not in READ:
            saying = keywords.INSTANCE.get(each.keyword, keywords.UNKNOWN)
            (notes.lost if saying.lost else notes.differs)(each.place, each.text, saying.advice)
