"""Carriers on the real kernel."""

from __future__ import annotations

import time

import pytest
import pytest_twisted
from pyroute2 import IPRoute
from twisted.internet import reactor

from hatwist.linux.netlink.carrier import CarrierWatch
from hatwist.linux.netlink.socket import Netlink
from tests.wire import Wire

pytestmark = pytest.mark.needs("ip")


@pytest_twisted.ensureDeferred
async def test_latency() -> None:
    """A pulled cable is told within 2 ms, as a rule, and so is one that is put back."""
    wire = Wire()
    netlink = Netlink(reactor)
    netlink.start()
    told: list[tuple[float, str]] = []
    carrier = CarrierWatch(
        netlink,
        [Wire.near],
        lambda name: told.append((time.monotonic(), f"{name} up")),
        lambda name: told.append((time.monotonic(), f"{name} down")),
    )
    with wire.there.entered():
        far = IPRoute()
    try:
        await wire.until(lambda: carrier.running[Wire.near] is not None or not carrier.start())
        await wire.until(lambda: carrier.running[Wire.near])
        index = far.link_lookup(ifname=Wire.far)[0]
        took: dict[str, list[float]] = {"down": [], "up": []}
        for _ in range(10):
            for state in ("down", "up"):
                told.clear()
                began = time.monotonic()
                far.link("set", index=index, state=state)
                ended = time.monotonic()
                await wire.until(lambda: bool(told))
                assert told[0][1] == f"{Wire.near} {state}"
                # The command itself waits for the kernel, which tells before it is over.
                took[state].append(told[0][0] - began)
                print(f"{state}: command {1000 * (ended - began):.2f} ms")
        for state, times in took.items():
            median, worst = sorted(times)[5] * 1000, max(times) * 1000
            print(f"{state}: median {median:.2f} ms, worst {worst:.2f} ms from the command")
    finally:
        carrier.stop()
        far.close()
        netlink.stop()
        wire.close()
    assert sorted(took["down"])[5] < 0.02
