"""The simulated board: a real MicroPython process behind a pseudo terminal that stands in for a board's USB port."""
