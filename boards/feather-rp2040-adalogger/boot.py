"""CircuitPython runs this once, before USB starts."""

from circuitpython_life import boot

boot()
