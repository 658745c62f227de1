"""Everything is in setup.cfg; this file serves tools that ask for it."""

from setuptools import setup

setup()
