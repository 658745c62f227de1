"""Configuration files that cannot be run, each with what is said of it: the line, the key, what is allowed."""

from __future__ import annotations

from typing import NamedTuple

GOOD = """\
cluster = "web"
interface = "lo"
interval = 0.1

[node.alpha]
priority = 200
[node.beta]

[group.web]
resources = [{address = "10.99.0.100/24"}]
"""


class Broken(NamedTuple):
    """
    @ivar said: words of the one message, after the file's name; it begins with the line.
    """

    name: str
    text: str
    said: str


def _changed(name: str, old: str, new: str, said: str) -> Broken:
    assert old in GOOD, (name, old)
    return Broken(name, GOOD.replace(old, new), said)


def _top(name: str, line: str, said: str) -> Broken:
    return Broken(name, f"{line}\n{GOOD}", said)


def _group(name: str, line: str, said: str) -> Broken:
    return Broken(name, f"{GOOD}{line}\n", said)


def _resource(name: str, resource: str, said: str) -> Broken:
    return _changed(name, '{address = "10.99.0.100/24"}', resource, said)


ADDRESS = '{address = "10.99.0.100/24"}'
BROKEN = (
    Broken("not TOML", GOOD + "priority 100\n", ": is not TOML: "),
    _changed("unclosed bracket", '24"}]', '24"}', ": is not TOML: "),
    Broken("key twice", GOOD + "resources = []\n", ": is not TOML: "),
    Broken("empty", "", ": interface is missing"),
    Broken("byte order mark", "\ufeff" + GOOD, ": begins with a byte order mark"),
    Broken("a byte of another encoding", GOOD + "# caf\udce9\n", ": is not UTF-8 text"),
    _changed("no interface", 'interface = "lo"\n', "", ": interface is missing: the network"),
    _changed("interface is a number", '"lo"', "0", ":2: interface = 0: allowed is the name"),
    _changed("interface with a blank", '"lo"', '"et h0"', ':2: interface = "et h0": allowed'),
    _changed(
        "interval of nothing",
        "interval = 0.1",
        "interval = 0",
        ":3: interval = 0: allowed are 0.005",
    ),
    _changed("interval below zero", "0.1\n", "-1\n", ":3: interval = -1: allowed are 0.005 to 60"),
    _changed("interval is a word", "= 0.1", '= "fast"', ':3: interval = "fast": is not a number'),
    _changed(
        "interval in quotes", "= 0.1", '= "0.1"', ':3: interval = "0.1": allowed is a number, which'
    ),
    _changed(
        "priority in quotes", "= 200", '= "200"', ": allowed is a number, which has no quotes"
    ),
    _changed("interval is true", "= 0.1", "= true", ":3: interval = true: is not a number"),
    _changed("interval is no number", "= 0.1", "= nan", ":3: interval = nan: is not a number"),
    _top("tolerance too short", "tolerance = 0.1", ":1: tolerance = 0.1: allowed are 0.2 (two"),
    _top("tolerance too long", "tolerance = 900", ":1: tolerance = 900: allowed are 0.2"),
    _changed(
        "cluster with a blank", '"web"', '"we b"', ':1: cluster = "we b": allowed are 1 to 63'
    ),
    _changed("cluster is a number", '"web"', "5", ":1: cluster = 5: allowed are 1 to 63"),
    _top(
        "unknown key",
        "intervall = 1",
        ":1: intervall = 1: there is no such key; did you mean interval?",
    ),
    _top("option's spelling", "preempt-delay = 1", ":1: preempt-delay = 1: there is no such key"),
    _top("group's key at the top", "preempt = false", ":1: preempt = false: there is no such key"),
    _top("links are no list", 'links = "lo"', ':1: links = "lo": allowed is a list, in brackets'),
    _top("kind of link", 'links = ["lo,carrier-pigeon"]', ':1: links[1] = "lo,carrier'),
    _top("link is a number", "links = [1]", ":1: links[1] = 1: allowed is a text"),
    _top("link twice", 'links = ["lo", "lo"]', "the link lo is given twice"),
    _top("link without peers", 'links = ["lo,unicast"]', "unicast needs its peers"),
    _top("key file not there", 'key_file = "/nonexistent/key"', ":1: key_file = "),
    _top("lease too short", "lease = 1", ":1: lease = 1: allowed are whole seconds from 2"),
    _top("lease in parts", "lease = 2.5", ":1: lease = 2.5: allowed are whole seconds"),
    _top("witness is a name", 'witness = "gateway"', ':1: witness = "gateway": allowed is an IP'),
    _top("witness is itself", 'witness = "127.0.0.1"', "is not the address of another host"),
    _top("witness is shared", 'witness = "10.99.0.100"', "it is a shared address"),
    _top("witness lost", 'witness_lost = "panic"', ':1: witness_lost = "panic": allowed are keep'),
    _top("quorum of one", "quorum = 1", ":1: quorum = 1: allowed are 'majority' and 2 to 2"),
    _top("members without quorum", 'members = ["alpha"]', "goes with quorum, such as quorum = "),
    _top(
        "not a member",
        'quorum = "majority"\nmembers = ["beta", "gamma"]',
        ':1: quorum = "majority": alpha is not among members beta,gamma',
    ),
    _top(
        "witness and quorum",
        'witness = "10.99.0.9"\nquorum = "majority"',
        "witness goes without quorum",
    ),
    _top("multicast is none", 'multicast = "10.0.0.1:5555"', "must be an IPv4 multicast address"),
    _top("port too high", 'multicast = "239.1.1.1:70000"', "allowed ports are 1 to 65535"),
    _changed("priority too high", "200", "300", ":6: node.alpha.priority = 300: allowed are whole"),
    _changed(
        "node's key", "priority = 200", "weight = 200", ":6: node.alpha.weight = 200: there is no"
    ),
    _changed(
        "node is no table",
        "[node.beta]",
        "[node]\nbeta = 1",
        ":8: node.beta = 1: allowed is a table",
    ),
    _changed("name of a node", "[node.beta]", '[node."be ta"]', "is no name"),
    Broken("no group", GOOD.partition("[group")[0], ": there is no [group.NAME]"),
    _resource("nothing to share", "", ":9: group.web has nothing to share"),
    _resource("address without prefix", '{address = "10.99.0.100"}', "has no prefix length"),
    _resource("address of the network", '{address = "10.99.0.0/24"}', "allowed is one in it"),
    _resource("address twice", f"{ADDRESS}, {ADDRESS}", "the same address is given twice"),
    _resource(
        "misspelt resource", '{adress = "10.99.0.1/24"}', "is no resource; did you mean address?"
    ),
    _resource("two in one", '{address = "10.99.0.1/24", unit = "x"}', "address and unit at once"),
    _resource("no undo", '{command = ["true"]}', ":10: group.web.resources[1].undo is missing"),
    _resource(
        "command is a text",
        '{command = "drbdadm primary r0", undo = ["true"]}',
        "no shell reads them",
    ),
    _resource(
        "command twice",
        '{command = ["true"], undo = ["true"]}, {command = ["true"], undo = ["true"]}',
        "command true: the same command is given twice",
    ),
    _resource("timeout", '{unit = "x", timeout = 0}', "allowed are 0.1 to 3600 seconds"),
    _resource("name of a unit", '{unit = "../x"}', "allowed is the name of a systemd unit"),
    _group("preempt is a text", 'preempt = "no"', ":11: group.web.preempt = "),
    _group("last resort", 'last_resort = "hope"', "allowed are keep and release"),
    _group("check of nothing", "checks = [{interval = 3}]", "group.web.checks[1] does not say"),
    _group("misspelt check", 'checks = [{htp = "http://127.0.0.1/"}]', "did you mean http?"),
    _group("check's effect", 'checks = [{file = "/x", effect = "dead"}]', "degraded and unfit"),
    _group("check's interval", 'checks = [{file = "/x", interval = 0}]', "interval = 0: "),
    _group("unknown event", 'on = {aquired = ["true"]}', "did you mean acquired?"),
    _group("event is a text", 'on = {acquired = "true"}', "no shell reads them"),
    _group("priority of a stranger", "priority = {gamma = 1}", ":11: group.web.priority.gamma = 1"),
    _group("group's unknown key", "preemt_delay = 5", "did you mean preempt_delay?"),
    _group(
        "same address in two groups",
        f"[group.db]\nresources = [{ADDRESS}]",
        "is given twice, in the groups web and db",
    ),
    _group("events' limit", "on.timeout = 61", "group.web.on.timeout = 61: allowed are 0.1 to 60"),
    _group("priority is a list", "priority = [1]", ":11: group.web.priority = [1]: allowed are"),
)
