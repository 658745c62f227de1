"""hatwist keeps shared IP addresses alive when a Linux host dies."""

__version__ = "0.1.0"
