"""Hooks by which a plugin declares what it brings; those about stock, products and sales are with their areas.

The docstrings are the reference: ``docs/hooks.md`` is made from them.

Five families. ``register_<things>`` is called once, at start, and returns declarations. ``validate_<things>``
is called in the transaction before anything is written, and vetoes by raising. ``<things>_writing`` collects rows of
the plugins' own that are written along with the things, at no round trip of their own. ``<things>_<past participle>``
is called in the transaction after writing; an exception undoes everything. ``resolve_<thing>`` asks for one
answer: the first that is not ``None`` counts, and when there is none the core answers by itself. An answer that makes
no sense is an error that names plugin and hook.

Implementations run in a fixed order: the core's own, then the plugins by name. They may leave out arguments
that they do not need. What they are given is frozen. They never commit. Work that may fail alone belongs to a
consumer of the outbox.
"""

# mypy: disable-error-code="empty-body"

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from tillhook.config import Settings
    from tillhook.hooks.declarations import (
        Channel,
        Consumer,
        DemoData,
        DocumentType,
        EventType,
        Invariant,
        Job,
        MigrationSource,
        PaymentMethod,
        Permission,
        RoleDeclaration,
        Route,
        SettingDeclaration,
    )
    from tillhook.reporting import Report

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
    Refused: a name that is not ``plugin:entity:verb``, and a role that nobody declares.
    Since: 0.1
    """


@hookspec
def register_roles() -> "Iterable[RoleDeclaration]":
    """Return roles that are there from the start, beside those of the core.

    Called: once per process, at start. Which permissions they hold, the permissions say.
    Refused: a name that is not the plugin's, nor begins with it and ``-``.
    Since: 0.1
    """


@hookspec
def register_settings() -> "Iterable[SettingDeclaration]":
    """Return the settings that a person may change while the server runs, at ``/api/settings``.

    Called: once per process, at start. Read them with ``snapshot_of(session).setting(key)``.
    Refused: a key that does not begin with the plugin's name and a dot, a type that nobody can set, a default that
        the setting itself would refuse.
    Since: 0.1
    """


@hookspec
def register_channels() -> "Iterable[Channel]":
    """Return the channels by which this plugin sells.

    Called: once per process, at start.
    Refused: a name or a number prefix that another channel has, a stock policy that there is not.
    Since: 0.1
    """


@hookspec
def register_payment_methods() -> "Iterable[PaymentMethod]":
    """Return further means of payment.

    Called: once per process, at start.
    Refused: a name that somebody else has; it is the shop's word, such as ``voucher``, and carries no plugin's name.
    Since: 0.1
    """


@hookspec
def register_events() -> "Iterable[EventType]":
    """Return the kinds of events that this plugin records in the outbox.

    Called: once per process, at start. An event that nobody declared cannot be recorded.
    Refused: a name that does not begin with the plugin's and ``:`` or ``.``, or so with one of the ``event_words`` of
        its manifest, which are nobody else's.
    Since: 0.1
    """


@hookspec
def register_consumers() -> "Iterable[Consumer]":
    """Return who is to be told of events, each with a place of its own.

    Called: once per process, at start. ``handle`` (in a transaction) or ``deliver`` (outside any) gets every event at
        least once, in commit order, after it; a consumer that is new gets what happens from then on.
    Refused: a name that does not begin with the plugin's and a dot; an event that nobody declares although the plugin
        whose word it begins with is there, or the word is the core's. Another word's plugin is absent.
    Since: 0.1
    """


@hookspec
def register_reports() -> "Iterable[Report]":
    """Return reports, which the reports plugin serves as JSON, CSV, Excel and PDF.

    Called: once per process, at start.
    Since: 0.1
    """


@hookspec
def register_document_types() -> "Iterable[DocumentType]":
    """Return the types of documents by which this plugin moves stock, so that movements can say whose they are.

    Called: once per process, at start; ``describe`` for each page of movements, documents or alerts that has some.
    Refused: a name that does not begin with the plugin's and a dot.
    Since: 0.1
    """


@hookspec
def register_jobs() -> "Iterable[Job]":
    """Return work that the worker does again and again, at intervals or times of day.

    Called: once per process, at start. Each turn runs once, whatever the number of workers.
    Refused: a name that does not begin with the plugin's and a dot.
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
