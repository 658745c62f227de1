"""Which program a file is for, by what it says."""

from __future__ import annotations

import json
import re

from hatwist.frontends.importing.heartbeat.directives import DIRECTIVES

_KEEPALIVED = re.compile(
    r"^\s*(?:@\S+\s+)?(?:global_defs|vrrp_\w+|virtual_server(?:_group)?|static_\w+|bfd_instance|include[rmwba]?)\b",
    re.MULTILINE,
)
_INTERFACES = re.compile(
    r"^\s*(?:iface|auto|allow-\S+|source(?:-directory)?|mapping)\s+\S", re.MULTILINE
)
_AUTHKEYS = re.compile(r"^\s*auth\s+\d+\s*$", re.MULTILINE)
_RESOURCE = re.compile(r"\d+\.\d+\.\d+\.\d+|::")


def kindOf(text: str) -> str | None:
    """One of L{hatwist.frontends.importing.KINDS}; C{None}: it is none of them."""
    if text.lstrip()[:1] in ("{", "[") and _isJson(text):
        return "ha.json"
    if _KEEPALIVED.search(text):
        return "keepalived"
    if _INTERFACES.search(text):
        return "ucarp"
    if heartbeatFile(text) is not None:
        return "heartbeat"
    return None


def _isJson(text: str) -> bool:
    # What begins like it and is broken is meant to be it all the same.
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return bool(re.match(r'\s*(?:\[\s*)?\{\s*("|\}|//)', text))
    return True


def heartbeatFile(text: str) -> str | None:
    """C{"ha.cf"}, C{"haresources"} or C{"authkeys"}; C{None}: it is none of them."""
    if _AUTHKEYS.search(text):
        return "authkeys"
    lines = [line.split() for line in text.split("\n") if line.split("#")[0].strip()]
    directives = sum(words[0].lower() in DIRECTIVES for words in lines)
    if lines and directives * 2 > len(lines):
        return "ha.cf"
    if any(_RESOURCE.search(word) for words in lines for word in words[1:]):
        return "haresources"
    return None
