"""
A web server that listens only on the host that holds the shared address.

Run it on each of two hosts, as root::

    ADDRESS=192.168.1.100/24 twistd --nodaemon --pidfile= --python examples/webserver.tac
"""

import os
import socket

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.web.resource import Resource
from twisted.web.server import Site

from hatwist.api import Listener, makeService, settings

node = os.environ.get("NODE", socket.gethostname())
chosen = settings(
    interface=os.environ.get("INTERFACE", "eth0"),
    address=[os.environ["ADDRESS"]],
    node=node,
    priority=os.environ.get("PRIORITY", "100"),
    interval=os.environ.get("INTERVAL", "1.0"),
    keyFile=os.environ.get("KEY_FILE"),
    here=True,
)


class Hello(Resource):
    """One page, which says where it comes from."""

    isLeaf = True

    def render_GET(self, request):
        return f"hello from {node}\n".encode()


shared = str(chosen.addresses[0].address)
ha = makeService(chosen, reactor)
# The address is there when this starts, so that a server may listen on it alone.
ha.addActive(Listener(TCP4ServerEndpoint(reactor, 80, interface=shared), Site(Hello())))

application = Application("webserver")
ha.setServiceParent(application)
