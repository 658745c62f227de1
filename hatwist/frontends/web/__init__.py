"""
What one node tells over HTTP: figures for Prometheus, its status, its health, and a page for people.

    from hatwist.api import Web

    Web(service, "tcp:9107:interface=127.0.0.1").setServiceParent(service)

It only ever tells, and asks nobody who they are: bind it where everybody may know.
"""
