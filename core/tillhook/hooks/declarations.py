"""A plugin's manifest, and the declarations that its hooks return."""

import pkgutil
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import click
    from marshmallow import Schema
    from sqlalchemy import Connection, Select
    from sqlalchemy.orm import Session


_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")

StockPolicy = Literal["block", "allow", "absorb"]


def _refuse_text(what: str, value: object) -> None:
    """Refuse a text where names are wanted: it would be read letter by letter."""
    if isinstance(value, str):
        raise ValueError(f"{what}={value!r} must be a tuple of names, such as ({value!r},)")


class Public:
    """The type of :data:`PUBLIC`."""

    def __repr__(self) -> str:
        return "PUBLIC"


class Authenticated:
    """The type of :data:`AUTHENTICATED`."""

    def __repr__(self) -> str:
        return "AUTHENTICATED"


#: Anybody may call the route, logged in or not. Said out loud, because a route without permission is refused.
PUBLIC = Public()
#: Any actor who is logged in may call the route: for what concerns only the own person.
AUTHENTICATED = Authenticated()


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of ``tillhook`` on the command line, named here so that listing it imports nothing.

    Args:
        name: The plugin's, or beginning with it and ``-``.
        help: The first line of the command's own help.
        where: Module and attribute of the click command, such as ``"my_plugin.cli:count"``.
    """

    name: str
    help: str
    where: str

    def load(self) -> "click.Command":
        """Return the command itself; only now its module is imported."""
        loaded: click.Command = pkgutil.resolve_name(self.where)
        return loaded


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """The manifest: ``PLUGIN`` in the plugin's package, beside the ``hooks`` module of its entry point.

    Args:
        name: The name of the entry point; also begins its permissions, events and settings.
        core: The versions of ``tillhook`` it works with, such as ``">=0.1,<0.2"``.
        requires: Names of plugins that must be enabled too; theirs migrate first.
        table_prefix: What its tables' names begin with; ``name`` and ``_`` when left out.
        migrations: The package of its Alembic revisions, ``None`` for a plugin without tables.
        event_words: What its events may begin with besides its name, such as ``invoice``; nobody else's may.
        commands: What it adds to the command line.
        opt_in: Only ``tillhook modules enable`` switches it on, never a start or a migration by themselves.
    """

    name: str
    version: str
    core: str = ">=0.1,<0.2"
    requires: tuple[str, ...] = ()
    title: str = ""
    summary: str = ""
    table_prefix: str = ""
    migrations: str | None = None
    event_words: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    opt_in: bool = False

    def __post_init__(self) -> None:
        if not self.table_prefix:
            object.__setattr__(self, "table_prefix", f"{self.name}_")
        for command in self.commands:
            if command.name != self.name and not command.name.startswith(f"{self.name}-"):
                raise ValueError(f"the command {command.name} must begin with {self.name} or {self.name}-")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method on one path.

    Args:
        path: Below ``/api``, such as ``/products/{product_id:int}``.
        handler: ``handler(call, **path_parameters)``; answers a JSON value, a ``Reply``, or ``None`` for 204.
        permission: A declared permission, :data:`AUTHENTICATED` or :data:`PUBLIC`.
        body: Loaded into ``call.body``; without one a body is refused.
        query: Loaded into ``call.query``; without one a query string is refused.
        answer: Documents the answer in JSON, ``ThingOut(many=True)`` a plain list; not run on it.
        content_types: What it answers besides, or instead of, JSON: ``("image/*",)``.
        status: The status of success; 204 has no content.
        also: Further statuses of success: 200 for what was made before, with the same answer; 204 and 304 without.
        writes: Whether the transaction writes; by default every method but GET does.
        lazy: Of one that writes: take SQLite's writer lock with the first statement that writes or locks a row. As on
            PostgreSQL, what was read without a lock may be old by then; a ``RetryTransaction`` takes it at once.
        idempotent: Whether it takes an ``Idempotency-Key``; by default what writes does, unless public or GET. The
            others refuse the header.
        upload: The body is ``multipart/form-data``.
        prepare: ``prepare(call, **path_parameters)`` with a :class:`tillhook.http.Preparation`, for what takes long and
            needs no transaction, such as looking into a file. It is called once, whatever the number of attempts:
            after actor, permission, body and query are checked, and before the transaction begins, no connection and
            no lock held meanwhile. The handler gets its result as ``call.prepared``. It is not called for a request
            whose answer is kept under its ``Idempotency-Key``. One that writes, in transactions of its own, looks at
            ``call.replay(session)`` in the first of them.
        summary: By default the first line of the handler's docstring.
        max_body: Bytes; by default the setting, of a public route 16 KiB.
        parts: The member of the body whose elements are each on their own: one that holds what no database takes comes
            as ``tillhook.http.UnusablePart``, and spoils no other.
        problems: Further statuses of problems, for OpenAPI.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    permission: str | Public | Authenticated
    body: "type[Schema] | None" = None
    query: "type[Schema] | None" = None
    answer: "type[Schema] | Schema | None" = None
    content_types: tuple[str, ...] = ()
    status: int = 200
    also: tuple[int, ...] = ()
    writes: bool | None = None
    lazy: bool = False
    idempotent: bool | None = None
    upload: bool = False
    prepare: Callable[..., Any] | None = None
    summary: str = ""
    max_body: int | None = None
    parts: str = ""
    problems: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.writes is None:
            object.__setattr__(self, "writes", self.method not in ("GET", "HEAD"))
        if self.idempotent is None:
            changes = self.writes and self.method not in ("GET", "HEAD")
            object.__setattr__(self, "idempotent", changes and self.permission is not PUBLIC)
        if not self.summary:
            text = (self.handler.__doc__ or "").strip()
            object.__setattr__(self, "summary", text.partition("\n")[0])

    @property
    def declares_its_answer(self) -> bool:
        """Whether OpenAPI can say what a success answers."""
        return self.answer is not None or bool(self.content_types) or self.status == 204


@dataclass(frozen=True, kw_only=True)
class Permission:
    """``plugin:entity:verb``; ``roles``, declared ones, hold it from the start, and ``admin`` holds every one."""

    name: str
    title: str
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _refuse_text(f"permission {self.name}: roles", self.roles)


@dataclass(frozen=True, kw_only=True)
class RoleDeclaration:
    """A role that is there from the start; a plugin's is called like the plugin, or begins with its name and ``-``.

    Args:
        discount_limit: The largest discount that its holders may give to begin with, a fraction; ``None`` for the
            setting's.
    """

    name: str
    title: str
    discount_limit: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class SettingDeclaration:
    """A setting that a person changes while the server runs.

    Args:
        key: Begins with the plugin's name and a dot.
        type: ``bool``, ``int``, ``str`` or ``Decimal``.
        default: Of that type, among the choices, and one that ``check`` takes; with ``None`` it may be unset.
        check: Raises ``ValueError`` for a value of the right type that will not do.
    """

    key: str
    type: type[bool] | type[int] | type[str] | type[Decimal]
    default: bool | int | str | Decimal | None
    title: str
    choices: tuple[Any, ...] | None = None
    check: Callable[[Any], None] | None = None

    @property
    def name(self) -> str:
        return self.key


def within(minimum: int, maximum: int) -> Callable[[int | Decimal], None]:
    """Return the ``check`` of a setting that is a number from ``minimum`` to ``maximum``."""

    def check(value: int | Decimal) -> None:
        if not minimum <= value <= maximum:
            raise ValueError(f"Must be from {minimum} to {maximum}.")

    return check


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A way by which sales come in.

    Args:
        number_prefix: Begins its sale numbers, before the day; no two channels share one.
        stock_policy: What a sale does that wants more than is available.
        offline_policy: The same for a sale that has already happened and is synced later.
        permission: What somebody needs to post here.
        is_default: Sales that name no channel are of this one; at most one channel says so.
    """

    name: str
    title: str
    number_prefix: str
    stock_policy: StockPolicy = "block"
    offline_policy: StockPolicy = "allow"
    permission: str = "sales:sale:post"
    is_default: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentMethod:
    """A means of payment.

    Args:
        opens_drawer: A receipt of it opens the drawer.
        gives_change: Too much of it is taken, and the rest given back in cash.
        counts_as_cash: It lies in the drawer and is counted with it: it is part of the expected cash, and is rounded to
            coins that exist.
        takes_refunds: Money may go back by it whatever was paid by it, as store credit does.
        check: Called with session and ``TenderDraft`` for each payment and each refund by it, before anything is
            written. Vetoes by raising a ``DomainError``, may answer the reference under which it is written, and may
            lock rows of its own. A refund of which nobody says where to goes back by the references it came in by.
    """

    name: str
    title: str
    opens_drawer: bool = False
    gives_change: bool = False
    counts_as_cash: bool = False
    takes_refunds: bool = False
    check: "Callable[[Session, Any], str | None] | None" = None


