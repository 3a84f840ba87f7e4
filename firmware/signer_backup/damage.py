"""What a write that went elsewhere may have hit (docs/media-format.md, "A write that did not arrive")."""

from backup_format.errors import FormatError
from backup_format.live import whole_commits
from backup_format.log import read_header

from .blockdev import MediumError
from .mount import IndexPlaces


def headers_hold(writer):
    """Return whether all erase units up to the writer's last good transaction have their headers. Raises MediumError,
    FormatError."""
    log = writer.log
    for start, unit in log.places():
        if start < writer.end:  # what a write that failed opened, behind the last good one, may have no header
            header = read_header(log.read_into, log.erase_size, unit)
            if not header or (header.arena, header.start) != (log.arena, start):
                return False
    return True


def check_live(state, writer):
    """Look at all that only the medium holds. What is lost is lost in state; where a header is, a checkpoint must save
    what stands behind it (state.log_damaged). Raises MediumError if an entry is lost: the node has to send it."""
    if not headers_hold(writer):
        state.log_damaged = True
    before = state.log_damaged
    state.log_damaged = False
    for row in state.stored_rows():
        try:
            state.read(row)
        except FormatError:
            state.lose(row)
    lost, state.log_damaged = state.log_damaged, state.log_damaged or before
    if lost:
        raise MediumError("the medium lost a part of the state: waiting for the node's full state")


def is_whole(state, log, end):
    """Return whether the snapshot whose commit ends at log position end is there. Raises MediumError, FormatError."""
    found = False
    for _commit, behind, whole in whole_commits(log, IndexPlaces(state.index), end):
        found = whole and behind == end  # if its commit is damaged, only those before are met
    return found
