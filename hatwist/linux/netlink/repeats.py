"""
Events of the kernel that say again what is known: recognised by their bytes, in two microseconds.

Whoever renews an address is told that it is there, with nothing new but how long it lasts.
"""

from __future__ import annotations

import struct

from hatwist.linux.netlink.messages import AF_INET, RTM_DELADDR, RTM_NEWADDR

_BEGINNING = struct.Struct("=IH")  # length, type
_TIMES = struct.pack("=HH", 20, 6)  # begins IFA_CACHEINFO, struct ifa_cacheinfo in linux/if_addr.h


class Repeats:
    """What was said of each address last."""

    def __init__(self) -> None:
        self._said: dict[bytes, bytes] = {}

    def forget(self) -> None:
        """Events were lost: nothing that was said need be so."""
        self._said.clear()

    def repeats(self, event: bytes) -> bool:
        """Whether it says that an address is there, and but for times what the last event of that address said."""
        if len(event) < 44:
            return False
        length, kind = _BEGINNING.unpack_from(event)
        if kind == RTM_DELADDR:
            self._said.clear()
        if kind != RTM_NEWADDR or length != len(event):
            return False
        # struct ifaddrmsg, whose flags and scope are left out, and the first attribute: IFA_ADDRESS
        where = event[16:18] + event[20 : 32 if event[16] == AF_INET else 44]
        times = event.find(_TIMES, 24)
        says = event[16:] if times < 0 else event[16:times] + event[times + 20 :]
        before = self._said.get(where)
        self._said[where] = says
        return before == says
