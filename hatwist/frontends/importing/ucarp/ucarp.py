"""ucarp as Debian starts it: C{ucarp-...} options in interfaces(5), see ucarp's README.Debian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any

from hatwist.core import parsing
from hatwist.core.linkspec import Kind, LinkSpec
from hatwist.frontends.importing.draft import Draft, DraftGroup
from hatwist.frontends.importing.naming import fresh
from hatwist.frontends.importing.notes import MigrationError, Notes, Place, problemOf
from hatwist.frontends.importing.patience import tolerance
from hatwist.frontends.importing.ucarp.stanzas import Stanza, StanzaOption
from hatwist.resources.addresses.spec import AddressSpec

_NEEDED = ("ucarp-vid", "ucarp-vip", "ucarp-password")
_KEY = (
    "heartbeats are not signed until you make a key of 16 bytes or more on one host, copy it to the others, and name "
    'its file: key_file = "/etc/hatwist/key"'
)
_REMOVE = (
    "delete the ucarp- options, so that ifup starts no ucarp any more, and then this stanza, which nothing needs: the "
    "address is set by hatwist"
)
_COMMANDS = ("pre-up", "up", "post-up", "down", "pre-down", "post-down")
_NO = ("no", "off", "false", "0")
READ = {
    *_NEEDED,
    *("ucarp-advskew", "ucarp-advbase", "ucarp-deadratio", "ucarp-master", "ucarp-nomcast"),
    *("ucarp-upscript", "ucarp-downscript", "ucarp-xparam"),
}


def draft(stanzas: Sequence[Stanza], notes: Notes) -> Draft:
    """
    What one host's stanzas say.

    @raise MigrationError: no stanza is about ucarp.
    """
    about = [each for each in stanzas if any(_isOurs(option) for option in each.options)]
    if not about:
        place = stanzas[0].place if stanzas else Place("")
        raise MigrationError(Place(place.file), "no stanza has options of ucarp, such as ucarp-vip")
    groups: list[DraftGroup] = []
    values: list[tuple[Stanza, dict[str, Any]]] = []
    for stanza in about:
        missing = [key for key in _NEEDED if stanza.get(key) is None]
        if missing:
            advice = (
                f"without {' and '.join(missing)} ifup starts no ucarp, so nothing is carried over"
            )
            notes.lost(stanza.place, f"iface {stanza.interface}", advice)
            continue
        group = _group(stanza, stanzas, [each.name for each in groups], notes)
        if group is not None and any(each.resources == group.resources for each in groups):
            notes.lost(
                stanza.place, f"iface {stanza.interface}", "its address is in another stanza"
            )
        elif group is not None:
            groups.append(group)
            values.append((stanza, _values(stanza, notes)))
    if not groups:
        return Draft()
    together = dict(values[0][1])
    for stanza, own in values[1:]:
        for key in ("interval", "tolerance"):
            if key in own and own[key] != together.get(key, own[key]):
                notes.differs(
                    stanza.place, f"{key} {own[key]:g}", "there is one for all groups: the longest"
                )
            if key in own:
                together[key] = max(own[key], together.get(key, 0))
    links = list(dict.fromkeys(link for _, own in values for link in own["links"]))
    if links == [together["interface"]]:
        del together["links"]
    else:
        together["links"] = links
    return Draft(together, tuple(groups))


def _isOurs(option: StanzaOption) -> bool:
    return option.key.startswith("ucarp-")


def _group(
    stanza: Stanza, stanzas: Sequence[Stanza], names: Sequence[str], notes: Notes
) -> DraftGroup | None:
    says = {option.key: option for option in stanza.options if _isOurs(option)}
    address = _address(stanza, says["ucarp-vip"], stanzas, notes)
    if address is None:
        return None
    # The one with the lowest advskew is the worthiest.
    skew = round(_number(says, "ucarp-advskew", 0, 0, 255, notes))
    _tell(says, notes)
    master = says.get("ucarp-master")
    preempt = master is not None and not master.value.lower().startswith(_NO)
    vid = says["ucarp-vid"].value
    return DraftGroup(
        fresh(f"carp-{vid}", names),
        f"vid {vid}",
        ({"address": address},),
        (),
        max(0, 254 - skew),
        preempt,
    )


def _values(stanza: Stanza, notes: Notes) -> dict[str, Any]:
    says = {option.key: option for option in stanza.options}
    interval = _number(says, "ucarp-advbase", 1, 1, 60, notes)
    found: dict[str, Any] = {
        "cluster": fresh(f"carp-{says['ucarp-vid'].value}"),
        "interval": interval,
        "interface": stanza.interface,
    }
    if (ratio := says.get("ucarp-deadratio")) is not None:
        # ucarp multiplies with the interval and its own skew, of less than an interval.
        wanted = (_number(says, "ucarp-deadratio", 3, 1, 600, notes) + 0.5) * interval
        found["tolerance"] = tolerance(wanted, interval, ratio.place, notes)
    broadcast = (
        option := says.get("ucarp-nomcast")
    ) is not None and not option.value.lower().startswith(_NO)
    kind = Kind.BROADCAST if broadcast else Kind.MULTICAST
    found["links"] = [LinkSpec(stanza.interface, kind).name]
    return found


def _tell(says: Mapping[str, StanzaOption], notes: Notes) -> None:
    for key, option in says.items():
        if key == "ucarp-password":
            notes.lost(option.place, option.text, _KEY)
        elif key in ("ucarp-upscript", "ucarp-downscript", "ucarp-xparam"):
            advice = (
                "the address is set and announced by hatwist; what else the script does can be a resource: "
                '{command = ["PROGRAM", ...], undo = ["PROGRAM", ...]}'
            )
            notes.lost(option.place, option.text, advice)
        elif key not in READ:
            notes.lost(option.place, option.text, "it is no option of ucarp that is known")


def _number(
    says: Mapping[str, StanzaOption], key: str, usual: float, least: int, most: int, notes: Notes
) -> float:
    option = says.get(key)
    if option is None:
        return usual
    text = option.value
    if text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    notes.lost(option.place, option.text, f"allowed are {least} to {most}; {usual:g} is taken")
    return usual


def _address(
    stanza: Stanza, vip: StanzaOption, stanzas: Sequence[Stanza], notes: Notes
) -> str | None:
    """The address with its prefix length, which is that of the stanza that ucarp brings up."""
    if problem := problemOf(parsing.interface, stanza.interface):
        notes.lost(stanza.place, f"iface {stanza.interface}", problem)
        return None
    try:
        address = ip_address(vip.value)
    except ValueError:
        notes.lost(vip.place, vip.text, "it is no IP address")
        return None
    up = [each for each in stanzas if each.interface == f"{stanza.interface}:ucarp"]
    prefix: int = address.max_prefixlen
    for each in up:
        own = each.get("address")
        if own is None or own.value.partition("/")[0] != vip.value:
            advice = f"this is not the address of ucarp-vip, {vip.value}, so it is not carried over"
            notes.lost(
                own.place if own else each.place, own.text if own else each.interface, advice
            )
            continue
        prefix = _prefix(each, own, notes) or prefix
        notes.differs(each.place, f"iface {each.interface}", _REMOVE)
        for option in each.options:
            if option.key in _COMMANDS:
                advice = (
                    'make it a resource before or after the address: {command = ["PROGRAM", ...], '
                    'undo = ["PROGRAM", ...]}'
                )
                notes.lost(option.place, option.text, advice)
            elif option.key not in ("address", "netmask"):
                notes.lost(option.place, option.text, "only the address is set")
    if not up and stanza.get("ucarp-upscript") is None:
        advice = f"there is no stanza {stanza.interface}:ucarp, which says the prefix length: /{prefix} is taken"
        notes.differs(vip.place, vip.text, advice)
    text = f"{address}/{prefix}@{stanza.interface}"
    if problem := problemOf(AddressSpec.parse, text):
        notes.lost(vip.place, vip.text, problem)
        return None
    return text


def _prefix(stanza: Stanza, address: StanzaOption, notes: Notes) -> int | None:
    netmask = stanza.get("netmask")
    _, slash, text = address.value.partition("/")
    if netmask is not None and not slash:
        text = netmask.value
    if not text:
        return None
    try:
        return ip_interface(f"{address.value.partition('/')[0]}/{text}").network.prefixlen
    except ValueError:
        place = netmask.place if netmask is not None else address.place
        notes.lost(place, f"{address.value} {text}", "it is no netmask")
        return None
