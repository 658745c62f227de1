"""What C{/status} tells in some situations: two groups on three nodes, as alpha sees them."""

from __future__ import annotations

import time
from typing import Any

NODES = ("alpha", "beta", "gamma")
PRIORITIES = {
    "web": {"alpha": 200, "beta": 150, "gamma": 100},
    "mail": {"alpha": 150, "beta": 200, "gamma": 100},
}


def well() -> dict[str, Any]:
    """alpha holds web, beta holds mail, gamma stands by."""
    now = time.time()
    groups = {
        "web": _group(
            "alpha",
            "ACTIVE",
            7,
            now - 8059,
            "no holder was heard",
            ["192.168.1.100/24", "nginx.service"],
        ),
        "mail": _group(
            "beta",
            "STANDBY",
            3,
            now - 8061,
            "named as successor",
            ["192.168.1.101/24"],
        ),
    }
    groups["web"]["checks"] = [
        {"name": "http://127.0.0.1/", "state": "good", "reason": "200 in 0.004 s"}
    ]
    return {
        "version": "0.4.0",
        "cluster": "production",
        "node": "alpha",
        "session": 1795219200000,
        "uptime": 8070.2,
        "interval": 0.1,
        "tolerance": 0.35,
        "digest": "9f0c55aa01b2c3d4",
        "signed": True,
        "drained": False,
        "alone": "",
        "guarantee": {
            "level": "exclusive",
            "reason": "a holder has the votes of 2 of 3 nodes, and releases 0.333 s after the last confirmed "
            "heartbeat; 2 lost round trips are survived",
            "gaps": [
                "daemon and guard killed together: the kernel's lease is longer than the votes"
            ],
        },
        "groups": groups,
        "nodes": {name: _node(name, now) for name in NODES},
        "history": [
            _change(now - 8062, "alpha", "web", None, "STANDBY", 0, "started, listening"),
            _change(
                now - 8061,
                "alpha",
                "mail",
                "ACTIVE",
                "STANDBY",
                2,
                "handed over to beta, which was worthier",
            ),
            _change(now - 8060.9, "beta", "mail", "STANDBY", "ACTIVE", 3, "named as successor"),
            _change(now - 8059, "alpha", "web", "STANDBY", "ACTIVE", 7, "no holder was heard"),
        ],
        "counters": {"sent": 80700, "received": {"beta/eth0": 80650}, "rejected": {}},
        "troubles": [],
    }


def dead() -> dict[str, Any]:
    """beta is gone, alpha has just taken over mail from it, and a link to gamma is silent."""
    told = well()
    now = time.time()
    beta = told["nodes"]["beta"]
    beta.update(alive=False, age=42.6, links={"eth0": 42.6, "eth1": 42.7}, received=20)
    told["groups"]["mail"].update(
        role="ACTIVE", holder="alpha", term=4, since=now - 42.2, reason="no holder was heard"
    )
    told["nodes"]["alpha"]["groups"]["mail"]["role"] = "ACTIVE"
    told["nodes"]["gamma"]["links"]["eth1"] = 61.3
    told["nodes"]["gamma"]["groups"]["web"].update(
        fitness="unfit", reason="http://127.0.0.1/: connection refused", eligible=False
    )
    told["history"].append(
        _change(now - 42.2, "alpha", "mail", "STANDBY", "ACTIVE", 4, "no holder was heard")
    )
    rejected = "12 packets were rejected on eth0 since the start, the newest 0.1 s ago (signature)"
    who = "192.168.1.9 sends heartbeats whose signature does not match"
    told["troubles"] = [f"{who}: {rejected}"]
    return told


def acquiring() -> dict[str, Any]:
    """alpha is on its way to hold web, which gamma had."""
    told = well()
    web = told["groups"]["web"]
    web.update(role="STANDBY", state="acquiring", step=1, steps=2)
    web["under_way"] = {"alpha": "acquiring, step 1 of 2", "gamma": "releasing, step 2 of 3"}
    words = "acquiring, step 1 of 2: 192.168.1.100/24"
    told["nodes"]["alpha"]["groups"]["web"].update(role="ACTIVE", reason=words)
    return told


def conflict() -> dict[str, Any]:
    """alpha and beta hold web at the same time, and nobody holds mail."""
    told = well()
    web = told["nodes"]["beta"]["groups"]["web"]
    web.update(role="ACTIVE", term=8)
    told["nodes"]["beta"]["groups"]["mail"].update(
        role="STANDBY", fitness="unfit", reason="disk full", eligible=False
    )
    told["groups"]["mail"].update(holder=None)
    told["nodes"]["beta"]["configuration"] = "differs"
    return told


def alone() -> dict[str, Any]:
    """alpha hears nobody: it holds web, and cannot know who holds mail; gamma said goodbye by its guard."""
    told = well()
    told["alone"] = (
        "alpha hears no other node: it may be the one that is cut off. Look at the others: beta"
    )
    told["nodes"]["beta"].update(alive=False, age=42.6, links={"eth0": 42.6, "eth1": 42.7})
    told["nodes"]["gamma"].update(alive=False, left=True, fenced=True, age=60.1, links={})
    told["groups"]["mail"].update(holder=None, since=None, term=0, reason="alpha is ready")
    return told


def drained() -> dict[str, Any]:
    """gamma was drained."""
    told = well()
    for said in told["nodes"]["gamma"]["groups"].values():
        said.update(fitness="unfit", reason="drained (hatwist undrain ends it)", eligible=False)
    return told


def _group(
    holder: str, role: str, term: int, since: float, reason: str, resources: list[str]
) -> dict[str, Any]:
    return {
        "role": role,
        "holder": holder,
        "term": term,
        "since": since,
        "reason": reason,
        "fitness": "fit",
        "fitness_reason": "",
        "priority": 200,
        "eligible": True,
        "step": 0,
        "steps": 0,
        "protocol": "native",
        "under_way": {},
        "resources": resources,
        "checks": [],
    }


def _node(name: str, now: float) -> dict[str, Any]:
    own = name == "alpha"
    holds = {"alpha": "web", "beta": "mail"}.get(name)
    return {
        "alive": True,
        "self": own,
        "age": 0.04,
        "session": 1795219200000,
        "configuration": "same",
        "links": {} if own else {"eth0": 0.04, "eth1": 0.05},
        "received": 20,
        "left": False,
        "fenced": False,
        "hears_us": True,
        "outside": False,
        "groups": {
            group: {
                "role": "ACTIVE" if group == holds else "STANDBY",
                "fitness": "fit",
                "reason": "",
                "priority": PRIORITIES[group][name],
                "term": 7 if group == "web" else 3,
                "eligible": True,
            }
            for group in ("web", "mail")
        },
    }


def _change(
    at: float, node: str, group: str, old: str | None, new: str, term: int, reason: str
) -> dict[str, Any]:
    return {
        "time": at,
        "node": node,
        "group": group,
        "old": old,
        "new": new,
        "term": term,
        "reason": reason,
    }
