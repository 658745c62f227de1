"""
The settings of one node: from words to frozen values, with every problem told at once.

L{settings} reads words such as the options of C{twistd ha}, L{load} a configuration file.
"""

from hatwist.resources.alias import AliasSpec
from hatwist.resources.command import CommandSpec
from hatwist.resources.interface import InterfaceSpec
from hatwist.resources.unit import UnitSpec
from hatwist.settings.file import load, loadAll
from hatwist.settings.keyfile import readKeys
from hatwist.settings.options import settings
from hatwist.settings.values import GROUP, MIN_LEASE, MULTICAST, TOLERANCE, GroupSettings, Settings

__all__ = [
    "GROUP",
    "MIN_LEASE",
    "MULTICAST",
    "TOLERANCE",
    "AliasSpec",
    "CommandSpec",
    "GroupSettings",
    "InterfaceSpec",
    "Settings",
    "UnitSpec",
    "load",
    "loadAll",
    "readKeys",
    "settings",
]
