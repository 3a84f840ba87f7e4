"""CircuitPython runs this instead of code.py when it is in safe mode."""

from circuitpython_life import recover

recover()
