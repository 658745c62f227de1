"""
Every setting, in one row each: how it is read, what it is where nobody says, what else is known of it.

From these rows come the keys of a file (L{hatwist.settings.reading}), the options of C{twistd ha}
(L{hatwist.settings.options}, L{hatwist.frontends.tap}), what nodes must agree on (L{hatwist.settings.digest}), what
a reload does (L{hatwist.settings.changes}), what C{hatwist check} tells (L{hatwist.settings.summary}) and what is in
the file of C{hatwist init} (L{hatwist.settings.example}). The rows stand in the order in which keys are read, and
problems told. The tables of the documents are compared with them.

A new setting is a row here, and the field of L{hatwist.settings.values} that the row names.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from hatwist.core import parsing
from hatwist.core.effects import EVENTS
from hatwist.core.limits import LIMIT
from hatwist.core.parsing import Argv, Seconds
from hatwist.core.table import Table
from hatwist.resources.spec import TIMEOUT
from hatwist.runtime.store import DIRECTORY
from hatwist.settings import readers, words
from hatwist.settings.endpoint import endpoint
from hatwist.settings.key import Key, KeyOption, Known, OnReload, Scope
from hatwist.settings.routerkeys import CARP_KEYS, PROTOCOL_KEY, VRRP_KEYS
from hatwist.settings.values import HASTE, INTERVAL, MULTICAST, PRIORITY, GroupSettings, Settings


def of(*scopes: Scope) -> Iterator[Key]:
    """The settings of these scopes."""
    return (key for key in KEYS if key.scope in scopes)


def ofGroup(group: GroupSettings) -> Iterator[tuple[Key, Any]]:
    """The settings of a group that have a field, each with the value there that has it."""
    for scopes, values in (
        ((Scope.GROUP, Scope.EVENTS), group),
        ((Scope.VRRP,), group.vrrp),
        ((Scope.CARP,), group.carp),
    ):
        if values is not None:
            for key in of(*scopes):
                if key.field and group.protocol not in key.without:
                    yield key, values


def named(path: str, scope: Scope) -> Key:
    """The setting of this name."""
    return next(key for key in of(scope) if key.path == path)


def _events(table: Table, known: Known) -> tuple[tuple[str, tuple[Argv, ...]], ...]:
    hooks = table.table("on")
    found = []
    for event in EVENTS:
        commands: tuple[Argv, ...] = hooks.take(event, parsing.argvs, ())
        if commands:
            found.append((event, commands))
    for key in of(Scope.EVENTS):
        key.take(hooks, known)
    hooks.end()
    return tuple(found)


def _votes(settings: Settings) -> str:
    quorum = settings.quorum
    if quorum is None:
        return ""
    return f"a claim takes {quorum.needed} votes of {', '.join(sorted(quorum.members))}"


def _asksWitness(settings: Settings) -> str:
    if settings.witness is None:
        return ""
    return f"witness {settings.witness}; when no node reaches it: {settings.witnessLost}"


def _hastens(settings: Settings) -> str:
    if settings.realtime:
        return "realtime: the daemon comes before ordinary processes, and its memory is locked, if the host permits"
    if settings.interval < HASTE:
        return f"a busy host can delay heartbeats at {settings.interval:g} s: realtime = true prevents that"
    return ""


def _preempts(group: GroupSettings) -> str:
    back = f"after {group.preemptDelay:g} s" if group.preemptDelay else "at once"
    return f"a worthier node that returns gets it {back if group.preempt else 'only when the holder fails'}"


def _nobodyFit(group: GroupSettings) -> str:
    keeps = group.lastResort == "keep"
    return f"where no node is fit: {'the holder keeps it' if keeps else 'nobody holds it'}"


def _asks(group: GroupSettings) -> str:
    if group.askLimit == inf:
        return ""
    return f"another host that answers for an address keeps it for {group.askLimit:g} s, if no holder is heard"


def _precise(value: float) -> str:
    return f"{value:.6f}"


KEYS = (
    Key(
        "node",
        "node",
        Scope.OPTION,
        parsing.name,
        "",
        option=KeyOption("Name of this node [default: the host's name].", "n"),
    ),
    Key(
        "interface",
        "interface",
        Scope.NODE,
        read=readers.interface,
        option=KeyOption("Network interface for heartbeats, such as eth0.", "i", blank=True),
    ),
    Key(
        "interval",
        "interval",
        Scope.CLUSTER,
        words.INTERVALS,
        str(INTERVAL),
        readers.interval,
        shared=True,
        word=_precise,
        option=KeyOption("Seconds between heartbeats."),
    ),
    Key(
        "tolerance",
        "tolerance",
        Scope.CLUSTER,
        read=readers.tolerance,
        allowed="2 intervals to 600",
        shared=True,
        word=_precise,
        option=KeyOption("Seconds of silence that make a node count as gone [3.5 intervals]."),
    ),
    Key(
        "key_file",
        "keys",
        Scope.NODE,
        read=readers.signingKeys,
        reload=OnReload.OWN,
        option=KeyOption(
            "File (mode 0600) with the key that signs heartbeats, one in a line.", "k"
        ),
    ),
    Key(
        "cluster",
        "cluster",
        Scope.CLUSTER,
        parsing.name,
        "default",
        shared=True,
        option=KeyOption("Name of the cluster.", "c"),
    ),
    Key(
        "multicast",
        "multicast",
        Scope.CLUSTER,
        words.multicast,
        str(MULTICAST),
        option=KeyOption("IPv4 multicast group and port of the heartbeats."),
    ),
    Key(
        "members",
        "",
        Scope.CLUSTER,
        read=readers.members,
        shared=True,
        option=KeyOption(
            "Names of all nodes that vote, with commas between them; may be given several times.",
            many=True,
            split=readers.names,
        ),
    ),
    Key(
        "quorum",
        "quorum",
        Scope.CLUSTER,
        read=readers.quorum,
        shared=True,
        option=KeyOption("Votes that a claim takes: majority, or a number; needs --members."),
        told=_votes,
    ),
    Key(
        "lease",
        "lease",
        Scope.CLUSTER,
        read=readers.lease,
        allowed="at least 2, and 2 intervals; to 3600",
        option=KeyOption(
            "Seconds, whole, after which the kernel removes addresses by itself; 0: never [tolerance]."
        ),
    ),
    Key(
        "state_dir",
        "stateDir",
        Scope.NODE,
        read=readers.stateDir,
        option=KeyOption(
            f"Directory where terms and votes are remembered [{DIRECTORY}].",
            blank=True,
        ),
    ),
    Key(
        "links",
        "links",
        Scope.NODE,
        read=readers.links,
        option=KeyOption(
            "Way of the heartbeats, INTERFACE[,KIND] of kind multicast, multicast6, broadcast or "
            "unicast=PEER,PEER,...; may be given several times [multicast on --interface].",
            name="link",
            many=True,
            split=list,
        ),
    ),
    Key(
        "witness",
        "witness",
        Scope.NODE,
        words.witness,
        shared=True,
        option=KeyOption(
            "IP address of a host that tells a node whether it is cut off.",
            blank=True,
        ),
        told=_asksWitness,
    ),
    Key(
        "witness_lost",
        "witnessLost",
        Scope.CLUSTER,
        parsing.choice("keep", "release"),
        "release",
        option=KeyOption("keep or release, when no node reaches the witness."),
    ),
    Key(
        "control",
        "control",
        Scope.NODE,
        parsing.text,
        "",
        option=KeyOption(
            "Path of the socket for the hatwist command; none: there is none [/run/hatwist/CLUSTER.NODE.sock].",
            blank=True,
        ),
    ),
    Key(
        "http",
        "http",
        Scope.NODE,
        endpoint,
        option=KeyOption(
            "Serve metrics, health and a page there, such as tcp:9107:interface=127.0.0.1.",
            blank=True,
        ),
    ),
    Key(
        "realtime",
        "realtime",
        Scope.NODE,
        parsing.boolean,
        False,
        option=KeyOption(
            "Come before all ordinary processes of the host, with locked memory: for intervals under "
            f"{HASTE:g} s.",
            flag=True,
            split=bool,
        ),
        told=_hastens,
    ),
    PROTOCOL_KEY,
    Key(
        "on",
        "hooks",
        Scope.GROUP,
        read=_events,
        shared=True,
        reload=OnReload.OWN,
    ),
    Key(
        "timeout",
        "hookTimeout",
        Scope.EVENTS,
        # To prepare takes no longer than an operation of the keeper, whatever its commands may.
        Seconds(0.1, LIMIT),
        TIMEOUT,
        reload=OnReload.TOLD,
    ),
    Key(
        "resources",
        "resources",
        Scope.GROUP,
        read=readers.resources,
        shared=True,
        reload=OnReload.OWN,
    ),
    Key(
        "priority",
        "priority",
        Scope.GROUP,
        words.priority,
        str(PRIORITY),
        readers.priority,
        allowed="0 to 254",
        inherited=True,
        reload=OnReload.TOLD,
        option=KeyOption("0 to 254; the highest holds the addresses.", "p"),
        without=("carp",),
    ),
    Key(
        "preempt",
        "preempt",
        Scope.GROUP,
        parsing.boolean,
        True,
        shared=True,
        word=str,
        reload=OnReload.TOLD,
        option=KeyOption(
            "Leave the addresses where they are when a worthier node returns.",
            name="no-preempt",
            flag=False,
            split=bool,
        ),
        example="false: a worthier node that returns waits until the holder fails.",
        told=_preempts,
    ),
    Key(
        "preempt_delay",
        "preemptDelay",
        Scope.GROUP,
        words.DELAYS,
        "0",
        shared=True,
        word=_precise,
        reload=OnReload.TOLD,
        option=KeyOption("Seconds for which a worthier node is up before it takes over."),
        example="Seconds for which it is up before it gets the group.",
        without=("carp",),
    ),
    Key(
        "last_resort",
        "lastResort",
        Scope.GROUP,
        parsing.choice("keep", "release"),
        "release",
        shared=True,
        word=str,
        reload=OnReload.TOLD,
        told=_nobodyFit,
        without=("vrrp", "carp"),
    ),
    Key(
        "checks",
        "checks",
        Scope.GROUP,
        read=readers.checks,
        shared=True,
        reload=OnReload.OWN,
    ),
    Key(
        "ask_limit",
        "askLimit",
        Scope.GROUP,
        words.DELAYS,
        inf,
        shared=True,
        word=lambda limit: _precise(limit) if limit < inf else "",
        reload=OnReload.TOLD,
        option=KeyOption(
            "Seconds without a holder's word after which the address is taken though a host answers for it [none]."
        ),
        told=_asks,
        without=("vrrp", "carp"),
    ),
    *VRRP_KEYS,
    *CARP_KEYS,
)
"""All settings; the order is that in which they are read."""
