"""A model of files on littlefs, as MicroPython's VfsLfs2 gives them (extmod/vfs_lfsx_file.c), and of its trouble.

A change is durable when the file is closed; append mode writes at the end wherever the position is; a full file system
raises OSError(28) when data meet it, or at close; MicroPython's stream layer may write less than it was given.
"""

import errno

NO_SPACE = 28  # MicroPython's errno module has no name for it


class Files:
    """files: {path: bytes}. room: bytes until full. short: how many bytes the next write takes at most, or None.

    garbles: every write stores one wrong bit. appended, rewritten: writes so far at a file's end, and elsewhere.
    """

    def __init__(self, room=1 << 30):
        self.files = {}
        self.folders = set()
        self.room = room
        self.short = None
        self.garbles = False
        self.appended = 0
        self.rewritten = 0

    def mkdir(self, path):
        if path in self.folders:
            raise OSError(errno.EEXIST, "exists")
        self.folders.add(path)

    def open(self, path, mode="r"):
        if path.rsplit("/", 1)[0] not in self.folders:
            raise OSError(errno.ENOENT, "no folder")
        if mode in ("rb", "r+b") and path not in self.files:
            raise OSError(errno.ENOENT, "no file")
        assert mode in ("rb", "r+b", "ab", "wb"), mode
        return _File(self, path, mode)


class _File:
    def __init__(self, model, path, mode):
        self._model = model
        self._path = path
        self._mode = mode
        self._data = b"" if mode == "wb" else model.files.get(path, b"")
        self._at = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def seek(self, offset, whence=0):
        self._at = offset + (len(self._data) if whence == 2 else 0)
        return self._at

    def readinto(self, buf):
        data = self._data[self._at : self._at + len(buf)]
        buf[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data):
        assert self._mode != "rb"
        model = self._model
        data = bytes(data)
        if model.short is not None:
            data = data[: model.short]
            model.short = None
        if model.garbles:
            data = bytes([data[0] ^ 4]) + data[1:]
        if self._mode == "ab":
            self._at = len(self._data)
            model.appended += 1
        else:
            model.rewritten += 1
        after = self._data[: self._at] + data + self._data[self._at + len(data) :]
        if len(after) - len(self._data) > model.room:
            raise OSError(NO_SPACE, "no space")
        model.room -= len(after) - len(self._data)
        self._data = after
        self._at += len(data)
        return len(data)

    def close(self):
        if self._mode == "wb":
            self._model.room += len(self._model.files.get(self._path, b""))
        if self._mode != "rb":
            self._model.files[self._path] = self._data
