"""One draft of the files that were given, whatever program they are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hatwist.frontends.importing import hajson
from hatwist.frontends.importing.draft import Draft
from hatwist.frontends.importing.heartbeat import linuxha
from hatwist.frontends.importing.keepalived import braces, keepalived
from hatwist.frontends.importing.kinds import heartbeatFile, kindOf
from hatwist.frontends.importing.merging import merge
from hatwist.frontends.importing.notes import MigrationError, Notes, Opener, Place
from hatwist.frontends.importing.ucarp import stanzas, ucarp

_WHAT = {
    "keepalived": "keepalived",
    "heartbeat": "Heartbeat",
    "ucarp": "ucarp",
    "ha.json": "ha.js",
}


class Source(NamedTuple):
    """
    A file that was given.

    @ivar host: whose it is; empty: that was not said.
    """

    host: str
    path: str
    text: str


def read(
    sources: Sequence[Source],
    kind: str | None,
    hosts: Sequence[str],
    notes: Notes,
    opener: Opener,
    keepsVrrp: bool = False,
) -> tuple[Draft, str]:
    """
    Make a draft of files that are all for one program.

    @param kind: one of L{hatwist.frontends.importing.KINDS}; C{None}: it shows in what they say.
    @param hosts: names of hosts that share one file.
    @param keepsVrrp: what speaks VRRP there is to speak it here.
    @return: the draft, which has no groups where nothing was about shared addresses, and what the files are for.
    @raise MigrationError: what they are cannot be told, or one of them cannot be read.
    """
    found = {source.path: kind or kindOf(source.text) for source in sources}
    for path, each in found.items():
        if each is None:
            raise MigrationError(
                Place(path), f"is for none of {', '.join(_WHAT.values())}; say --from KIND"
            )
    if len(set(found.values())) > 1:
        said = ", ".join(f"{path} ({_WHAT[each or '']})" for path, each in found.items())
        raise MigrationError(Place(said), "one import is of one program")
    which = str(next(iter(found.values())))
    if keepsVrrp and which != "keepalived":
        raise MigrationError(Place("--keep-vrrp"), f"goes with keepalived, not with {_WHAT[which]}")
    if which == "heartbeat":
        drafts = _heartbeat(sources, hosts, notes)
    else:
        _oneEach(sources, _WHAT[which])
        if hosts and len(sources) == 1 and not sources[0].host:
            sources = [sources[0]._replace(host=host) for host in hosts]
        drafts = []
        for source in sources:
            drafts += _one(which, source, notes, opener, keepsVrrp)
    return merge(drafts, notes), _WHAT[which]


def _oneEach(sources: Sequence[Source], program: str) -> None:
    """
    @raise MigrationError: a host has two files, of which one would be dropped.
    """
    seen: dict[str, str] = {}
    for source in sources:
        if source.host in seen:
            whose = f"of {source.host}" if source.host else "of a host without a name"
            raise MigrationError(
                Place(source.path),
                f"is the second file {whose}, after {seen[source.host]}: {program} has one on each host, "
                "given as HOST=FILE",
            )
        seen[source.host] = source.path


def _one(
    kind: str, source: Source, notes: Notes, opener: Opener, keepsVrrp: bool
) -> list[tuple[str, Draft]]:
    if kind == "keepalived":
        return _keepalived(source, notes, opener, keepsVrrp)
    if kind == "ha.json":
        return [(source.host, hajson.draft(source.text, source.path, notes))]
    found = list(stanzas.parse(source.text, source.path, notes, opener))
    if not found:
        raise MigrationError(Place(source.path), "there is no iface stanza in it")
    return [(source.host, ucarp.draft(found, notes))]


def _keepalived(
    source: Source, notes: Notes, opener: Opener, keepsVrrp: bool
) -> list[tuple[str, Draft]]:
    """C{@host} lines make one file that of several hosts, unless it was said whose it is."""
    own = source.host.partition(".")[0] or None
    silent = Notes()
    _, named = braces.parse(source.text, source.path, own, silent, opener)
    if own is not None or not named:
        statements, _ = braces.parse(source.text, source.path, own, notes, opener)
        if own is not None and named and own not in named:
            advice = "no such line is for this host: name it as the lines do, or change them"
            notes.differs(Place(source.path), f"{own}: @{' @'.join(named)}", advice)
        return [(source.host, keepalived.draft(statements, notes, keepsVrrp))]
    drafts = []
    for host in named:
        statements, _ = braces.parse(source.text, source.path, host, notes, opener)
        drafts.append((host, keepalived.draft(statements, notes, keepsVrrp)))
    return drafts


def _heartbeat(
    sources: Sequence[Source], hosts: Sequence[str], notes: Notes
) -> list[tuple[str, Draft]]:
    """A file of no host is that of every host."""
    of: dict[str, dict[str, tuple[str, str]]] = {}
    for source in sources:
        what = heartbeatFile(source.text) or source.path.rpartition("/")[2]
        field = {"ha.cf": "main", "haresources": "resources", "authkeys": "keys"}.get(what)
        if field is None:
            raise MigrationError(Place(source.path), "is neither ha.cf nor haresources")
        if field in of.setdefault(source.host, {}):
            raise MigrationError(Place(source.path), f"is the second {what} of one host")
        of[source.host][field] = (source.path, source.text)
    common = of.pop("", {})
    files = {host: linuxha.Files(**{**common, **own}) for host, own in of.items()}
    every = linuxha.Files(**common) if common else next(iter(files.values()))
    names = linuxha.nodes(every, notes)
    for host in files or hosts:
        names.setdefault(host, host)
    return [
        (here, linuxha.draft(files.get(here, files.get(name, every)), name, names, notes))
        for name, here in names.items()
    ]
