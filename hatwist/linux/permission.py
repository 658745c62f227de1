"""What this process may do in its network namespace, asked of the kernel without changing anything."""

from __future__ import annotations

import errno
import socket
import struct

_RTM_DELADDR, _NLM_F_REQUEST, _NLM_F_ACK = 21, 0x1, 0x4
_TIMEOUT = 2.0


def mayChangeAddresses() -> bool:
    """
    Ask to delete no address from no interface: permission is what the kernel looks at first
    (rtnetlink_rcv_msg in net/core/rtnetlink.c), then it finds that there is no such interface.
    """
    header = struct.pack("=IHHII", 24, _RTM_DELADDR, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_TIMEOUT)
        sock.send(header + struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 0))
        answer = sock.recv(4096)
    (number,) = struct.unpack_from("=i", answer, 16)
    return bool(-number != errno.EPERM)


def maySendFrames() -> bool:
    """Whether a packet socket may be opened, as gratuitous ARP needs."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        return False
    return True
