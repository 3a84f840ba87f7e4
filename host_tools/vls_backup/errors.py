"""What can go wrong, each kind with the exit status that scripts may rely on."""


class BackupError(Exception):
    """One plain sentence for the user: what is wrong, where, and what to do. Status 1: the input is bad or damaged."""

    exit_status = 1


class IncompleteError(BackupError):
    """Channels lack what a recovery needs (an address), or no complete channel is there at all."""

    exit_status = 3


class NoSnapshotError(BackupError):
    """The board answers, but holds no snapshot yet."""

    exit_status = 4


class BoardError(BackupError):
    """The board or its port: not found, busy, or it stopped answering."""

    exit_status = 5


class OutputError(BackupError):
    """The result could not be written; what was there before is untouched."""

    exit_status = 6


class WrongSeedError(BackupError):
    """The seed is not the one that the backup's signer has."""

    exit_status = 7


class LightningdError(BackupError):
    """lightningd: no answer, a refusal, or not one that this backup may be recovered with."""

    exit_status = 8


class UnfinishedError(BackupError):
    """The recovery went as far as it can here, but some channel needs more: the words say which and what."""

    exit_status = 9


class FieldError(ValueError):
    """One field of a state entry that is not what it must be. The caller adds the file and the entry's key."""

    def __init__(self, field: str, reason: str) -> None:
        """Say which field (dotted path inside the value; "" = the value itself) and what is wrong with it."""
        super().__init__(f"field {field}: {reason}" if field else reason)


def cannot_read(name: str, error: OSError) -> BackupError:
    """Return the error that says why the file name can't be read, and what to do."""
    reason = f"{name}: cannot be read: {error.strerror or error}"
    return BackupError(f"{reason}. {_REMEDIES.get(type(error), 'Try another copy of it, or another drive')}")


_REMEDIES: dict[type[OSError], str] = {
    FileNotFoundError: "Check its name and its folder",
    NotADirectoryError: "Check its name and its folder",
    IsADirectoryError: "Name a file in it",
    PermissionError: "Run this as the user who may read it (ls -l shows who)",
}


EXIT_STATUS_HELP = """\
Exit status:
  0    done
  1    the input file is bad or damaged
  2    wrong usage
  3    incomplete: a channel without an address, a damaged one left out, or no complete channel
  4    no snapshot on the board yet
  5    the board or its port: not found, or it stopped answering
  6    the output could not be written, or holds a newer backup
  7    the seed is not this backup's
  8    lightningd: no answer, or not the one to recover with (another node, too old, not fresh, not in sync)
  9    recovered, but for channels that need a repair or a second pass
  130  stopped by Ctrl-C
  141  the program that read standard output went away"""
