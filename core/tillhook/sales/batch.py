"""Sales on their way into the journal together, through the same steps, set-based: one sale is a batch of one.

Reading, pricing and planning happen first, in memory; then the documents' rows, the movements and the levels are
written in one statement, levels last, so that a hot level is locked for as short as can be.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import require_warehouse
from tillhook.actor import Actor
from tillhook.catalogue import create_inline_product, remember_price
from tillhook.db import RetryTransaction, WriteBatch, begin_writing, fetch, utc_now
from tillhook.errors import Conflict, DomainError, ValidationFailed
from tillhook.hooks import Channel
from tillhook.ledger.alerts import stock_changed
from tillhook.ledger.items import Item, load_items
from tillhook.ledger.planning import Issue, IssueLine, NeedsLock, StockBook, plan_issue
from tillhook.ledger.policy import policy_for
from tillhook.ledger.posting import write_movements
from tillhook.ledger.reservations import release
from tillhook.numbering import sale_number
from tillhook.parties import Party
from tillhook.products.search import is_hidden
from tillhook.runtime import actor_of, runtime_of, snapshot_of
from tillhook.sales.calendar import business_day, happened_at
from tillhook.sales.commands import SaleCommand, SaleReturn, body_digest, fingerprint, same_warehouse
from tillhook.sales.drafts import DraftLine, PostedSale, SaleDraft
from tillhook.sales.exceptions import keep_cut, keep_refused
from tillhook.sales.pricing import check_discount, price_line
from tillhook.sales.queries import sales_by_id
from tillhook.sales.returning import Origin, Returned, movements_back, net_totals, origin_of, take_back
from tillhook.sales.rows import NUMBER_MARKS, line_rows, payment_rows, sale_row, show_sale
from tillhook.sales.settled import Discarded, close_kept, settled
from tillhook.sales.tenders import settle
from tillhook.sales.totals import DiscountError, DocumentTotals, LineInput, compute


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sale: ``created``, ``duplicate`` (the first one is in ``sale``) or ``rejected``.

    ``same_number_as`` is an earlier sale to which the device gave the same running number. ``is_awaited`` says that
    returns of it came before it, and wait.
    """

    status: Literal["created", "duplicate", "rejected"]
    sale: dict[str, Any] | None = None
    error: DomainError | None = None
    same_number_as: int | None = None
    is_awaited: bool = False

    def showing(self, sale: dict[str, Any]) -> "Outcome":
        """Return the outcome with the sale as it is now."""
        return replace(self, sale=sale, is_awaited=False)


def post_batch(session: Session, commands: Sequence[SaleCommand], *, is_offline: bool) -> list[Outcome]:
    """Post sales that do not depend on each other, all that can be posted.

    Raises:
        RetryTransaction: A concurrent sale came between; run the transaction again.
    """
    batch = _Batch(session, commands, is_offline)
    batch.find_duplicates()
    batch.draft()
    batch.plan()
    if batch.drafts:
        batch.write()
    return batch.finish()


