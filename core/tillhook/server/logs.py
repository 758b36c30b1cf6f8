"""JSON lines on standard output."""

import logging
import sys
from typing import Any

import structlog

from tillhook.encoding import to_json


def configure(level: str) -> None:
    """Log JSON, one object a line, from ``level`` (``debug`` … ``error``) on; for the start of a process.

    The libraries' own logging (the database's, the server's) stays as it is.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_text),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )


def _text(event: dict[str, Any], default: Any = None, **_: Any) -> str:
    return to_json(event, default).decode()
