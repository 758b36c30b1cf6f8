"""Bytes that wait, in memory while they are few and there is room, else in a file without a name."""

import io
import tempfile
from threading import Lock
from typing import IO

#: Bytes of one body or answer that stay in memory.
IN_MEMORY = 1024 * 1024


class NoRoom(Exception):
    """Too much is waiting already, or the temporary folder is full."""


class Room:
    """What all spools of a process hold together, in bytes."""

    def __init__(self, memory: int = 64 * 1024 * 1024, disk: int = 1024 * 1024 * 1024) -> None:
        self._memory, self._disk = memory, disk
        self.in_memory = self.on_disk = 0
        self._lock = Lock()

    @property
    def is_tight(self) -> bool:
        """Whether three quarters of the disk's share are taken."""
        return self.on_disk > self._disk * 3 // 4

    def add(self, memory: int = 0, disk: int = 0) -> bool:
        """Take that much, less where it is negative; false, and nothing is taken, when there is no room."""
        with self._lock:
            in_memory, on_disk = self.in_memory + memory, self.on_disk + disk
            if (memory > 0 and in_memory > self._memory) or (disk > 0 and on_disk > self._disk):
                return False
            self.in_memory, self.on_disk = in_memory, on_disk
            return True


class Spool:
    """Written to the end, then read once."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Keep ``data``.

        Raises:
            NoRoom: There is none on the disk either; close it.
        """
        if self._file is None:
            if self.size + len(data) <= IN_MEMORY and self._room.add(memory=len(data)):
                self._memory += data
                self.size += len(data)
                return
            self._to_file()
        assert self._file is not None
        if not self._room.add(disk=len(data)):
            raise NoRoom
        self.size += len(data)
        self._put(data)

    def _to_file(self) -> None:
        if not self._room.add(disk=self.size):
            raise NoRoom
        self._room.add(memory=-self.size)
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the spool
        except OSError:
            self._room.add(memory=self.size, disk=-self.size)
            raise NoRoom from None
        memory, self._memory = self._memory, bytearray()
        self._put(memory)

    def _put(self, data: bytes | bytearray) -> None:
        assert self._file is not None
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise NoRoom from error

    def opened(self) -> IO[bytes]:
        """Return all that was written, for reading from its beginning; good until it is closed."""
        if self._file is None:
            return io.BytesIO(self._memory)
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give the room back."""
        if self._file is None:
            self._room.add(memory=-self.size)
        else:
            self._room.add(disk=-self.size)
            self._file.close()
        self.size, self._memory = 0, bytearray()