class _Batch:
    """Sales on their way into the journal together. Steps are called in order; each settles or refuses sales."""

    def __init__(self, session: Session, commands: Sequence[SaleCommand], is_offline: bool) -> None:
        self._session = session
        self._connection: Connection = session.connection()
        self._runtime = runtime_of(session)
        self._snapshot = snapshot_of(session)
        self._actor: Actor = actor_of(session)
        self._commands = list(commands)
        self._is_offline = is_offline
        self._outcomes: list[Outcome | None] = [None] * len(commands)
        self._repeats: dict[int, int] = {}
        self._duplicates: dict[int, int] = {}
        self._sale_ids: list[int] = []
        self._line_ids: list[int] = []
        self._items: dict[int, dict[tuple[int, int | None], Item]] = {}
        self._origins: dict[int, Origin] = {}
        self._customers: dict[int, Any] = {}
        self._recorded_at = utc_now()
        self.drafts: list[SaleDraft] = []

    def find_duplicates(self) -> None:
        """Set aside sales whose ``external_id`` is known, and get keys for the rest, in one statement."""
        prints = {
            position: command.sent_as[0] if command.sent_as else fingerprint(command, self._actor.user_id)
            for position, command in enumerate(self._commands)
            if command.external_id
        }
        lines = sum(len(each.items) + (len(each.returns.lines) if each.returns else 0) for each in self._commands)
        ids = [command.external_id for command in self._commands if command.external_id]
        known, self._sale_ids, self._line_ids, self._kept, self._awaited = _keys(
            self._connection, ids, len(self._commands), lines
        )
        decided = self._decided(prints)
        first: dict[str, int] = {}
        for position, print_ in prints.items():
            external_id, warehouse_id = self._commands[position].external_id, self._commands[position].warehouse
            assert external_id
            if external_id in known:
                sale_id, known_print, place = known[external_id]
                if known_print == print_ and same_warehouse(warehouse_id, place):
                    self._duplicates[position] = sale_id
                elif position in decided:
                    self._repeat_decision(position, decided[position])
                else:
                    self._refuse_reuse(position)
            elif position in decided:
                self._repeat_decision(position, decided[position])
            elif external_id in first:
                earlier = first[external_id]
                if prints[earlier] == print_ and same_warehouse(warehouse_id, self._commands[earlier].warehouse):
                    self._repeats[position] = earlier
                else:
                    self._refuse_reuse(position)
            else:
                first[external_id] = position
        self._prints = prints

    def draft(self) -> None:
        """Price, total and settle every remaining sale."""
        waiting = [
            position
            for position in range(len(self._commands))
            if self._outcomes[position] is None and position not in self._duplicates and position not in self._repeats
        ]
        ready = []
        self._load_customers(self._commands[position].customer_id for position in waiting)
        for position in waiting:
            try:
                if self._commands[position].returns is not None:
                    self._commands[position] = self._with_origin(position)
                self._commands[position] = self._placed(self._commands[position])
                ready.append(position)
            except DomainError as error:
                self._outcomes[position] = Outcome("rejected", error=error)
        self._load_items(ready)
        sale_ids, line_ids = iter(self._sale_ids), iter(self._line_ids)
        self._lines_of: dict[int, list[int]] = {}
        for position in ready:
            try:
                draft = self._draft_one(position)
            except DomainError as error:
                self._outcomes[position] = Outcome("rejected", error=error)
                continue
            draft.id = next(sale_ids)
            count = len(draft.lines) + (len(draft.returned.items) if draft.returned else 0)
            self._lines_of[draft.id] = list(itertools.islice(line_ids, count))
            self.drafts.append(draft)

    def plan(self) -> None:
        """Decide what moves, without locks when that suffices; refuse the sales that are short."""
        optimistic = len(self._commands) == 1 and self._session.info.get("attempt") == 0
        issues = [self._issue(draft) for draft in self.drafts]
        # Lots are picked by what is left of them, whatever the policy.
        exact = any(line.policy != "allow" or line.item.tracking == "lot" for issue in issues for line in issue.lines)
        if exact and not optimistic:
            self._plan_all(issues, locked=True)
            return
        try:
            self._plan_all(issues, locked=False)
        except NeedsLock:
            self._plan_all(issues, locked=True)

    def write(self) -> None:
        """Write every planned sale: documents, movements, levels, alerts, events."""
        currency = self._snapshot.setting("currency")
        rounding = self._snapshot.setting("tax_rounding")
        day = business_day(self._snapshot, self._recorded_at)
        request_id = self._session.info.get("request_id", "")
        self._rows = {}
        # One order of external ids for everybody, so that two batches with the same sales don't deadlock.
        ordered = sorted(self.drafts, key=lambda draft: draft.command.external_id or "")
        lots = _lot_names(self._connection, ordered)
        for draft in ordered:
            number = sale_number(draft.channel.number_prefix + NUMBER_MARKS[draft.kind], day, draft.id)
            self._rows[draft.id] = (
                sale_row(draft, number, request_id, _currency(draft, currency), rounding),
                line_rows(draft, self._lines_of[draft.id], lots.get(draft.id, {})),
                payment_rows(draft),
            )
            if draft.returned is not None:
                self._rows[draft.id][1].extend(self._returned_rows(draft, draft.returned))
        batch = WriteBatch(self._connection)
        rows = self._rows.values()
        batch.insert("sale", [sale for sale, _, _ in rows])
        batch.insert("sale_line", [line for _, lines, _ in rows for line in lines])
        batch.insert("sale_payment", [payment for _, _, payments in rows for payment in payments])
        self._add_rows_of_plugins(batch, ordered)
        movements = [movement for draft in ordered for movement in draft.plan.movements]
        at_least: dict[Any, int] = {}
        if not self._book.is_locked:
            for draft in ordered:
                for key, units in draft.plan.at_least.items():
                    at_least[key] = at_least.get(key, 0) + units
        try:
            levels = write_movements(self._session, movements, at_least=at_least, batch=batch)
        except IntegrityError as error:
            # Somebody posted the same external id since we looked; the next run finds it.
            if "external_id" in str(error.orig):
                raise RetryTransaction from error
            raise
        stock_changed(self._session, movements, levels, self._all_items())
        self._remember_prices()

    def finish(self) -> list[Outcome]:
        """Tell the hooks, and return an outcome per sale, in the order asked."""
        sold: list[PostedSale] = []
        returned: list[PostedSale] = []
        for draft in self.drafts:
            shown = self._show(draft)
            is_awaited = draft.command.external_id in self._awaited
            self._outcomes[draft.position] = Outcome("created", sale=shown, is_awaited=is_awaited)
            (returned if draft.kind == "return" else sold).append(posted_sale(draft, shown))
        if sold and self._runtime.hooks.implemented("sales_posted"):
            self._runtime.hooks.hook.sales_posted(session=self._session, sales=sold)
        for sale in returned:
            self._runtime.hooks.hook.sale_returned(session=self._session, sale=sale)
        close_kept(
            self._session,
            [
                (draft.command, draft.id)
                for draft in self.drafts
                if draft.command.external_id in self._kept and draft.command.sent_as is None
            ],
        )
        if self._origins:
            for draft in self.drafts:
                keep_cut(self._session, draft)
        found = sales_by_id(self._session, self._duplicates.values())
        for position, sale_id in self._duplicates.items():
            self._outcomes[position] = Outcome("duplicate", sale=found[sale_id])
        for position, first in self._repeats.items():
            outcome = self._outcomes[first]
            assert outcome
            status = "duplicate" if outcome.status == "created" else outcome.status
            self._outcomes[position] = replace(outcome, status=status)
        return [outcome for outcome in self._outcomes if outcome is not None]

    def _add_rows_of_plugins(self, batch: WriteBatch, drafts: Sequence[SaleDraft]) -> None:
        if not self._runtime.hooks.implemented("sales_writing"):
            return
        drafts = [draft for draft in drafts if draft.kind != "return"]
        rows: dict[str, list[Mapping[str, Any]]] = {}
        for answer in self._runtime.hooks.hook.sales_writing(session=self._session, drafts=drafts):
            for table, row in answer:
                rows.setdefault(table, []).append(row)
        for table, added in rows.items():
            batch.insert(table, added)

    def _decided(self, positions: Iterable[int]) -> dict[int, int | Discarded]:
        """Return what a person has decided of sales that were refused before; nothing is asked without any."""
        kept = {
            position: self._commands[position]
            for position in positions
            if self._commands[position].external_id in self._kept and self._commands[position].sent_as is None
        }
        return settled(self._session, kept) if kept else {}

    def _repeat_decision(self, position: int, decision: int | Discarded) -> None:
        if isinstance(decision, Discarded):
            self._outcomes[position] = Outcome("rejected", error=decision)
        else:
            self._duplicates[position] = decision

    def _refuse_reuse(self, position: int) -> None:
        command = self._commands[position]
        error = Conflict(
            "This external_id was used for another sale; the new one is kept for a person to look at.",
            code="external-id-reused",
            errors=[{"field": "external_id", "message": "Used for other content before."}],
        )
        keep_refused(self._session, [(command, error)])
        self._outcomes[position] = Outcome("rejected", error=error)

    def _with_origin(self, position: int) -> SaleCommand:
        """Return the command with what it takes over from the sale of which goods come back."""
        command = self._commands[position]
        self._actor.require("sales:sale:return")
        origin = self._origins[position] = origin_of(self._session, command, is_offline=self._is_offline)
        if command.warehouse is None:
            command = replace(command, warehouse=origin.row["warehouse_id"])
        if command.customer_id is None and not command.customer_name:
            row = origin.row
            command = replace(
                command,
                customer_id=row["customer_id"],
                customer_name=row["customer_name"],
                customer_phone=command.customer_phone or row["customer_phone"],
                customer_email=command.customer_email or row["customer_email"],
            )
        return command

    def _placed(self, command: SaleCommand) -> SaleCommand:
        """Return the command with its warehouse, which the seller may see, and its customer's particulars."""
        channel = self._channel(command)
        self._actor.require(channel.permission)
        warehouse_id = command.warehouse
        if warehouse_id is None:
            warehouse_id = default_warehouse(self._session, self._actor)
        require_warehouse(self._actor, warehouse_id, field="warehouse")
        warehouse = self._snapshot.warehouses.get(warehouse_id)
        if warehouse is None or not warehouse.is_active:
            raise ValidationFailed.at("warehouse", "There is no such active warehouse.", code="unknown-warehouse")
        if command.warehouse is None:
            command = replace(command, warehouse=warehouse_id)
        if command.customer_id is not None:
            command = self._with_customer(command)
        return command

    def _channel(self, command: SaleCommand) -> Channel:
        channel: Channel | None = self._runtime.registry.channels.get(command.channel)
        if channel is None:
            known = ", ".join(sorted(self._runtime.registry.channels)) or "none, enable a module that brings one"
            raise ValidationFailed.at("channel", f"Unknown; known are {known}.", code="unknown-channel")
        return channel

    def _with_customer(self, command: SaleCommand) -> SaleCommand:
        if command.customer_id not in self._customers:
            self._load_customers([command.customer_id])
        row = self._customers.get(command.customer_id or 0)
        if row is None:
            raise ValidationFailed.at("customer_id", "There is no such customer.", code="unknown-customer")
        return replace(
            command,
            customer_name=command.customer_name or row.name or "",
            customer_phone=command.customer_phone or row.phone or "",
            customer_email=command.customer_email or row.email or "",
        )

    def _load_customers(self, keys: Iterable[int | None]) -> None:
        """Read the customers of all sales at once."""
        wanted = sorted({key for key in keys if key is not None})
        if wanted:
            rows = self._session.execute(
                select(Party.id, Party.name, Party.phone, Party.email).where(Party.id.in_(wanted))
            )
            self._customers |= {row.id: row for row in rows}

    def _load_items(self, positions: Sequence[int]) -> None:
        """Read what the sales need of the catalogue and the levels: one statement per warehouse."""
        wanted: dict[int, tuple[set[int], set[int]]] = {}
        for position in positions:
            command = self._commands[position]
            assert command.warehouse is not None
            variants, products = wanted.setdefault(command.warehouse, (set(), set()))
            for item in command.items:
                if item.variant_id is not None:
                    variants.add(item.variant_id)
                elif item.product_id is not None:
                    products.add(item.product_id)
        for warehouse_id, (variants, products) in wanted.items():
            found = self._items.setdefault(warehouse_id, {})
            for loaded in load_items(self._connection, warehouse_id, variant_ids=variants, product_ids=products):
                found[loaded.product_id, loaded.variant_id] = loaded
                if loaded.is_default:
                    found[loaded.product_id, None] = loaded

    def _draft_one(self, position: int) -> SaleDraft:
        command = self._commands[position]
        sale_date, suspect = happened_at(command.client_timestamp, self._recorded_at)
        if any(item.product_data for item in command.items):
            command = self._commands[position] = self._with_inline_products(command)
        assert command.warehouse is not None
        lines = []
        for number in range(len(command.items)):
            item = self._item(command, number)
            lines.append(
                price_line(self._session, self._actor, command, number, item, sale_date, is_offline=self._is_offline)
            )
        totals, returned = self._totals(command, lines), None
        if command.returns is not None:
            self._check_currency(position, command)
            returned = self._take_back(position, command.returns)
            totals = net_totals(totals, returned.totals)
        draft = SaleDraft(
            command=command,
            channel=self._channel(command),
            warehouse_id=command.warehouse,
            seller_id=self._actor.user_id,
            seller_name=self._actor.name,
            is_offline=self._is_offline,
            recorded_at=self._recorded_at,
            sale_date=sale_date,
            lines=lines,
            totals=totals,
            fingerprint=self._prints.get(position),
            body_digest=self._digest(command),
            position=position,
            clock_suspect=suspect,
            returned=returned,
        )
        check_discount(self._session, self._actor, draft)
        settle(self._session, draft)
        if self._runtime.hooks.implemented("validate_sale"):
            self._runtime.hooks.hook.validate_sale(session=self._session, draft=draft)
        return draft

    def _digest(self, command: SaleCommand) -> str | None:
        if command.sent_as is not None:
            return command.sent_as[1]
        return body_digest(command.request, self._actor.user_id) if command.external_id else None

    def _check_currency(self, position: int, command: SaleCommand) -> None:
        """Refuse to set goods off against others that were paid for in another currency."""
        paid, present = self._origins[position].row["currency"], self._snapshot.setting("currency")
        if command.items and paid != present:
            raise Conflict(
                f"The goods were paid for in {paid}; return them first, and sell the others in {present}.",
                code="other-currency",
            )

    def _take_back(self, position: int, returns: SaleReturn) -> Returned:
        return take_back(
            self._session,
            self._origins[position],
            returns.lines,
            where="returns.lines",
            reason=returns.reason,
            is_offline=self._is_offline,
        )

    def _returned_rows(self, draft: SaleDraft, returned: Returned) -> list[dict[str, Any]]:
        """Return the rows of the lines that come back, after those sold, and plan the goods' way back."""
        first = len(draft.lines)
        draft.plan.movements += movements_back(self._session, returned, self._rows[draft.id][0], first)
        rows = returned.rows(draft.id, first)
        return [{"id": key} | row for key, row in zip(self._lines_of[draft.id][first:], rows, strict=True)]

    def _totals(self, command: SaleCommand, lines: Sequence[DraftLine]) -> DocumentTotals:
        inputs = [
            LineInput(line.quantity, line.unit_price, line.discount_per_item, line.tax_rate, line.tax_inclusive)
            for line in lines
        ]
        places = self._snapshot.setting("currency_places")
        try:
            return compute(
                inputs,
                discount=command.discount_amount,
                places=places,
                rounding=self._snapshot.setting("tax_rounding"),
            )
        except DiscountError as error:
            raise ValidationFailed.at("discount_amount", str(error)) from error
        except ValueError as error:
            raise ValidationFailed.at("items", str(error)) from error

    def _item(self, command: SaleCommand, number: int) -> Item:
        asked = command.items[number]
        assert asked.product_id is not None and command.warehouse is not None
        found = self._items[command.warehouse]
        item = found.get((asked.product_id, asked.variant_id))
        if item is None or is_hidden(self._actor, item.status, item.owner_id):
            if asked.variant_id is not None:
                raise ValidationFailed.at(
                    f"items.{number}.variant_id", "There is no such variant of this product.", code="unknown-variant"
                )
            raise ValidationFailed.at(
                f"items.{number}.product_id",
                "There is no such product, or it is sold by variant.",
                code="unknown-product",
            )
        if asked.variant_id is None and item.has_variants:
            raise ValidationFailed.at(f"items.{number}.variant_id", "This product is sold by variant; name one.")
        if not self._is_offline:
            self._check_sellable(item, number)
            self._check_precision(item, asked.quantity, number)
        return item

    def _check_sellable(self, item: Item, number: int) -> None:
        own = item.owner_id is not None and item.owner_id == self._actor.user_id
        if item.is_active and (item.status == "published" or (item.status == "pending" and own)):
            return
        raise ValidationFailed.at(
            f"items.{number}.product_id", f"{item.product_name} is not for sale.", code="not-for-sale"
        )

    def _check_precision(self, item: Item, quantity: Decimal, number: int) -> None:
        if item.unit_id is None or item.tracking == "none":
            return
        places = self._snapshot.units[item.unit_id].precision
        if quantity != round(quantity, places):
            raise ValidationFailed.at(
                f"items.{number}.quantity", f"At most {places} digits after the point in this unit."
            )

    def _with_inline_products(self, command: SaleCommand) -> SaleCommand:
        """Make the products that lines bring along, and return the command with their keys."""
        assert command.warehouse is not None
        items = list(command.items)
        made = []
        for number, item in enumerate(items):
            if item.product_data is not None:
                field = f"items.{number}.product_data"
                product = create_inline_product(self._session, item.product_data, self._actor, field)
                items[number] = replace(item, product_id=product.id)
                made.append(product.id)
        self._session.flush()
        found = self._items.setdefault(command.warehouse, {})
        for loaded in load_items(self._connection, command.warehouse, product_ids=made):
            found[loaded.product_id, None] = loaded
        return replace(command, items=tuple(items))

    def _plan_all(self, issues: Sequence[Issue], *, locked: bool) -> None:
        """Plan every draft on one book, in order, refusing the short ones."""
        self._book = book = StockBook(self._session)
        for draft in self.drafts:
            if draft.command.reservation is not None:
                release(self._session, *draft.command.reservation, outcome="fulfilled")
                locked = True
        by_warehouse: dict[int, set[int]] = {}
        for draft in self.drafts:
            for line in draft.lines:
                book.add_item(line.item, draft.warehouse_id)
                if line.item.tracking == "lot":
                    by_warehouse.setdefault(draft.warehouse_id, set()).add(line.item.variant_id)
        for warehouse_id, variants in by_warehouse.items():
            book.add_lots(sorted(variants), warehouse_id)
        if locked:
            book.lock([(line.item, draft.warehouse_id) for draft in self.drafts for line in draft.lines])
        kept = []
        for draft, issue in zip(self.drafts, issues, strict=True):
            try:
                draft.plan = plan_issue(self._session, book, issue)
                kept.append(draft)
            except DomainError as error:
                self._outcomes[draft.position] = Outcome("rejected", error=error)
        self.drafts = kept

    def _issue(self, draft: SaleDraft) -> Issue:
        channel = draft.channel
        default = channel.offline_policy if draft.is_offline else channel.stock_policy
        return Issue(
            document_type=draft.kind,
            document_id=draft.id,
            warehouse_id=draft.warehouse_id,
            occurred_at=draft.sale_date,
            channel=channel.name,
            may_sell_expired=draft.is_offline or self._actor.can("stock:lot:sell_expired"),
            picks_expired=draft.is_offline,
            today=business_day(self._snapshot, draft.sale_date),
            lines=[
                IssueLine(
                    line=line.number,
                    item=line.item,
                    quantity=line.quantity,
                    policy=policy_for(
                        self._session,
                        line.item.product_id,
                        draft.warehouse_id,
                        channel.name,
                        is_offline=draft.is_offline,
                        default=default,
                    )
                    if line.item.tracking != "none"
                    else "allow",
                    batch_number=line.asked.batch_number,
                    expiry_date=line.asked.expiry_date,
                )
                for line in draft.lines
            ],
        )

    def _all_items(self) -> list[Item]:
        # A batch may post to several warehouses, or take back what it does not sell; then totals are read again.
        if len(self._items) > 1 or self._origins:
            return []
        return list({item.variant_id: item for found in self._items.values() for item in found.values()}.values())

    def _remember_prices(self) -> None:
        prices = {
            line.item.product_id: line.unit_price
            for draft in self.drafts
            for line in draft.lines
            if line.item.price_mode == "open" and line.unit_price != line.catalogue_price
        }
        if prices:
            remember_price(self._session, prices)

    def _show(self, draft: SaleDraft) -> dict[str, Any]:
        if draft.returned is not None:
            return sales_by_id(self._session, [draft.id])[draft.id]
        sale, lines, payments = self._rows[draft.id]
        defaults = {line.item.variant_id for line in draft.lines if line.item.is_default}
        warehouse = self._snapshot.warehouses[draft.warehouse_id]
        return show_sale(sale, lines, payments, warehouse_name=warehouse.name, default_variants=defaults)


