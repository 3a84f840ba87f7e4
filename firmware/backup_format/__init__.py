"""Formats shared by the board and the host: compact values, journal records, link frames.

Pure code for MicroPython, CircuitPython and CPython alike. FORMAT.md is the specification of what lies on the
medium, LINK.md of what goes over the wire.
"""
