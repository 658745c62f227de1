"""
A LAN of hosts, each in a network namespace, joined by switches, with every fault a LAN has.

Host N has C{eth0} with 10.99.0.N/24 and fd99::N/64; on further links L C{ethL} with 10.99.L.N/24
and fd99:0:0:L::N/64. The client is host 200. Link-local addresses are usable at once (no
duplicate address detection). Everything is made when the L{LabLan} is, in some 25 ms.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from socket import AF_PACKET, SOCK_RAW
from socket import socket as Socket
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorProcess, IReactorTime

from hatwist.core.errors import HatwistError
from hatwist.lab.namespace import Namespace
from hatwist.lab.program import Program
from hatwist.lab.switch import Switch, writeSysctl

CLIENT = "client"
CLIENT_NUMBER = 200
IFF_LOWER_UP = 0x10000  # include/uapi/linux/if.h
_made = count()


class Host:
    """
    A host of the LAN.

    @ivar name: its name, also the beginning of its switch ports' names.
    @ivar number: the last part of its addresses.
    @ivar programs: what was started on it and L{Program} knows of, ended ones too.
    """

    def __init__(self, name: str, number: int, switch: Switch, links: int) -> None:
        from pyroute2 import IPRoute

        self.name = name
        self.number = number
        self.programs: list[Program] = []
        self._switch = switch
        self._links = links
        # A host keeps its state directory as long as its LAN exists, and has nothing of an earlier one of its name.
        self._memory = f"{os.getpid()}.{next(_made)}"
        self.namespace = Namespace()
        with self.namespace.entered():
            for which in ("all", "default"):
                writeSysctl(f"net/ipv6/conf/{which}/accept_dad", "0")
            self._netlink: Any = IPRoute()
        for link in range(links):
            far = {
                "ifname": f"eth{link}",
                "net_ns_fd": self.namespace.fd,
                "address": self.mac(link),
            }
            switch.connect(name, link, far)
        self._netlink.link("set", index=self.index("lo"), state="up")
        for link in range(links):
            self._netlink.link("set", index=self.index(f"eth{link}"), state="up")
            self._addOwnAddresses(link)

    def _addOwnAddresses(self, link: int) -> None:
        index = self.index(f"eth{link}")
        self._netlink.addr("replace", index=index, address=self.ipv4(link), prefixlen=24)
        self._netlink.addr("replace", index=index, address=self.ipv6(link), prefixlen=64)

    def index(self, interface: str) -> int:
        """The kernel's number of one of its interfaces."""
        return int(self._netlink.link_lookup(ifname=interface)[0])

    def mac(self, link: int = 0) -> str:
        """The hardware address of C{ethL}."""
        return f"02:99:00:00:{link:02x}:{self.number:02x}"

    def ipv4(self, link: int = 0) -> str:
        """Its own IPv4 address on a link."""
        return f"10.99.{link}.{self.number}"

    def ipv6(self, link: int = 0) -> str:
        """Its own global IPv6 address on a link."""
        middle = f"fd99:0:0:{link:x}" if link else "fd99:"
        return f"{middle}::{self.number:x}" if link else f"{middle}:{self.number:x}"

    def addresses(self) -> list[str]:
        """Every address that the kernel has there now, as ADDRESS/PREFIX, without loopback."""
        lo = self.index("lo")
        return [
            f"{a.get('local') or a.get('address')}/{a['prefixlen']}"
            for a in self._netlink.get_addr()
            if a["index"] != lo
        ]

    def addAddress(self, address: str, interface: str = "eth0", **more: Any) -> None:
        """Add ADDRESS/PREFIX by hand."""
        bare, prefix = address.split("/")
        index = self.index(interface)
        self._netlink.addr("replace", index=index, address=bare, prefixlen=int(prefix), **more)

    def deleteAddress(self, address: str, interface: str = "eth0") -> None:
        """Delete ADDRESS/PREFIX behind everybody's back."""
        bare, prefix = address.split("/")
        index = self.index(interface)
        self._netlink.addr("delete", index=index, address=bare, prefixlen=int(prefix))

    def setLink(self, interface: str, up: bool) -> None:
        """Set an interface up or down on the host itself."""
        self._netlink.link("set", index=self.index(interface), state="up" if up else "down")

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        """A socket of this host."""
        with self.namespace.entered():
            return Socket(family, kind, protocol)

    def packetSocket(self, interface: str = "eth0") -> Socket:
        """A packet socket of this host, bound to one of its interfaces, that receives nothing."""
        with self.namespace.entered():
            packets = Socket(AF_PACKET, SOCK_RAW, 0)
            packets.bind((interface, 0))
        return packets

    def hasCarrier(self, interface: str = "eth0") -> bool:
        """Does an interface see the other end of its cable?"""
        return bool(self._netlink.get_links(self.index(interface))[0]["flags"] & IFF_LOWER_UP)

    def run(self, argv: Sequence[str]) -> str:
        """Run a short command there, without a shell, wait for it, and return what it printed."""
        with self.namespace.entered():
            done = subprocess.run(list(argv), text=True, capture_output=True, check=False)
        if done.returncode != 0:
            said = done.stderr.strip()
            raise HatwistError(f"{' '.join(argv)} on {self.name}: {done.returncode}: {said}")
        return done.stdout

    def spawn(
        self,
        reactor: Any,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        path: str | None = None,
    ) -> Program:
        """
        Start a program there, in a session and process group of its own.

        @param env: its whole environment; default: this process's.
        @param path: its working directory.
        """
        assert IReactorProcess.providedBy(reactor)
        assert IReactorTime.providedBy(reactor)
        setsid = shutil.which("setsid")
        if setsid is None:
            raise HatwistError("the lab needs the setsid program: install the package util-linux")
        program = Program(f"{os.path.basename(argv[0])} on {self.name}", reactor)
        environment = dict(os.environ if env is None else env)
        environment.setdefault("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
        if "STATE_DIRECTORY" in os.environ:
            environment["STATE_DIRECTORY"] = os.path.join(
                os.environ["STATE_DIRECTORY"], self._memory
            )
        with self.namespace.entered():
            reactor.spawnProcess(program, setsid, [setsid, *argv], environment, path)
        self.programs.append(program)
        return program

    def unplug(self, link: int = 0) -> None:
        """Pull the cable: the host loses carrier."""
        self._switch.setPort(self.name, link, False)

    def plug(self, link: int = 0) -> None:
        """Put the cable back."""
        self._switch.setPort(self.name, link, True)

    def powerOff(self) -> None:
        """
        Take its power: silent at once, then every process dies without a word, and what its kernel
        had is gone. Its programs end when the reactor runs next.
        """
        for link in range(self._links):
            self.unplug(link)
        self.killAll()
        for link in range(self._links):
            self._netlink.flush_addr(index=self.index(f"eth{link}"))

    def powerOn(self) -> None:
        """Boot it: its own addresses, cables in, no programs."""
        for link in range(self._links):
            self._addOwnAddresses(link)
            self.setLink(f"eth{link}", True)
            self.plug(link)

    def killAll(self) -> None:
        """SIGKILL for every process on the host: none lives to see another one die."""
        pids = [pid for pid in self.namespace.processes() if pid != os.getpid()]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                _kill(pid, number)

    def freeze(self) -> None:
        """Suspend every process on the host, as a paused virtual machine does (its kernel runs)."""
        for pid in self.namespace.processes():
            _kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        for pid in self.namespace.processes():
            _kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill what runs there and let go of the namespace."""
        self.killAll()
        self._netlink.close()
        self.namespace.close()


class LabLan:
    """
    Hosts on one switch, or several.

    @ivar hosts: every host by name, the client last.
    """

    def __init__(self, hosts: Sequence[str] = ("alpha", "beta"), links: int = 1) -> None:
        """
        @param hosts: their names, at most 13 characters each; their numbers are 1, 2, ...
        @param links: how many separate LANs every host is on.
        @raise HatwistError: this is no private world, and not root either.
        """
        self.hosts: dict[str, Host] = {}
        try:
            self._switch = Switch(links)
        except PermissionError as error:
            raise HatwistError(
                "the lab needs a private world: python -m hatwist.lab.world -- COMMAND"
            ) from error
        try:
            for number, name in enumerate(hosts, 1):
                self.hosts[name] = Host(name, number, self._switch, links)
            self.hosts[CLIENT] = Host(CLIENT, CLIENT_NUMBER, self._switch, links)
        except BaseException:
            for host in self.hosts.values():
                host.close()
            self._switch.close()
            raise

    def host(self, name: str) -> Host:
        """The host of that name."""
        return self.hosts[name]

    @property
    def client(self) -> Host:
        """The host that uses the shared address."""
        return self.hosts[CLIENT]

    def cut(self, a: str, b: str, oneWay: bool = False, link: int = 0) -> None:
        """Drop what C{a} sends to C{b}, and the reverse unless C{oneWay}; carriers stay."""
        there = f"iifname {a}{link} oifname {b}{link}"
        back = f"iifname {b}{link} oifname {a}{link}"
        self._switch.drop(("cut", a, b, str(link)), there, *(() if oneWay else (back,)))

    def heal(self, a: str, b: str, link: int = 0) -> None:
        """Undo L{cut}, both ways."""
        self._switch.allow(("cut", a, b, str(link)), ("cut", b, a, str(link)))

    def isolate(self, host: str, link: int = 0) -> None:
        """Drop all that goes to or comes from a host; its carrier stays."""
        port = f"{host}{link}"
        self._switch.drop(("isolate", port), f"iifname {port}", f"oifname {port}")

    def rejoin(self, host: str, link: int = 0) -> None:
        """Undo L{isolate}."""
        self._switch.allow(("isolate", f"{host}{link}"))

    def block(self, host: str, port: int, link: int = 0) -> None:
        """Drop a host's UDP to one port, in and out: a firewall that eats only heartbeats."""
        at = f"{host}{link}"
        self._switch.drop(
            ("block", at), f"iifname {at} udp dport {port}", f"oifname {at} udp dport {port}"
        )

    def unblock(self, host: str, link: int = 0) -> None:
        """Undo L{block}."""
        self._switch.allow(("block", f"{host}{link}"))

    def loss(self, host: str, percent: int, link: int = 0) -> None:
        """Drop that share of a host's frames, each way, at random; 0: none."""
        at = f"{host}{link}"
        dice = f"numgen random mod 100 < {percent}"
        if percent:
            self._switch.drop(("loss", at), f"iifname {at} {dice}", f"oifname {at} {dice}")
        else:
            self._switch.allow(("loss", at))

    def healAll(self) -> None:
        """Undo every cut, isolation, block and loss."""
        self._switch.healAll()

    def close(self) -> Deferred[None]:
        """Kill every process on every host and remove all; fires when they have ended."""
        running = [p for h in self.hosts.values() for p in h.programs if p.status is None]
        for host in self.hosts.values():
            host.close()
        self._switch.close()
        ends: Deferred[Any] = DeferredList([p.ended() for p in running], consumeErrors=True)
        return ends.addCallback(lambda _: None)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