def default_warehouse(session: Session, actor: Actor) -> int:
    """Return the warehouse of a document that names none: the seller's only one, else the setting's."""
    snapshot = snapshot_of(session)
    visible = [
        key
        for key, warehouse in snapshot.warehouses.items()
        if warehouse.is_active and (actor.warehouse_ids is None or key in actor.warehouse_ids)
    ]
    default = snapshot.setting("default_warehouse")
    if default in visible:
        return int(default)
    if len(visible) == 1:
        return visible[0]
    raise ValidationFailed.at("warehouse", "Required: there is not just one warehouse of yours.")


def _currency(draft: SaleDraft, present: str) -> str:
    """Return the currency of a document: what only comes back is paid back in the one that it was paid in."""
    if draft.returned is None or draft.lines:
        return present
    return str(draft.returned.origin.row["currency"])


def posted_sale(draft: SaleDraft, shown: dict[str, Any]) -> PostedSale:
    """Return what hooks see of a posted sale; payments are net of change."""
    return PostedSale(
        id=draft.id,
        kind=draft.kind,
        sale_number=shown["sale_number"],
        channel=draft.channel.name,
        warehouse_id=draft.warehouse_id,
        customer_id=draft.command.customer_id,
        total_amount=draft.totals.total_amount,
        origin_id=draft.returned.origin.id if draft.returned else None,
        payments=tuple((payment["method"], payment["amount"] - payment["change"]) for payment in draft.payments),
        sale=shown,
    )


