"""Where connections end: requests are read whole, and answers sent, without a thread (``docs/adr/0020``)."""

from tillhook.server.front.listening import listen
from tillhook.server.front.worker import RequestWorker

__all__ = ["RequestWorker", "listen"]
