"""CircuitPython starts this at power-on and after every reload."""

from circuitpython_life import run

run()
