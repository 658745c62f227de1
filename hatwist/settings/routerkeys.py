"""The settings of groups that speak VRRP or CARP, a row each: see L{hatwist.settings.keys}."""

from __future__ import annotations

from hatwist.core import parsing
from hatwist.core.parsing import Seconds, Whole
from hatwist.core.table import Table
from hatwist.settings import readers, words
from hatwist.settings.key import Key, Known, OnReload, Read, Scope
from hatwist.settings.keyfile import readPassword
from hatwist.settings.values import NATIVE, CarpSettings, VrrpSettings

PROTOCOLS = {"vrrp": Scope.VRRP, "carp": Scope.CARP}
"""What a group can speak besides hatwist's own protocol, and where the settings of that are."""
IDS = Whole(1, 255)
"""Of VRRP and of CARP: a byte in which 0 is none."""
SKEWS = Whole(0, 254)


def _needed(name: str, what: str) -> Read:
    def read(table: Table, known: Known) -> int:
        """0 for a wrong one, so that nothing else is blamed for it."""
        if name not in table:
            table.problem(f"is missing: {what}, {IDS}, the same on all routers", name)
        return table.take(name, IDS, 0)

    return read


def _password(table: Table, known: Known) -> bytes:
    """Another host's file is not here."""
    if "password_file" not in table:
        table.problem(
            "is missing: the file (mode 0600) with the password of all hosts", "password_file"
        )
    if known.here:
        return table.take("password_file", lambda path: readPassword(parsing.text(path)), b"")
    table.take("password_file", parsing.text, "")
    return b""


def _advskew(table: Table, known: Known) -> int:
    return readers.perNode(table, "advskew", SKEWS, known, 0)


def _speaks(vrrp: VrrpSettings) -> str:
    way = f"by unicast to {', '.join(map(str, vrrp.peers))}" if vrrp.peers else "by multicast"
    return f"VRRP version {vrrp.version}, vrid {vrrp.vrid}, each {vrrp.interval:g} s {way}"


def _readable(vrrp: VrrpSettings) -> str:
    if not vrrp.password:
        return ""
    return "warning: auth_pass is sent in clear text: everybody on the network can read it, and send the same"


def _moves(vrrp: VrrpSettings) -> str:
    return f"held together with all groups of sync {vrrp.sync}" if vrrp.sync else ""


def _signs(carp: CarpSettings) -> str:
    return f"CARP, vhid {carp.vhid}, advbase {carp.advbase} s, dead after {carp.deadRatio} of them"


PROTOCOL_KEY = Key("protocol", "", Scope.GROUP, parsing.choice(NATIVE, *PROTOCOLS), NATIVE)

VRRP_KEYS = (
    Key(
        "vrid",
        "vrid",
        Scope.VRRP,
        read=_needed("vrid", "the number of the virtual router"),
        allowed=str(IDS),
        shared=True,
        word=str,
        reload=OnReload.TOLD,
        told=_speaks,
    ),
    Key(
        "version",
        "version",
        Scope.VRRP,
        Whole(2, 3),
        3,
        shared=True,
        word=str,
        reload=OnReload.TOLD,
    ),
    Key(
        "advertisement_interval",
        "interval",
        Scope.VRRP,
        Seconds(0.01, 255),
        1.0,
        shared=True,
        word=lambda seconds: f"{seconds:.2f}",
        reload=OnReload.TOLD,
    ),
    Key(
        "checksum",
        "checksum",
        Scope.VRRP,
        parsing.choice("pseudo-header", "message"),
        "pseudo-header",
        reload=OnReload.TOLD,
    ),
    Key(
        "unicast_peers",
        "peers",
        Scope.VRRP,
        read=lambda table, known: table.items("unicast_peers", words.host),
        reload=OnReload.TOLD,
    ),
    Key("min_ttl", "hops", Scope.VRRP, Whole(1, 255), 255, reload=OnReload.TOLD),
    Key(
        "auth_pass",
        "password",
        Scope.VRRP,
        lambda value: parsing.text(value).encode(),
        b"",
        reload=OnReload.OWN,
        told=_readable,
    ),
    Key(
        "sync",
        "sync",
        Scope.VRRP,
        parsing.name,
        "",
        shared=True,
        word=str,
        reload=OnReload.TOLD,
        told=_moves,
    ),
)

CARP_KEYS = (
    Key(
        "vhid",
        "vhid",
        Scope.CARP,
        read=_needed("vhid", "the number of the virtual host"),
        allowed=str(IDS),
        shared=True,
        word=str,
        reload=OnReload.TOLD,
        told=_signs,
    ),
    Key("password_file", "password", Scope.CARP, read=_password, reload=OnReload.OWN),
    Key(
        "advbase",
        "advbase",
        Scope.CARP,
        Whole(1, 254),
        1,
        shared=True,
        word=str,
        reload=OnReload.TOLD,
    ),
    Key("advskew", "advskew", Scope.CARP, read=_advskew, allowed=str(SKEWS), reload=OnReload.TOLD),
    Key(
        "dead_ratio",
        "deadRatio",
        Scope.CARP,
        Whole(2, 255),
        3,
        shared=True,
        word=str,
        reload=OnReload.TOLD,
    ),
)
