"""What the worker does for the seller's views."""

from sqlalchemy.orm import Session

from tillhook.hooks import Job
from tillhook_pos.views.totals import adopt_documents, count_documents


def _count(session: Session) -> None:
    count_documents(session)


def _adopt(session: Session) -> None:
    adopt_documents(session)


JOBS = (
    Job(name="pos.count_documents", every_s=30, run=_count),
    # It looks at the whole journal: when the worker starts, as a plugin is enabled by a start, and once a day.
    Job(name="pos.adopt_documents", every_s=86_400, run=_adopt),
)
