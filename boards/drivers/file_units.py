"""One file per erase unit, for boards whose flash has no raw region: stock images.

Program is append, erase is truncate; what lies beyond a file's end reads as 0xFF. A small file each, and only appended
to, because littlefs copies what follows a change in a file. Each call opens, writes and closes: littlefs makes a change
durable when the file is closed, all of it or nothing.
"""

import errno
import os

from medium import Medium

_ERASE = 4096
_PROGRAM = 256


class FileUnits(Medium):
    """`units` files of up to 4096 bytes in folder, made when needed; program units of 256 bytes.

    Raises OSError if the folder can't be made. A full file system shows as OSError on program.
    """

    def __init__(self, folder, units):
        self._folder = folder
        try:
            os.mkdir(folder)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        super().__init__(units * _ERASE, _ERASE, _PROGRAM)

    def _path(self, offset):
        return "%s/%04d" % (self._folder, offset // _ERASE)

    def _read(self, offset, buf):
        done = 0
        while done < len(buf):
            start = (offset + done) % _ERASE
            n = min(_ERASE - start, len(buf) - done)
            self._read_unit(self._path(offset + done), start, memoryview(buf)[done : done + n])
            done += n

    def _read_unit(self, path, start, view):
        n = 0
        try:
            with open(path, "rb") as file:
                if file.seek(0, 2) > start:
                    file.seek(start)
                    n = file.readinto(view)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        while n < len(view):
            end = min(n + _PROGRAM, len(view))
            view[n:end] = self._blank[: end - n]
            n = end

    def _program(self, offset, data):
        start = offset % _ERASE
        with open(self._path(offset), "ab") as file:
            end = file.seek(0, 2)
            if end <= start:
                while end < start:  # program units that were skipped stay blank
                    end += _whole(file.write(self._blank), _PROGRAM)
                _whole(file.write(data), _PROGRAM)
                return
        with open(self._path(offset), "r+b") as file:  # a unit skipped before: the rare case, copied by littlefs
            file.seek(start)
            _whole(file.write(data), _PROGRAM)

    def _erase(self, offset):
        open(self._path(offset), "wb").close()


def _whole(written, length):
    """Return written. Raises OSError unless it is length."""
    if written != length:
        raise OSError(errno.EIO, "only %r of %d bytes were written: is the file system full?" % (written, length))
    return written
