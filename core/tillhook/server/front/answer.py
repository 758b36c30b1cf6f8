"""An answer on its way: the thread that writes it never waits for who reads it."""

import socket

from tillhook.server.front.spool import NoRoom, Room, Spool

#: Bytes that are gathered before they are sent; most answers are fewer, and one call sends them.
_AT_ONCE = 64 * 1024


class Answer:
    """What gunicorn takes for the socket while a request is answered."""

    def __init__(self, connection: socket.socket, room: Room) -> None:
        self._socket = connection
        self._room = room
        self._parts: list[bytes] = []
        self._size = 0
        self._keeps: bool | None = None
        #: What the client has not taken yet; whoever sends it closes it.
        self.rest: Spool | None = None

    def sendall(self, data: bytes) -> None:
        """Send, soon.

        Raises:
            OSError: The client is gone, or takes so little that there is no room for the rest.
        """
        if self._keeps is None:
            self._keeps = b"\r\nConnection: keep-alive\r\n" in data
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _AT_ONCE:
            self.flush()

    send = sendall

    @property
    def keeps(self) -> bool:
        """Whether its head says that the connection stays open; that holds, though the server has begun to stop."""
        return bool(self._keeps)

    def flush(self) -> None:
        """Send what was gathered; as ``sendall``."""
        data = b"".join(self._parts)
        self._parts, self._size = [], 0
        if self.rest is None:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                pass
        if data:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self.rest is None:
            self.rest = Spool(self._room)
        try:
            self.rest.write(data)
        except NoRoom:
            raise ConnectionAbortedError("no room for the answer") from None

    # gunicorn calls these when an answer fails half-way; the connection is closed by who owns it.

    def shutdown(self, _how: int) -> None:
        raise OSError

    def close(self) -> None:
        """Do nothing."""
