"""Heartbeat, version 1: ha.cf says who the nodes are and how they talk, haresources what they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from hatwist.core import parsing
from hatwist.core.linkspec import Kind, LinkPeer, LinkSpec
from hatwist.core.parsing import Seconds
from hatwist.frontends.importing.draft import Draft, DraftGroup
from hatwist.frontends.importing.heartbeat.directives import READ, SAID
from hatwist.frontends.importing.heartbeat.haresources import Preference, preferences
from hatwist.frontends.importing.keywords import UNKNOWN
from hatwist.frontends.importing.naming import fresh
from hatwist.frontends.importing.notes import Notes, Place, problemOf
from hatwist.frontends.importing.patience import tolerance
from hatwist.settings import words

_PREFERRED = 200
_OTHER = 100
_KEY = (
    "its key is not printed: make a new one on one host, of 16 bytes or more, copy it to the others, and name its "
    'file: key_file = "/etc/hatwist/key". Until then heartbeats are not signed'
)
_TRUE = ("true", "on", "yes", "y", "1", "legacy")
_FALSE = ("false", "off", "no", "n", "0")


class Files(NamedTuple):
    """The files of one host; each as its path and text, C{None} where it was not given."""

    main: tuple[str, str] | None = None
    resources: tuple[str, str] | None = None
    keys: tuple[str, str] | None = None


class Directive(NamedTuple):
    words: tuple[str, ...]
    place: Place

    @property
    def text(self) -> str:
        return " ".join(self.words)


def nodes(files: Files, notes: Notes) -> dict[str, str]:
    """What the nodes are called in the files, and here: without domain where that is unique."""
    found = dict.fromkeys(
        name for each in _directives(files) if each.words[0] == "node" for name in each.words[1:]
    )
    if files.resources is not None:
        path, text = files.resources
        found.update(dict.fromkeys(each.node for each in preferences(text, path, Notes())))
    short = [name.partition(".")[0] for name in found]
    unique = len(set(short)) == len(short)
    names: dict[str, str] = {}
    for name in found:
        names[name] = fresh(name.partition(".")[0] if unique else name, names.values())
        if names[name] != name:
            advice = f"it is called {names[name]}, as its host calls itself; where that is wrong, say --node"
            notes.differs(Place(_main(files)), f"node {name}", advice)
    return names


def _main(files: Files) -> str:
    return next(each[0] for each in (files.main, files.resources, files.keys) if each)


def _directives(files: Files) -> Iterator[Directive]:
    path, text = files.main or ("", "")
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.partition("#")[0].split()
        if line:
            yield Directive((line[0].lower(), *line[1:]), Place(path, number))


def draft(files: Files, host: str, names: Mapping[str, str], notes: Notes) -> Draft:
    """
    What the files say for one host.

    @param host: its name in the files; one that is not there is nobody's preferred one.
    """
    said = list(_directives(files))
    if files.keys is not None:
        notes.lost(Place(files.keys[0]), "auth ...", _KEY)
    elif files.main is not None:
        notes.lost(Place(files.main[0]), "authkeys", _KEY)
    if files.resources is None:
        notes.lost(Place(_main(files)), "haresources", "give it too: it says what is shared")
    lines = preferences(files.resources[1], files.resources[0], notes) if files.resources else []
    values = _values(said, lines, notes)
    groups = _groups(lines, host, names, _preempts(said, notes), notes)
    for directive in said:
        _tell(directive, said, notes)
    return Draft(values, tuple(groups)) if groups else Draft()


def _tell(directive: Directive, said: Sequence[Directive], notes: Notes) -> None:
    word = directive.words[0]
    if word == "respawn":
        if any(each.endswith("/ipfail") for each in directive.words):
            advice = "not needed: a node that does not reach the witness releases by itself"
            notes.differs(directive.place, directive.text, advice)
        else:
            advice = "let systemd run it, with Restart=always"
            notes.lost(directive.place, directive.text, advice)
    elif word == "crm" and directive.words[1:] and directive.words[1].lower() in _FALSE:
        return
    elif word in SAID or word not in READ:
        saying = SAID.get(word, UNKNOWN)
        shown = directive.words[:2] if word == "stonith_host" else directive.words
        told = " ".join(shown) + (" ..." if shown != directive.words else "")
        (notes.lost if saying.lost else notes.differs)(directive.place, told, saying.advice)


def _groups(
    lines: Sequence[Preference],
    host: str,
    names: Mapping[str, str],
    preempt: bool,
    notes: Notes,
) -> list[DraftGroup]:
    found: list[DraftGroup] = []
    taken: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name = fresh(names.get(line.node, line.node), [group.name for group in found])
        resources = []
        for resource in line.resources:
            # hatwist takes one of each address and unit, whatever else is with it
            key = str(resource.get("address", resource.get("unit", ""))).partition("/")[0]
            if key and taken.setdefault(key, name) != name:
                notes.lost(line.place, key, f"it is in the group {taken[key]} already")
            else:
                resources.append(resource)
        if not resources:
            notes.lost(line.place, line.node, "nothing of it could be carried over")
            continue
        priority = _PREFERRED if line.node == host else _OTHER
        found.append(DraftGroup(name, f"line {number}", tuple(resources), (), priority, preempt))
    return found


def _preempts(said: Sequence[Directive], notes: Notes) -> bool:
    found = True
    for directive in said:
        word, value = directive.words[0], "".join(directive.words[1:2]).lower()
        if word not in ("auto_failback", "nice_failback"):
            continue
        if value not in _TRUE + _FALSE:
            notes.lost(
                directive.place, directive.text, "allowed are on, off and legacy; on is taken"
            )
            continue
        # nice_failback on: be nice, and do not fail back.
        found = (value in _TRUE) is (word == "auto_failback")
    return found


def _values(said: Sequence[Directive], lines: Sequence[Preference], notes: Notes) -> dict[str, Any]:
    one = {directive.words[0]: directive for directive in said}
    found: dict[str, Any] = {"cluster": "heartbeat"}
    if (cluster := one.get("cluster")) is not None and len(cluster.words) > 1:
        found["cluster"] = fresh(cluster.words[1])
    interval = _seconds(one.get("keepalive"), words.INTERVALS, notes)
    if interval is not None:
        found["interval"] = interval
    dead = _seconds(one.get("deadtime"), Seconds(0.001, 86400), notes)
    if dead is not None:
        found["tolerance"] = tolerance(dead, interval or 1.0, one["deadtime"].place, notes)
    links = _Links(notes)
    for directive in said:
        links.add(directive)
    specs = links.specs()
    interface = next((line.interface for line in lines if line.interface), None)
    interface = interface or next((spec.interface for spec in specs), None)
    if interface is None:
        place = lines[0].place if lines else Place("")
        notes.lost(place, "interface", "no file names an interface: eth0 is written")
    found["interface"] = interface or "eth0"
    if specs and specs != [LinkSpec(found["interface"])]:
        found["links"] = [
            spec.interface if spec.kind is Kind.MULTICAST else str(spec) for spec in specs
        ]
    if links.multicast:
        found["multicast"] = links.multicast
    shared = [
        str(each.get("address", "")).partition("/")[0] for line in lines for each in line.resources
    ]
    _witness(said, shared, found, notes)
    return found


def _seconds(directive: Directive | None, parse: Any, notes: Notes) -> float | None:
    """C{2}, C{1500ms} or C{2s}"""
    if directive is None:
        return None
    text = "".join(directive.words[1:]).lower()
    try:
        if text.endswith("ms"):
            return float(parse(parsing.number(text[:-2]) / 1000))
        return float(parse(text.removesuffix("sec").removesuffix("s")))
    except ValueError as error:
        reason = str(error)
    notes.lost(directive.place, directive.text, f"{reason}; that of hatwist is used")
    return None


class _Links:
    """Collects the ways of the heartbeats."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._kinds: dict[str, Kind] = {}
        self._peers: dict[str, dict[str, None]] = {}
        self.multicast = ""

    def add(self, directive: Directive) -> None:
        """Take what a directive says, if it is about links."""
        word, *rest = directive.words
        if word == "bcast":
            for interface in rest:
                self._add(directive, interface, Kind.BROADCAST)
        elif word == "mcast" and rest:
            if self._add(directive, rest[0], Kind.MULTICAST) and len(rest) > 1:
                self._multicast(directive, rest[1:])
        elif word == "ucast" and len(rest) == 2:
            if problem := problemOf(LinkPeer.parse, rest[1]):
                self._notes.lost(directive.place, directive.text, problem)
            elif self._add(directive, rest[0], Kind.UNICAST):
                self._peers.setdefault(rest[0], {})[str(LinkPeer.parse(rest[1]).address)] = None
                advice = "a peer that is the host itself does no harm"
                self._notes.differs(directive.place, directive.text, advice)
        elif word in ("mcast", "ucast"):
            self._notes.lost(directive.place, directive.text, "it is not complete")

    def _add(self, directive: Directive, interface: str, kind: Kind) -> bool:
        if problem := problemOf(LinkSpec.parse, interface):
            self._notes.lost(directive.place, directive.text, problem)
            return False
        other = self._kinds.setdefault(interface, kind)
        if other is not kind:
            advice = f"one kind of link is enough for each interface: {other.value} is used"
            self._notes.differs(directive.place, directive.text, advice)
        return other is kind

    def _multicast(self, directive: Directive, rest: Sequence[str]) -> None:
        port = rest[1] if len(rest) > 1 else "694"
        group = (
            f"{rest[0]}:{port if port.isascii() and port.isdigit() and int(port) > 1023 else 5555}"
        )
        if problem := problemOf(words.multicast, group):
            self._notes.lost(directive.place, directive.text, problem)
        elif self.multicast not in ("", group):
            advice = f"there is one group and port for all links: {self.multicast}"
            self._notes.differs(directive.place, directive.text, advice)
        else:
            self.multicast = group
        if not group.endswith(f":{port}"):
            advice = "a port below 1024 needs root: 5555 is used; let it through the firewall"
            self._notes.differs(directive.place, directive.text, advice)

    def specs(self) -> list[LinkSpec]:
        """The links, in the order of the file."""
        return [
            LinkSpec(interface, kind, tuple(map(LinkPeer.parse, self._peers.get(interface, ()))))
            for interface, kind in self._kinds.items()
        ]


def _witness(
    said: Sequence[Directive], shared: Sequence[str], found: dict[str, Any], notes: Notes
) -> None:
    """C{ping} and C{ping_group} name hosts that tell a node whether it is cut off."""
    for directive in said:
        word, *rest = directive.words
        if word not in ("ping", "ping_group"):
            continue
        for address in rest[1:] if word == "ping_group" else rest:
            if problem := problemOf(words.witness, address):
                notes.lost(directive.place, directive.text, problem)
            elif str(ip_address(address)) in shared:
                advice = "it is a shared address, which would answer for itself"
                notes.lost(directive.place, directive.text, advice)
            elif "witness" in found:
                if found["witness"] != address:
                    advice = f"there is one witness: {found['witness']}; check others with {{ping = ...}}"
                    notes.lost(directive.place, f"{word} {address}", advice)
            else:
                # ipfail moves nothing when no node reaches it.
                found["witness"], found["witness_lost"] = address, "keep"
                notes.differs(
                    directive.place,
                    directive.text,
                    "the witness: a node that does not reach it releases, with or without ipfail",
                )
