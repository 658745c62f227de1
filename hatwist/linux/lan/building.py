"""
scapy builds the templates of L{hatwist.protocols.frames}.

It is a program too, C{python -P building.py}, which prints a line C{NAME HEX} for each, and imports nothing of
hatwist: scapy takes 35 MB and up to a second, so that a daemon has it in a process of its own, for that second.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOWHERE = "/dev/null/hatwist"
"""A directory that cannot be made: scapy goes without its caches, as it does on a disk that is read-only."""


@contextmanager
def _withoutCaches() -> Iterator[None]:
    """Keep scapy from writing into somebody's home, and from waiting for a disk."""
    names = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, NOWHERE))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def templates() -> dict[str, bytes]:
    """
    Build each template anew, with every changing address zero.

    @raise ImportError: there is no scapy, or one that has no such layers.
    """
    with _withoutCaches():
        # mypy knows no types of scapy's layers
        from scapy.layers.inet6 import (  # type: ignore[import-untyped,unused-ignore]
            ICMPv6ND_NA,
            ICMPv6ND_NS,
            ICMPv6NDOptDstLLAddr,
            ICMPv6NDOptSrcLLAddr,
            IPv6,
        )
        from scapy.layers.l2 import ARP, Ether  # type: ignore[import-untyped,unused-ignore]

        zero, everyone = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
        ether = Ether(src=zero, dst=everyone)
        arp = {"hwsrc": zero, "psrc": "0.0.0.0", "pdst": "0.0.0.0"}
        telling = Ether(src=zero, dst="33:33:00:00:00:01") / IPv6(src="::", dst="ff02::1", hlim=255)
        target = ICMPv6NDOptDstLLAddr(lladdr=zero)
        asking = Ether(src=zero, dst="33:33:ff:00:00:00")
        asking /= IPv6(src="::", dst="ff02::1:ff00:0", hlim=255) / ICMPv6ND_NS(tgt="::")
        built = {
            "request": ether / ARP(op=1, hwdst=everyone, **arp),
            "reply": ether / ARP(op=2, hwdst=zero, **arp),
            "advertisement": telling / ICMPv6ND_NA(tgt="::", R=0, S=0, O=1) / target,
            "routerAdvertisement": telling / ICMPv6ND_NA(tgt="::", R=1, S=0, O=1) / target,
            "question": ether / ARP(op=1, hwdst=zero, **arp),
            "solicitation": asking / ICMPv6NDOptSrcLLAddr(lladdr=zero),
            "probe6": asking,
        }
        return {name: bytes(frame) for name, frame in built.items()}


def yieldToEverybody() -> None:
    """Run when nobody else wants to, and be killed before anything else where memory ends; best effort."""
    steps = (
        lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
        _lastOfAll,
        _expendable,
    )
    for step in steps:
        try:
            step()
        except OSError:  # a sandbox may forbid it
            pass


def _lastOfAll() -> None:
    # Sessions share a processor evenly, whatever the priorities of their processes (sched(7), autogroup).
    if os.getsid(0) == os.getpid():
        with open("/proc/self/autogroup", "w", encoding="ascii") as nice:
            nice.write("19")


def _expendable() -> None:
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("1000")


if __name__ == "__main__":
    yieldToEverybody()
    for name, frame in templates().items():
        print(name, frame.hex())
