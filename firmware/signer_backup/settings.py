"""The owner's settings on the medium: one small record that counts by itself (FORMAT.md, "Settings")."""

from backup_format.errors import FormatError
from backup_format.records import SETTINGS, parse_settings, settings_body


def find_settings(log):
    """Return (settings, erase unit that holds them) of a Log whose commits() were walked; (None, None): it has none.

    settings: (strategy, updates).
    """
    if log.settings < 0:
        return None, None
    try:
        return parse_settings(log.body(log.settings)[1]), log.unit(log.settings)
    except FormatError:
        return None, None


def append_settings(writer, settings):
    """Append settings, unless None, to a transaction that has just begun: being first, they lie in one program unit.

    Return the erase unit that holds them, or None. Raises MediumError.
    """
    if settings is None:
        return None
    return writer.log.unit(writer.append(SETTINGS, [settings_body(*settings)]))
