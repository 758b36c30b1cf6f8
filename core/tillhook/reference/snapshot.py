"""The cache of what nearly every request needs and hardly any changes."""

import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from tillhook.db import fetch
from tillhook.hooks import PaymentMethod
from tillhook.quantities import from_units
from tillhook.reference.models import Setting
from tillhook.reference.values import from_json

if TYPE_CHECKING:
    from tillhook.hooks import Registry

#: Product, warehouse and channel of a stock policy; ``None`` stands for any.
PolicyKey = tuple[int | None, int | None, str | None]

# Plain statements, because the tables belong to packages that build on this one.
EPOCH_SQL = "(SELECT value FROM epoch WHERE id = 1)"
_WAREHOUSES = "SELECT id, name, code, is_active, kind FROM location WHERE id > 0 ORDER BY id"
_TAXES = "SELECT id, name, rate, is_inclusive, is_default FROM tax ORDER BY id"
_UNITS = "SELECT id, code, precision FROM unit ORDER BY id"
_CATEGORIES = "SELECT id, name FROM category ORDER BY id"
_POLICIES = "SELECT product_id, warehouse_id, channel, policy FROM stock_policy"
_METHODS = (
    "SELECT name, title, opens_drawer, gives_change, counts_as_cash, takes_refunds, is_active FROM payment_method"
    " ORDER BY name"
)
_ROLES = (
    "SELECT role.name, role.discount_limit, role_permission.permission FROM role"
    " LEFT JOIN role_permission ON role_permission.role_id = role.id"
)


@dataclass(frozen=True, slots=True)
class WarehouseRef:
    """A warehouse; its id is its location's."""

    id: int
    name: str
    code: str | None
    is_active: bool
    kind: str


@dataclass(frozen=True, slots=True)
class TaxRef:
    """A tax; ``rate`` is a fraction, 0.2000 for 20 %."""

    id: int
    name: str
    rate: Decimal
    is_inclusive: bool
    is_default: bool


@dataclass(frozen=True, slots=True)
class UnitRef:
    """A unit of measure; ``precision`` is how many digits after the point its quantities may have."""

    id: int
    code: str
    precision: int

    def fault(self, quantity: Decimal) -> str | None:
        """Say why a quantity is finer than the unit; ``None`` when it is not."""
        if quantity == round(quantity, self.precision):
            return None
        if not self.precision:
            return f"Whole {self.code} only."
        return f"At most {self.precision} digits after the point in {self.code}."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The reference data of one epoch. Shared by threads: only ``actors``, a cache, is ever written to."""

    epoch: int
    settings: dict[str, Any]
    warehouses: dict[int, WarehouseRef]
    taxes: dict[int, TaxRef]
    units: dict[int, UnitRef]
    categories: dict[int, str]
    policies: dict[PolicyKey, str]
    roles: dict[str, frozenset[str]]
    #: The largest discount that a role allows, a fraction; those without a limit of their own are left out.
    discount_limits: dict[str, Decimal]
    #: Those that modules declare and the shop's own, also those switched off: old documents have them.
    payment_methods: dict[str, PaymentMethod]
    methods_off: frozenset[str]
    actors: dict[Any, Any] = field(default_factory=dict)

    def unit_fault(self, unit_id: int | None, quantity: Decimal) -> str | None:
        """Say why a quantity is finer than a unit; ``None`` when it is not, or there is no unit."""
        return None if unit_id is None or unit_id not in self.units else self.units[unit_id].fault(quantity)

    def setting(self, key: str) -> Any:
        """Return the typed value of a declared setting."""
        return self.settings[key]


class SnapshotCache:
    """The latest :class:`Snapshot` of this process."""

    def __init__(self, registry: "Registry") -> None:
        self._registry = registry
        self._loading = threading.Lock()
        self._snapshot: Snapshot | None = None

    def current(self, connection: Connection) -> Snapshot:
        """Return the reference data as of now; one small read when nothing has changed.

        ``connection`` must not have written anything: what it then read might never be committed, and would
        stay in the cache for everybody.
        """
        epoch = self.epoch(connection)
        snapshot = self._snapshot
        if snapshot is not None and snapshot.epoch == epoch:
            return snapshot
        with self._loading:
            snapshot = self._snapshot
            if snapshot is None or snapshot.epoch != epoch:
                # What was committed after the epoch was read may be in here already. That does no harm: the
                # next reader sees another epoch and loads again.
                snapshot = self._snapshot = self._load(connection, epoch)
            return snapshot

    def latest(self, connection: Connection) -> Snapshot:
        """Return the reference data as this process knew it last, which may be old."""
        return self._snapshot or self.current(connection)

    def forget(self) -> None:
        """Load the reference data anew when it is needed next."""
        self._snapshot = None

    @staticmethod
    def epoch(connection: Connection) -> int:
        """Return the number of changes to reference data so far."""
        epoch: int = fetch(connection, f"SELECT {EPOCH_SQL}")[0][0]
        return epoch

    def _load(self, connection: Connection, epoch: int) -> Snapshot:
        def rows(statement: str) -> Any:
            return connection.exec_driver_sql(statement)

        roles = rows(_ROLES).all()
        methods = rows(_METHODS).all()
        return Snapshot(
            epoch=epoch,
            settings=self._settings(connection),
            warehouses={
                row.id: WarehouseRef(row.id, row.name, row.code, bool(row.is_active), row.kind)
                for row in rows(_WAREHOUSES)
            },
            taxes={
                row.id: TaxRef(row.id, row.name, from_units(row.rate), bool(row.is_inclusive), bool(row.is_default))
                for row in rows(_TAXES)
            },
            units={row.id: UnitRef(row.id, row.code, row.precision) for row in rows(_UNITS)},
            categories={row.id: row.name for row in rows(_CATEGORIES)},
            # There may be one per product.
            policies={(row[0], row[1], row[2]): row[3] for row in fetch(connection, _POLICIES)},
            roles=_roles(roles),
            discount_limits={
                row.name: from_units(row.discount_limit) for row in roles if row.discount_limit is not None
            },
            # A module's own word counts, should it bring a method of a name that the shop had.
            payment_methods={row.name: _method(row) for row in methods if row.title} | self._registry.payment_methods,
            methods_off=frozenset(row.name for row in methods if not row.is_active),
        )

    def _settings(self, connection: Connection) -> dict[str, Any]:
        stored = {row.key: row.value for row in connection.execute(select(Setting.key, Setting.value))}
        return {
            key: from_json(declaration, stored[key]) if key in stored else declaration.default
            for key, declaration in self._registry.settings.items()
        }


def _method(row: Any) -> PaymentMethod:
    return PaymentMethod(
        name=row.name,
        title=row.title,
        opens_drawer=bool(row.opens_drawer),
        gives_change=bool(row.gives_change),
        counts_as_cash=bool(row.counts_as_cash),
        takes_refunds=bool(row.takes_refunds),
    )


def _roles(rows: Any) -> dict[str, frozenset[str]]:
    permissions: dict[str, set[str]] = {}
    for row in rows:
        granted = permissions.setdefault(row.name, set())
        if row.permission is not None:
            granted.add(row.permission)
    return {name: frozenset(granted) for name, granted in permissions.items()}
