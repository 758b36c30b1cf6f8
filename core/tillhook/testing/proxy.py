"""A server of TCP between a shop and its PostgreSQL, which stops, or cuts off what is said at a word."""

import contextlib
import socket
import threading
from urllib.parse import quote, unquote, urlsplit


class Proxy:
    """Forwards from a port of the loopback to the socket of the URL; a context manager.

    Args:
        url: PostgreSQL's, by a socket in a folder.
    """

    def __init__(self, url):
        self._parts = urlsplit(url)
        self._target = f"{unquote(self._parts.query.removeprefix('host='))}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._flowing = threading.Event()
        self._flowing.set()
        self._word, self._is_passed = None, False
        self._sockets = []

    @property
    def url(self):
        """The same database, by the port; TCP's own and short limits."""
        return f"postgresql://postgres@127.0.0.1:{self.port}{quote(self._parts.path)}?connect_timeout=2"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._flowing.set()
        self._listener.close()
        self.cut()

    def hang(self):
        """Take what comes, also new connections, and pass on nothing."""
        self._flowing.clear()

    def go_on(self):
        self._flowing.set()

    def cut(self):
        """End every connection."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut_at(self, word, *, passed):
        """Cut the next connection whose client says ``word``: before it is passed on, or when it has been answered."""
        self._is_passed = passed
        self._word = word

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._target)
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                silent = threading.Event()
                for pump in (self._ask, self._answer):
                    threading.Thread(target=pump, args=(client, server, silent), daemon=True).start()

    def _ask(self, client, server, silent):
        for data in self._pieces(client):
            if self._word is not None and self._word in data:
                self._word = None
                if not self._is_passed:
                    break
                silent.set()
            _send(server, data)
        _end(client, server)

    def _answer(self, client, server, silent):
        for data in self._pieces(server):
            if silent.is_set():
                break
            _send(client, data)
        _end(client, server)

    def _pieces(self, source):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                yield data


def _send(target, data):
    with contextlib.suppress(OSError):  # gone; the other one is told when it reads
        target.sendall(data)


def _end(*sockets):
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
