"""A request as its bytes come in: whole or not yet, decided by gunicorn's own parser alone.

The application is given a body whose chunks are taken apart already, so nobody decides a second time where a request
ends; two who could differ on that is how requests are smuggled.
"""

import io
from collections.abc import Callable
from typing import IO, Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, LimitRequestHeaders
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

from tillhook.server.front.spool import Room, Spool

#: Bytes of a request's head.
MAX_HEAD = 32 * 1024
#: Bytes of sizes, extensions and line ends in a chunked body, beyond as much as the body itself.
_MAX_FRAMING = 1024 * 1024
_MAX_TRAILER = 8192


class _Incomplete(Exception):
    """More bytes are needed."""


class _Bytes(Unreader):
    """What has come so far; who asks it for more is told that there is none yet."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__()
        self.buf.write(data)

    def chunk(self, size_hint: int | None = None) -> bytes:
        raise _Incomplete


class Incoming:
    """One request of a connection.

    Args:
        limit_of: Says how large a body the request may have; one known to be larger is not read, and the application
            says so.
    """

    __slots__ = (
        *("_cfg", "_chunks", "_head", "_left", "_limit", "_limit_of", "_number", "_peer", "_room", "_spool"),
        *("body", "received", "request", "rest", "wants_continue"),
    )

    def __init__(self, cfg: Any, peer: Any, number: int, room: Room, limit_of: Callable[[Any], int]) -> None:
        self._cfg, self._peer, self._number, self._room, self._limit_of = cfg, peer, number, room, limit_of
        self._head = b""
        self._chunks: _Chunks | None = None
        self._left = self._limit = 0
        self._spool: Spool | None = None
        #: gunicorn's request, once its head is there.
        self.request: Any = None
        self.body: IO[bytes] | None = None
        #: What came behind the request, when it is whole.
        self.rest = b""
        self.received = 0
        #: The client waits for ``100 Continue``.
        self.wants_continue = False

    def feed(self, data: bytes) -> bool:
        """Take what has come, and say whether the request is whole.

        Raises:
            Exception: gunicorn's, of ``gunicorn.http.errors``: it is no HTTP.
            NoRoom: No room for the body.
        """
        self.received += len(data)
        if self.request is None:
            parsed = self._parse(data)
            if parsed is None:
                return False
            whole = self._begin(parsed)
        else:
            whole = self._take(data)
        if whole:
            self.request.body = self.body
        return whole

    def close(self) -> None:
        """Let the body go."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _parse(self, data: bytes) -> bytes | None:
        """Return what came behind the head, ``None`` while the head has no end."""
        whole = self._head + data if self._head else data
        # Nothing is decided in the middle of a line, unless it is too long.
        if b"\n" in data or len(whole) > MAX_HEAD:
            buffer = _Bytes(whole)
            try:
                self.request = Request(self._cfg, buffer, self._peer, self._number)
            except _Incomplete:
                if len(whole) > MAX_HEAD:
                    raise LimitRequestHeaders("max buffer headers") from None
            else:
                self._head = b""
                rest: bytes = buffer.take_buffered()
                return rest
        self._head = whole
        return None

    def _begin(self, data: bytes) -> bool:
        """Take the first bytes behind the head."""
        expects = self.request._expected_100_continue
        # gunicorn would send it once more.
        self.request._expected_100_continue = False
        reader = self.request.body.reader
        if isinstance(reader, ChunkedReader):
            self._chunks = _Chunks(self.request)
        elif reader.length <= len(data):
            self.body, self.rest = io.BytesIO(data[: reader.length]), data[reader.length :]
            return True
        else:
            self._left = reader.length
        self._limit = self._limit_of(self.request)
        if self._left > self._limit:
            return self._give_up()
        self._spool = Spool(self._room)
        whole = self._take(data)
        self.wants_continue = expects and not whole
        return whole

    def _take(self, data: bytes) -> bool:
        assert self._spool is not None
        if self._chunks is not None:
            self._spool.write(self._chunks.feed(data))
            if self._spool.size > self._limit and not self._chunks.ended:
                return self._give_up()
            if not self._chunks.ended:
                return False
            self.rest = self._chunks.rest
        else:
            self._spool.write(data[: self._left])
            self.rest = data[self._left :]
            self._left -= len(data) - len(self.rest)
            if self._left:
                return False
        self.body = self._spool.opened()
        return True

    def _give_up(self) -> bool:
        """Leave the rest unread; the application sees by the length, or by what is there, that it is too much."""
        self.request.force_close()
        self.body = io.BytesIO() if self._spool is None else self._spool.opened()
        return True


class _Chunks(ChunkedReader):
    """A chunked body, taken apart as it comes, by gunicorn's reading of the lines between."""

    def __init__(self, request: Any) -> None:
        super().__init__(request, None)
        self.limit_trailer_section = _MAX_TRAILER
        self._raw = bytearray()
        self._left = 0
        self._after_chunk = False
        self._framing = _MAX_FRAMING
        self.ended = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what of the body is in ``data``.

        Raises:
            Exception: gunicorn's: these are no chunks.
        """
        self._raw += data
        pieces: list[bytes] = []
        while self._step(pieces):
            pass
        body = b"".join(pieces)
        self._framing -= len(data) - 2 * len(body)
        if self._framing < 0:
            raise InvalidChunkSize(b"chunks too small")
        return body

    def _step(self, pieces: list[bytes]) -> bool:
        """Take one chunk's part, its end, or the line before it; false when that needs more bytes."""
        raw = self._raw
        if self._left:
            pieces.append(bytes(raw[: self._left]))
            del raw[: self._left]
            self._left -= len(pieces[-1])
            return not self._left
        if self._after_chunk:
            if not b"\r\n".startswith(raw[:2]):
                raise ChunkMissingTerminator(bytes(raw[:2]))
            if len(raw) < 2:
                return False
            del raw[:2]
            self._after_chunk = False
        return self._line()

    def _line(self) -> bool:
        raw = self._raw
        end = raw.find(b"\r\n") + 2
        if end < 2 and b"\n" in raw:
            raise InvalidChunkSize(b"bare LF as line terminator")
        line = bytes(raw[:end] if end >= 2 else raw)
        # Only behind the last chunk's size is there more to read than the line.
        behind = _Bytes(bytes(raw[end:])) if end >= 2 and line[:1] == b"0" else _Bytes()
        try:
            size, _ = self.parse_chunk_size(behind, data=line)
        except _Incomplete:
            return False
        if size:
            del raw[:end]
            self._left, self._after_chunk = size, True
            return True
        self.ended, self.rest = True, behind.take_buffered()
        raw.clear()
        return False
