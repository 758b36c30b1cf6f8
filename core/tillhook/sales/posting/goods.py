"""What the sales of a run want: the items of their lines, as they are in the catalogue and on the shelf."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from tillhook.catalogue import create_inline_product, inline_item
from tillhook.errors import ValidationFailed
from tillhook.hooks import frozen
from tillhook.ledger import Item, load_items
from tillhook.products.search import is_hidden
from tillhook.sales.commands import SaleCommand, SaleItem
from tillhook.sales.posting.entries import Entry, Run

#: By warehouse, product and variant; a product that is sold without naming one is there with ``None`` too.
Goods = dict[tuple[int, int, int | None], Item]


def load_goods(run: Run, entries: Iterable[Entry]) -> Goods:
    """Read what the sales need of the catalogue and the levels: one statement per warehouse."""
    wanted: dict[int, tuple[set[int], set[int]]] = {}
    for entry in entries:
        if entry.is_open:
            variants, products = wanted.setdefault(entry.command.warehouse or 0, (set(), set()))
            for item in entry.command.items:
                if item.variant_id is not None:
                    variants.add(item.variant_id)
                elif item.product_id is not None:
                    products.add(item.product_id)
    goods: Goods = {}
    for warehouse_id, (variants, products) in wanted.items():
        for loaded in load_items(run.session.connection(), warehouse_id, variant_ids=variants, product_ids=products):
            goods[warehouse_id, loaded.product_id, loaded.variant_id] = loaded
            if loaded.is_default:
                goods[warehouse_id, loaded.product_id, None] = loaded
    return goods


def lines_of(run: Run, command: SaleCommand, goods: Goods) -> list[tuple[SaleItem, Item]]:
    """Return each line as asked for, with what it sells; products that lines bring along are made.

    Raises:
        ValidationFailed: 422: something that is not there, not for sale, or not sold in such parts.
    """
    made = _made(run, command)
    return [
        (made[number][0], made[number][1]) if number in made else (asked, _item(run, command, goods, number))
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
        keys = [line.product_id for line in lines.values() if line.product_id is not None]
        loaded = load_items(run.session.connection(), command.warehouse, product_ids=keys)
        by_product = {item.product_id: item for item in loaded}
        items = {number: by_product[line.product_id or 0] for number, line in lines.items()}
    return {number: (line, items[number]) for number, line in lines.items()}


def _item(run: Run, command: SaleCommand, goods: Goods, number: int) -> Item:
    asked = command.items[number]
    item = goods.get((command.warehouse or 0, asked.product_id or 0, asked.variant_id))
    if item is None or is_hidden(run.actor, item.status, item.owner_id):
        if asked.variant_id is not None:
            raise ValidationFailed.at(
                f"items.{number}.variant_id", "There is no such variant of this product.", code="unknown-variant"
            )
        raise ValidationFailed.at(
            f"items.{number}.product_id", "There is no such product, or it is sold by variant.", code="unknown-product"
        )
    if asked.variant_id is None and item.has_variants:
        raise ValidationFailed.at(f"items.{number}.variant_id", "This product is sold by variant; name one.")
    if not run.is_offline:
        _check_sellable(run, item, number)
        _check_precision(run, item, asked.quantity, number)
    return item


def _check_sellable(run: Run, item: Item, number: int) -> None:
    own = item.owner_id is not None and item.owner_id == run.actor.user_id
    if not item.is_active or not (item.status == "published" or (item.status == "pending" and own)):
        raise ValidationFailed.at(
            f"items.{number}.product_id", f"{item.product_name} is not for sale.", code="not-for-sale"
        )


def _check_precision(run: Run, item: Item, quantity: Decimal, number: int) -> None:
    if item.unit_id is None or item.tracking == "none":
        return
    places = run.snapshot.units[item.unit_id].precision
    if quantity != round(quantity, places):
        raise ValidationFailed.at(f"items.{number}.quantity", f"At most {places} digits after the point in this unit.")