@dataclass(frozen=True, slots=True)
class Event:
    """A committed event; ``seq`` has no gaps and orders events for every consumer alike.

    ``payload`` is a copy of whoever reads it.
    """

    seq: int
    name: str
    payload: dict[str, Any]
    warehouse_id: int | None
    occurred_at: datetime


@dataclass(frozen=True, kw_only=True)
class EventType:
    """A kind of event in the outbox.

    Args:
        permission: What a reader needs.
        hides: Given events of this kind, returns the ``seq`` of those that the session's actor must not see although
            permission and warehouse would allow it.
        show: Given events of this kind, returns them with the figures that the session's actor may see.
    """

    name: str
    title: str
    permission: str
    hides: "Callable[[Session, Sequence[Event]], Set[int]] | None" = None
    show: "Callable[[Session, Sequence[Event]], Sequence[Event]] | None" = None


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """Who gets events after their commit: in order, at least once, at its own pace. Exactly one of:

    Args:
        handle: Called with session and events, in one transaction with the consumer's place; for work in the database.
            SQLite's writer lock is taken when it first writes.
        deliver: Called with the ``Runtime`` and events, outside any transaction, the place moves afterwards; for calls
            to elsewhere, which may be slow.
        events: Names of the events that it wants; ``None`` means all of them.
        from_beginning: When it is new it begins with the oldest event that is there, not with the next one.
    """

    name: str
    handle: "Callable[[Session, Sequence[Event]], None] | None" = None
    deliver: Callable[[Any, Sequence[Event]], None] | None = None
    events: tuple[str, ...] | None = None
    from_beginning: bool = False

    def __post_init__(self) -> None:
        if (self.handle is None) == (self.deliver is None):
            raise ValueError(f"consumer {self.name} needs one of handle and deliver")
        _refuse_text(f"consumer {self.name}: events", self.events)


