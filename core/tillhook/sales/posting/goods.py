"""What the sales of a run want: the items of their lines, as they are in the catalogue and on the shelf."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from tillhook.catalogue import create_inline_product, inline_item
from tillhook.errors import ValidationFailed
from tillhook.hooks import frozen
from tillhook.ledger import Item, Items, load_items
from tillhook.products import Refusal, is_hidden, why_not_for_sale, why_not_there
from tillhook.sales.commands import SaleCommand, SaleItem
from tillhook.sales.posting.entries import Entry, Run
from tillhook.sales.posting.reading import item_keys


def load_goods(run: Run, entries: Iterable[Entry], known: Items) -> Items:
    """Return what the sales need of the catalogue and the levels, read unless it was read before."""
    wanted = {key for entry in entries if entry.is_open for key in item_keys(entry.command)}
    return known if known.by_key.keys() >= wanted else load_items(run.session, wanted)


def lines_of(run: Run, entry: Entry, goods: Items) -> list[tuple[SaleItem, Item]]:
    """Return each line as asked for, with what it sells; products that lines bring along are made.

    Raises:
        ValidationFailed: 422: something that is not there, not for sale, or not sold in such parts.
    """
    made, command = _made(run, entry.command), entry.command
    return [
        (made[number][0], made[number][1]) if number in made else (asked, _item(run, entry, goods, number))
        for number, asked in enumerate(command.items)
    ]


def _made(run: Run, command: SaleCommand) -> dict[int, tuple[SaleItem, Item]]:
    """Return the lines that bring their product along, by number."""
    lines: dict[int, SaleItem] = {}
    items: dict[int, Item] = {}
    for number, asked in enumerate(command.items):
        data = asked.product_data
        if data is not None:
            field = f"items.{number}.product_data"
            lines[number] = replace(asked, product_data=frozen(data))
            if run.is_quote:
                items[number] = inline_item(run.session, data, run.actor, field)
            else:
                product = create_inline_product(run.session, data, run.actor, field)
                lines[number] = replace(lines[number], product_id=product.id)
    if lines and not run.is_quote:
        run.session.flush()
        assert command.warehouse is not None
        keys = {number: line.product_id for number, line in lines.items() if line.product_id is not None}
        loaded = load_items(run.session, ((command.warehouse, key, None) for key in keys.values()))
        items = {number: loaded.by_key[command.warehouse, key, None] for number, key in keys.items()}
    return {number: (line, items[number]) for number, line in lines.items()}


def _item(run: Run, entry: Entry, goods: Items, number: int) -> Item:
    command, asked = entry.command, entry.command.items[number]
    item = goods.find(command.warehouse or 0, asked.product_id or 0, asked.variant_id)
    if item is None or is_hidden(run.actor, item.status, item.owner_id, was_approved=item.was_approved):
        raise _refused(entry, number, why_not_there(run.session, asked.product_id or 0, asked.variant_id))
    if not run.is_offline:
        _check_sellable(run, entry, item, number)
        _check_precision(run, item, asked.quantity, number)
    return item


def is_for_sale(run: Run, item: Item) -> bool:
    """Say whether the actor may sell the item: published, or an own one that is pending."""
    own = item.owner_id is not None and item.owner_id == run.actor.user_id
    return item.is_active and (item.status == "published" or (item.status == "pending" and own))


def _check_sellable(run: Run, entry: Entry, item: Item, number: int) -> None:
    if not is_for_sale(run, item):
        raise _refused(entry, number, why_not_for_sale(item.product_name, item.status, item.is_active))


def _refused(entry: Entry, number: int, why: Refusal) -> ValidationFailed:
    """Return the refusal of a line, its field named as the body names it."""
    items, field = entry.sent.payload.get("items", ()), why.field
    if field == "product_id" and number < len(items) and items[number].get("product") is not None:
        field = "product"
    return ValidationFailed.at(f"items.{number}.{field}", why.message, code=why.code)


def _check_precision(run: Run, item: Item, quantity: Decimal, number: int) -> None:
    fault = None if item.tracking == "none" else run.snapshot.unit_fault(item.unit_id, quantity)
    if fault is not None:
        raise ValidationFailed.at(f"items.{number}.quantity", fault)
