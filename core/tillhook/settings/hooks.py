"""The core's own settings, and the routes to read and change all of them."""

import functools
from collections.abc import Iterable
from decimal import Decimal
from types import ModuleType
from zoneinfo import available_timezones

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.hooks import Permission, Route, SettingDeclaration, within
from tillhook.settings import hookspecs
from tillhook.settings.routes import routes

#: Looking for them reads hundreds of files.
_time_zones = functools.cache(available_timezones)


def _time_zone(value: str) -> None:
    if value not in _time_zones():
        raise ValueError("Must be a time zone such as Europe/Vienna.")


def _currency(value: str) -> None:
    if not (len(value) == 3 and value.isascii() and value.isupper() and value.isalpha()):
        raise ValueError("Must be a code of three capital letters, such as EUR.")


SETTINGS = (
    SettingDeclaration(key="company.name", type=str, default="", title="Name of the firm"),
    SettingDeclaration(key="company.address", type=str, default="", title="Address of the firm"),
    SettingDeclaration(key="company.tax_id", type=str, default="", title="Tax number of the firm"),
    SettingDeclaration(key="currency", type=str, default="EUR", title="Currency", check=_currency),
    SettingDeclaration(
        key="currency_places",
        type=int,
        default=2,
        title="Digits after the point of an amount",
        check=within(0, 4),
    ),
    SettingDeclaration(
        key="timezone", type=str, default="UTC", title="Time zone in which a day begins", check=_time_zone
    ),
    SettingDeclaration(
        key="day_cutoff_hour",
        type=int,
        default=0,
        title="Hour at which a business day begins",
        check=within(0, 23),
    ),
    SettingDeclaration(
        key="tax_rounding",
        type=str,
        default="line",
        title="Whether taxes are rounded per line or per document",
        choices=("line", "document"),
    ),
    SettingDeclaration(
        key="low_stock_threshold",
        type=Decimal,
        default=Decimal(10),
        title="Stock below which a product without a threshold of its own is low",
        check=within(0, 1_000_000_000),
    ),
    SettingDeclaration(
        key="default_warehouse", type=int, default=None, title="Warehouse of a document that names none"
    ),
)

PERMISSIONS = (
    Permission(name="platform:setting:read", title="Read the settings", roles=("accountant",)),
    Permission(name="platform:setting:update", title="Change the settings"),
    Permission(name="platform:metrics:read", title="Read the server's metrics"),
)


@hookimpl
def register_hookspecs() -> tuple[ModuleType, ...]:
    return (hookspecs,)


@hookimpl
def register_settings() -> Iterable[SettingDeclaration]:
    return SETTINGS


@hookimpl
def register_permissions() -> Iterable[Permission]:
    return PERMISSIONS


@hookimpl
def register_routes(settings: Settings) -> Iterable[Route]:
    return routes.all()
