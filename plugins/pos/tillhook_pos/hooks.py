"""What the counter declares through the hooks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from sqlalchemy.orm import Session

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.hooks import Channel, Invariant, Job, Permission, Route, SettingDeclaration
from tillhook.sales import PostedSale, SaleDraft
from tillhook_pos import documents, models  # noqa: F401 - models: its tables
from tillhook_pos.invariants import INVARIANTS
from tillhook_pos.parked.routes import routes as parked_routes
from tillhook_pos.permissions import PERMISSIONS
from tillhook_pos.receipts.routes import routes as receipts_routes
from tillhook_pos.scanning.routes import routes as scanning_routes
from tillhook_pos.sessions import requirement
from tillhook_pos.sessions.routes import routes as sessions_routes
from tillhook_pos.settings import SETTINGS
from tillhook_pos.tills.routes import routes as tills_routes
from tillhook_pos.views.cli import pos
from tillhook_pos.views.jobs import JOBS
from tillhook_pos.views.routes import routes as views_routes


@hookimpl
def register_channels() -> tuple[Channel, ...]:
    return (Channel(name="pos", title="Counter", number_prefix="OS", is_default=True),)


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return PERMISSIONS


@hookimpl
def register_settings() -> tuple[SettingDeclaration, ...]:
    return SETTINGS


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return (
        *scanning_routes.all(),
        *parked_routes.all(),
        *sessions_routes.all(),
        *tills_routes.all(),
        *receipts_routes.all(),
        *views_routes.all(),
    )


@hookimpl
def register_jobs() -> tuple[Job, ...]:
    return JOBS


@hookimpl
def register_commands() -> tuple[click.Command, ...]:
    return (pos,)


@hookimpl
def register_invariants() -> tuple[Invariant, ...]:
    return INVARIANTS


@hookimpl
def validate_sale(session: Session, draft: SaleDraft) -> None:
    requirement.check_sale(session, draft)


@hookimpl
def sales_writing(session: Session, drafts: Sequence[SaleDraft]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return documents.rows_of_drafts(drafts)


@hookimpl
def sale_returned(session: Session, sale: PostedSale) -> None:
    requirement.check_taken_back(session, sale)
    documents.note(session, sale)


@hookimpl
def sale_cancelled(session: Session, sale: PostedSale) -> None:
    requirement.check_taken_back(session, sale)
    documents.note(session, sale)