@dataclass(frozen=True, kw_only=True)
class DocumentFacts:
    """What the owner of a document that moved stock says of it: who did it and why, its number and its API path.

    ``person`` is a user's key. Without ``person_name`` it is the user's name of today.
    """

    number: str | None = None
    link: str | None = None
    person: int | None = None
    person_name: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DocumentType:
    """A type of documents that move stock, as its owner names it in ``Document("invoicing.invoice", 17)``.

    Args:
        describe: Returns the facts of documents by their keys; those it leaves out have neither number nor person.
        find: Returns the query for the keys of the documents of a ``person``, or of a ``number``; one is not ``None``.
            Without it, movements of this type are not found by either.
    """

    name: str
    describe: "Callable[[Session, Collection[int]], Mapping[int, DocumentFacts]]"
    find: "Callable[[int | None, str | None], Select[int]] | None" = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work that comes up again, each time in a transaction of its own and for one worker only. Exactly one of:

    Args:
        every_s: Seconds from one start to the next; the first is at once.
        at: Time of day in the business's time zone, such as ``"03:00"``. One that is skipped when clocks change runs
            at the next moment, one that is there twice runs the first time.
    """

    name: str
    run: "Callable[[Session], object]"
    every_s: int | None = None
    at: str | None = None

    def __post_init__(self) -> None:
        if (self.every_s is None) == (self.at is None):
            raise ValueError(f"job {self.name} needs one of every_s and at")
        if self.every_s is not None and self.every_s < 1:
            raise ValueError(f"job {self.name}: every_s={self.every_s} is not one second or more")
        if self.at is not None and not _TIME_OF_DAY.fullmatch(self.at):
            raise ValueError(f'job {self.name}: at={self.at!r} is no time of day such as "03:00"')


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One place where the books contradict themselves."""

    invariant: str
    subject: str
    expected: str
    actual: str


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """What ``tillhook verify`` recomputes; ``check`` only reads, in one snapshot of the database.

    ``tillhook.runtime.runtime_of`` gives the runtime of the connection.

    Args:
        repair: Of what is derived: makes it anew from append-only rows, under locks that let no one change either
            before the transaction ends. The first line of its docstring says what it does.
    """

    name: str
    check: "Callable[[Connection], Iterable[Difference]]"
    title: str = ""
    repair: "Callable[[Session], object] | None" = None


@dataclass(frozen=True, kw_only=True)
class DemoData:
    """What ``tillhook demo`` makes, once, in one transaction."""

    name: str
    create: "Callable[[Session], None]"
    requires: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class MigrationSource:
    """Revisions with a version table of their own, ``alembic_version_<name>``.

    ``table_prefix`` is empty for the core only: it owns every table that no other source claims.
    """

    name: str
    package: str
    requires: tuple[str, ...] = ()
    table_prefix: str = ""

    @property
    def version_table(self) -> str:
        return f"alembic_version_{self.name}"
