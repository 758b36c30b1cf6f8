"""Every hook of the core. The docstrings are the reference: ``docs/hooks.md`` is made from them.

Five families. ``register_<things>`` is called once, at start, and returns declarations. ``validate_<things>``
is called in the transaction before anything is written, and vetoes by raising. ``<things>_<past participle>``
is called in the transaction after writing; an exception undoes everything. ``resolve_<thing>`` asks for one
answer: the first that is not ``None`` counts, and when there is none the core answers by itself. ``<things>_writing``
collects rows of the plugins' own that are written along with the things, at no round trip of their own.

Implementations run in a fixed order: the core's own, then the plugins by name. They may leave out arguments
that they do not need. They never commit. Work that may fail alone belongs to a consumer of the outbox.
"""

# mypy: disable-error-code="empty-body"

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from decimal import Decimal

    import click
    from sqlalchemy.orm import Session

    from tillhook.catalogue import Product
    from tillhook.config import Settings
    from tillhook.hooks.plugin import (
        Channel,
        Consumer,
        DemoData,
        EventType,
        Invariant,
        Job,
        MigrationSource,
        PaymentMethod,
        Permission,
        Route,
        SettingDeclaration,
    )
    from tillhook.ledger import LotRequest, PolicyRequest, StockMovement
    from tillhook.reporting import Report
    from tillhook.sales import PostedSale, PriceRequest, SaleDraft, TaxRequest

#: Marks a function as the specification of a hook; plugins that offer hooks of their own use it too.
hookspec = pluggy.HookspecMarker("tillhook")


@hookspec
def register_routes(settings: "Settings") -> "Iterable[Route]":
    """Return the HTTP routes of this plugin.

    Called: once per process, at start.
    Args:
        settings: The process's settings; a route may depend on them.
    Refused: a method and path that somebody else has, a permission that nobody declares.
    Since: 0.1
    """


@hookspec
def register_permissions() -> "Iterable[Permission]":
    """Return the permissions that this plugin's routes and services ask for.

    Called: once per process, at start. A permission new to the database is given to its default roles.
    Refused: a name that is not ``module:entity:verb``, or that somebody else has.
    Since: 0.1
    """


@hookspec
def register_settings() -> "Iterable[SettingDeclaration]":
    """Return the settings that a person may change while the server runs, at ``/api/settings``.

    Called: once per process, at start. Read them with ``snapshot_of(session).setting(key)``.
    Since: 0.1
    """


@hookspec
def register_channels() -> "Iterable[Channel]":
    """Return the channels by which this plugin sells.

    Called: once per process, at start.
    Refused: a name or a number prefix that another channel has.
    Since: 0.1
    """


@hookspec
def register_payment_methods() -> "Iterable[PaymentMethod]":
    """Return further means of payment.

    Called: once per process, at start.
    Since: 0.1
    """


@hookspec
def register_events() -> "Iterable[EventType]":
    """Return the kinds of events that this plugin records in the outbox.

    Called: once per process, at start. An event that nobody declared cannot be recorded.
    Since: 0.1
    """


@hookspec
def register_consumers() -> "Iterable[Consumer]":
    """Return who is to be told of events, each with a cursor of its own.

    Called: once per process, at start. ``handle`` gets every event at least once, in commit order, after it.
    Since: 0.1
    """


@hookspec
def register_reports() -> "Iterable[Report]":
    """Return reports, which the reports plugin serves as JSON, CSV, Excel and PDF.

    Called: once per process, at start.
    Since: 0.1
    """


@hookspec
def register_jobs() -> "Iterable[Job]":
    """Return work that the worker does again and again.

    Called: once per process, at start.
    Since: 0.1
    """


@hookspec
def register_commands() -> "Iterable[click.Command]":
    """Return commands for ``tillhook`` on the command line.

    Called: when the command line starts.
    Refused: a name that another command has.
    Since: 0.1
    """


@hookspec
def register_invariants() -> "Iterable[Invariant]":
    """Return what ``tillhook verify`` must find true of this plugin's tables.

    Called: once per process, at start; ``check`` runs on a live system, reads only, and yields differences.
    Since: 0.1
    """


@hookspec
def register_demo_data() -> "Iterable[DemoData]":
    """Return what the first run of a demonstration is to find.

    Called: once per process, at start; ``create`` runs after the core's demo data, plugins by name.
    Since: 0.1
    """


@hookspec
def register_hookspecs() -> "Iterable[ModuleType]":
    """Return modules of hook specifications by which others may extend this plugin.

    Called: first of all. Their names begin with the plugin's; implementers say ``optionalhook=True``, because
    this plugin may be absent.
    Since: 0.1
    """


