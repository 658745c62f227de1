"""Routes and rules that move with an address, as commands."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hatwist.frontends.importing.draft import Table

_ROUTE = {
    *(
        "dev",
        "table",
        "scope",
        "metric",
        "mtu",
        "advmss",
        "initcwnd",
        "initrwnd",
        "proto",
        "protocol",
    ),
}
_KINDS = ("blackhole", "unreachable", "prohibit", "throw", "unicast", "local", "broadcast")
_RULE = {"table", "lookup", "iif", "oif", "fwmark", "tos", "dsfield"}
_FLAGS = ("onlink",)


def route(words: tuple[str, ...]) -> Table | str:
    """
    A resource that adds and deletes what an entry of C{virtual_routes} says, or why there is none.

    keepalived's grammar is that of C{ip route add}, and older words of its own: C{src A B}, C{gw}.
    """
    rest = list(words)
    source: list[str] = []
    kind: list[str] = []
    if len(rest) > 2 and rest[0] == "src":
        source, rest = rest[:2], rest[2:]
    if rest and rest[0] in _KINDS:
        kind, rest = rest[:1], rest[1:]
    if rest and rest[0] == "to":
        rest = rest[1:]
    if not rest or (problem := _network(rest[0])):
        return problem if rest else "it has no destination"
    to, rest = rest[0], rest[1:]
    options: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in _FLAGS:
            options.append(word)
        elif word in ("no_track", "track"):
            continue
        elif not rest:
            return f"{word!r} is unknown"
        elif word in ("via", "gw", "src"):
            family = [rest.pop(0)] if rest[0] in ("inet", "inet6") and len(rest) > 1 else []
            if problem := _address(rest[0]):
                return problem
            if word == "src":
                source = [word, rest.pop(0)]
            else:
                options += ["via", *family, rest.pop(0)]
        elif word in _ROUTE:
            options += [word, rest.pop(0)]
        else:
            return f"{word!r} is unknown"
    ip = ["ip", "-6"] if ":" in to else ["ip"]
    what = [*kind, to, *options, *source]
    return {"command": [*ip, "route", "replace", *what], "undo": [*ip, "route", "del", *what]}


def rule(words: tuple[str, ...]) -> Table | str:
    """A resource that adds and deletes what an entry of C{virtual_rules} says, or why there is none."""
    options: list[str] = []
    six = False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "no_track":
            continue
        if word == "inet6":
            six = True
        elif not rest:
            return f"{word!r} is unknown"
        elif word in ("from", "to"):
            if rest[0] != "all" and (problem := _network(rest[0])):
                return problem
            six = six or ":" in rest[0]
            options += [word, rest.pop(0)]
        elif word in ("preference", "priority", "pref", "order"):
            options += ["preference", rest.pop(0)]
        elif word in _RULE:
            options += [word, rest.pop(0)]
        else:
            return f"{word!r} is unknown"
    if not options:
        return "it says nothing"
    ip = ["ip", "-6"] if six else ["ip"]
    return {"command": [*ip, "rule", "add", *options], "undo": [*ip, "rule", "del", *options]}


def _network(text: str) -> str:
    try:
        ip_network("0.0.0.0/0" if text == "default" else text, strict=False)
    except ValueError:
        return f"{text!r} is no network"
    return ""


def _address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        return f"{text!r} is no address"
    return ""
