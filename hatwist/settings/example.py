"""A commented configuration file to begin with."""

from __future__ import annotations

from collections.abc import Sequence

from hatwist.core import parsing
from hatwist.core.errors import ConfigurationError
from hatwist.core.table import shown
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.settings.key import Key, Scope
from hatwist.settings.keys import named, of
from hatwist.settings.values import TOLERANCE

_HEAD = """\
# hatwist: the same file on every node. Check it with: hatwist check FILE
# Start it with: twistd ha --config FILE

# Nodes with the same name here, and the same key, are one cluster.
cluster = {cluster}
{keyFile}

# Where the addresses are, and heartbeats are sent unless there are links.
interface = {interface}
# More ways for heartbeats, so that one cable is no reason to take over:
# links = [{interface}, "eth1"]

# Seconds between heartbeats, and of silence after which a node counts as gone ({intervals} intervals if not given).
interval = {interval}
# tolerance = {tolerance}

# With two nodes: a host that tells each of them whether it is cut off, such as the gateway.
# witness = "192.168.1.1"
# With three or more: hold only with the votes of most nodes; then no partition leads to two holders.
# quorum = "majority"
"""
_NO_KEY = """\
# Without a key, whoever can send to the LAN can move the addresses. Make one, and copy it to every node:
#   install -d -m 0755 /etc/hatwist && (umask 077; openssl rand -hex 32 > /etc/hatwist/key)
# key_file = "/etc/hatwist/key\""""
_KEY = """\
# Signs the heartbeats: the same file on every node, which only the daemon's user and root may read.
key_file = {}"""
_NODE = """
[node.{node}]
# 0 to 254; the highest holds what is shared.
priority = {priority}
# What this node has of its own goes here too: interface, links, witness.
"""
_GROUP = """
# What moves together, acquired in this order and released in reverse. There may be several groups.
[group.main]
resources = [
{addresses}
  # {{unit = "nginx.service"}},
  # {{command = ["/usr/local/bin/start"], undo = ["/usr/local/bin/stop"], timeout = 10}},
]
"""


def example(
    addresses: Sequence[str],
    interface: str,
    nodes: Sequence[str],
    cluster: str,
    keyFile: str | None = None,
) -> str:
    """
    A file that is accepted as it is.

    @param nodes: names, the worthiest first.
    @raise ConfigurationError: with every word that cannot stand in it.
    """
    problems: list[str] = []
    for name, parse, values in (
        ("address", AddressSpec.parse, addresses),
        ("interface", parsing.interface, [interface]),
        ("node", parsing.name, nodes),
        ("cluster", parsing.name, [cluster]),
    ):
        for value in values:
            try:
                parse(value)
            except ValueError as e:
                problems.append(f"{name} {value}: {e}")
    if len(set(nodes)) < len(nodes):
        problems.append(f"node {' '.join(nodes)}: the same name is given twice")
    if len(nodes) > 200:
        problems.append(f"{len(nodes)} nodes: allowed are 200")
    if problems:
        raise ConfigurationError(problems)
    step = 50 if len(nodes) < 5 else 1
    signing = _KEY.format(shown(keyFile)) if keyFile else _NO_KEY
    interval = named("interval", Scope.CLUSTER)
    head = _HEAD.format(
        cluster=shown(cluster),
        interface=shown(interface),
        keyFile=signing,
        interval=interval.usual,
        tolerance=TOLERANCE * interval.default,
        intervals=TOLERANCE,
    )
    parts = [head]
    for place, node in enumerate(nodes):
        quoted = shown(node) if "." in node else node
        parts.append(_NODE.format(node=quoted, priority=200 - place * step))
    lines = "\n".join(f"  {{address = {shown(text)}}}," for text in addresses)
    parts.append(_GROUP.format(addresses=lines))
    parts += [f"# {key.example}\n{_line(key)}\n" for key in of(Scope.GROUP) if key.example]
    return "".join(parts)


def _line(key: Key) -> str:
    """A setting as it is where nobody says."""
    usual = key.usual if isinstance(key.usual, str) else shown(key.usual)
    return f"{key.name} = {usual}"
