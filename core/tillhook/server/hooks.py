"""What the web layer itself declares."""

from collections.abc import Iterable

from tillhook import hookimpl
from tillhook.hooks import Job
from tillhook.server import idempotency


@hookimpl
def register_jobs() -> Iterable[Job]:
    return (Job(name="http.purge_idempotency_keys", every_s=3600, run=idempotency.purge),)