_KEYS = """
SELECT (SELECT json_agg(json_build_array(external_id, id, fingerprint, warehouse_id))
          FROM sale WHERE external_id = ANY(%s)),
       ARRAY(SELECT nextval('sale_id_seq') FROM generate_series(1, %s)),
       ARRAY(SELECT nextval('sale_line_id_seq') FROM generate_series(1, %s)),
       ARRAY(SELECT external_id FROM sale_exception WHERE external_id = ANY(%s)),
       ARRAY(SELECT origin_external_id FROM sale_exception
              WHERE status = 'waiting' AND origin_external_id = ANY(%s))
"""
_KNOWN_SQLITE = """
SELECT external_id, id, fingerprint, warehouse_id FROM sale WHERE external_id IN ({places})
UNION ALL SELECT external_id, 0, NULL, 0 FROM sale_exception WHERE external_id IN ({places})
UNION ALL SELECT origin_external_id, -1, NULL, 0 FROM sale_exception
 WHERE status = 'waiting' AND origin_external_id IN ({places})
"""
_LAST_KEYS = "SELECT (SELECT COALESCE(MAX(id), 0) FROM sale), (SELECT COALESCE(MAX(id), 0) FROM sale_line)"


def _keys(
    connection: Connection, external_ids: Sequence[str | None], sales: int, lines: int
) -> tuple[dict[str, tuple[int, str | None, int]], list[int], list[int], Set[str | None], Set[str | None]]:
    """Return known sales by external id, new keys for sales and lines, the ids that were ever refused, and those
    that returns wait for.
    """
    ids = list(external_ids)
    if connection.dialect.name == "postgresql":
        known, sale_ids, line_ids, kept, awaited = fetch(connection, _KEYS, (ids, sales, lines, ids, ids))[0]
        by_id = {row[0]: (row[1], row[2], row[3]) for row in known or ()}
        return by_id, sale_ids, line_ids, frozenset(kept), frozenset(awaited)
    begin_writing(connection)
    rows = fetch(connection, _KNOWN_SQLITE.format(places=",".join("?" * len(ids))), ids * 3)
    # The writer's lock is held: nobody else takes these keys.
    last_sale, last_line = fetch(connection, _LAST_KEYS)[0]
    return (
        {row[0]: (row[1], row[2], row[3]) for row in rows if row[1] > 0},
        list(range(last_sale + 1, last_sale + 1 + sales)),
        list(range(last_line + 1, last_line + 1 + lines)),
        {row[0] for row in rows if row[1] == 0},
        {row[0] for row in rows if row[1] < 0},
    )


def _lot_names(connection: Connection, drafts: Sequence[SaleDraft]) -> dict[int, dict[int, tuple[str, str | None]]]:
    """Return batch and earliest expiry per line of each sale that took lots; several batches joined by commas."""
    wanted = {lot_id for draft in drafts for lots in draft.plan.lots.values() for lot_id in lots}
    if not wanted:
        return {}
    names = {
        row[0]: (row[1], None if row[2] is None else str(row[2]))
        for row in connection.execute(
            text(f"SELECT id, batch_number, expiry_date FROM lot WHERE id IN ({','.join(map(str, sorted(wanted)))})")
        )
    }
    result: dict[int, dict[int, tuple[str, str | None]]] = {}
    for draft in drafts:
        for number, lots in draft.plan.lots.items():
            if lots:
                expiries = sorted(expiry for lot in lots if (expiry := names[lot][1]) is not None)
                batches = ", ".join(names[lot][0] for lot in lots)
                result.setdefault(draft.id, {})[number] = (batches, expiries[0] if expiries else None)
    return result
