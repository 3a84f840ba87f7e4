"""Types of options that several commands share; shells complete what they stand for (docs/command.md)."""

import click
from click.shell_completion import CompletionItem

FILE = click.Path(readable=False)  # whether it can be read shows when it is read
"""The name of a file."""


class _Port(click.ParamType[str]):
    name = "port"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the serial ports of this computer."""
        from serial.tools import list_ports

        names = sorted(port.device for port in list_ports.comports())
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


PORT = _Port()
"""A board's serial port."""
