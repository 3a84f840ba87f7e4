"""An ESP32's SD slot: machine.SDCard, made anew each time, since after an error its state is unknown."""

import machine


class SdSlot:
    """pins: machine.SDCard's own arguments (slot, sck, miso, mosi, cs, freq …)."""

    def __init__(self, **pins):
        self._pins = pins
        self._card = None

    def open(self):
        """Return a machine.SDCard. Raises OSError."""
        if self._card is not None:
            self._card.deinit()  # the bus takes no second owner
            self._card = None
        self._card = machine.SDCard(**self._pins)
        return self._card
