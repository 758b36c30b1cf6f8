"""The sockets that clients connect to."""

import socket


def listen(host: str, port: int, processes: int) -> list[socket.socket]:
    """Return sockets that listen at one address, one for each process; the kernel deals clients out to them evenly.

    They are opened by the master, which keeps them: who waits in one's queue is not reset when a process ends. With a
    single socket for all, whichever process wakes up first takes most of the clients, and keeps them.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets = []
    for _ in range(processes if hasattr(socket, "SO_REUSEPORT") else 1):
        each = socket.socket(family)
        sockets.append(each)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.bind((host, port))
        each.listen(1024)
    return sockets