@hookspec
def register_migrations() -> "Iterable[MigrationSource]":
    """Return further packages of revisions, each with a version table of its own.

    Called: by ``tillhook migrate``. A plugin with one package of revisions names it in its manifest instead.
    Refused: a name or table prefix that another source has.
    Since: 0.1
    """


@hookspec
def validate_sale(session: "Session", draft: "SaleDraft") -> None:
    """Veto a sale before it is written.

    Called: once per sale, in its transaction, prices, taxes and totals already worked out.
    Args:
        draft: The sale as it would be posted; read only.
    Raises:
        DomainError: Refuses the sale; reaches the client as problem+json.
    Since: 0.1
    """


@hookspec
def validate_movements(session: "Session", movements: "Sequence[StockMovement]") -> None:
    """Veto a batch of stock movements before it is written.

    Called: once per batch, in the poster's transaction.
    Args:
        movements: In posting order; quantity > 0 in stock units, direction is from source to destination.
    Raises:
        DomainError: Refuses the whole batch; reaches the client as problem+json.
    Since: 0.1
    """


@hookspec
def movements_posted(session: "Session", movements: "Sequence[StockMovement]") -> None:
    """Act on stock movements, whatever caused them.

    Called: once per batch, in the poster's transaction, movements and levels written.
    Args:
        movements: In posting order; quantity > 0 in stock units, direction is from source to destination.
    Since: 0.1
    """


@hookspec
def sales_writing(session: "Session", drafts: "Sequence[SaleDraft]") -> "Iterable[tuple[str, Mapping[str, Any]]]":
    """Return rows of the plugin's own tables that belong to sales, to go in by the statement that writes the sales.

    Called: once per batch of sales, priced, settled and planned, just before they are written; no level is locked
        yet, and what is written this way costs no round trip while one is. Not for returns and cancellations.
    Args:
        drafts: With their keys in ``id``; read only.
    Returns: table and row by column name: integers in units of 1/10,000 for amounts, instants as text. All rows
        of one table have the same columns.
    Since: 0.1
    """


@hookspec
def sales_posted(session: "Session", sales: "Sequence[PostedSale]") -> None:
    """Act on new sales and exchanges.

    Called: once per transaction that posts sales (a synced batch posts many), after their movements.
    Args:
        sales: New ones only; a repeated ``external_id`` is no new sale. What comes back in an exchange has negative
            quantities and amounts, and its ``origin_id`` names the sale; money that goes back is a negative payment.
    Since: 0.1
    """


@hookspec
def sale_returned(session: "Session", sale: "PostedSale") -> None:
    """Act on goods that came back.

    Called: once per return, in its transaction, stock and refund written.
    Args:
        sale: The return: quantities and amounts are negative, ``origin_id`` names the sale.
    Since: 0.1
    """


@hookspec
def sale_cancelled(session: "Session", sale: "PostedSale") -> None:
    """Act on the cancellation of a sale.

    Called: once per cancellation, in its transaction, after the movements are reversed.
    Args:
        sale: The cancellation: quantities and amounts are negative, ``origin_id`` names the sale.
    Since: 0.1
    """


@hookspec
def product_saved(session: "Session", product: "Product") -> None:
    """Act on a product that was created or changed.

    Called: in the transaction, after the flush; for an import, once per product.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_price(session: "Session", request: "PriceRequest") -> "Decimal | None":
    """Answer what one unit of a product costs here and now, or ``None`` for no opinion.

    Called: per line of a sale that is not priced by the client, before totals.
    Returns: the price per unit of measure, four digits after the point at most; 0 is an answer. When nobody
        answers it is the variant's price, else the product's.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_tax(session: "Session", request: "TaxRequest") -> "int | None":
    """Answer which tax a line bears, or ``None`` for no opinion.

    Called: per line of a sale, before totals.
    Returns: the id of a tax. When nobody answers it is the product's, else the default tax.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_stock_policy(session: "Session", request: "PolicyRequest") -> "str | None":
    """Answer what happens when a line wants more than is available, or ``None`` for no opinion.

    Called: per product of a document that takes stock, before any level is touched.
    Returns: ``"block"``, ``"allow"`` or ``"absorb"``. When nobody answers the most specific stored policy
        counts, down to the channel's default.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_lots(session: "Session", request: "LotRequest") -> "Sequence[tuple[int, Decimal]] | None":
    """Answer from which lots a line is taken, or ``None`` for no opinion.

    Called: per line of a lot-tracked product that names no lot.
    Returns: ids of lots and quantities, in the order of picking, together at most the line's. When nobody
        answers: first expired, first out.
    Since: 0.1
    """
