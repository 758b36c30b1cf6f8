"""What stands between a shop and its PostgreSQL: a network that stops, or is cut at a word."""

import contextlib
import select
import socket
import threading
from typing import Self
from urllib.parse import quote, unquote, urlsplit


class Proxy:
    """Forwards from a port of the loopback to PostgreSQL's socket; a context manager.

    Args:
        url: As :meth:`PostgresServer.url` gives it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = f"{unquote(parts.query.removeprefix('host='))}/.s.PGSQL.5432"
        self._path = quote(parts.path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._flowing = threading.Event()
        self._flowing.set()
        self._word: bytes | None = None
        self._is_passed = False
        self._clients: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """The same database by way of the port."""
        return f"postgresql://postgres@127.0.0.1:{self.port}{self._path}?connect_timeout=2"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._flowing.set()
        self._listener.close()
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def hang(self) -> None:
        """Take what comes, new connections too, and pass on nothing."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Pass on what has come, and what comes."""
        self._flowing.set()

    def cut_at(self, word: bytes, *, passed: bool) -> None:
        """Cut the next connection whose client says ``word``: before it is passed on, or when it has been answered."""
        self._is_passed = passed
        self._word = word

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.add(client)
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self._socket)
            ends = {client: server, server: client}
            while True:
                for source in select.select(list(ends), [], [])[0]:
                    data = source.recv(65536)
                    self._flowing.wait()
                    if not data or (source is client and self._cuts(data, server)):
                        return
                    ends[source].sendall(data)

    def _cuts(self, data: bytes, server: socket.socket) -> bool:
        if self._word is None or self._word not in data:
            return False
        self._word = None
        if self._is_passed:
            server.sendall(data)
            server.recv(65536)
        return True
