"""The journal's lists, and what else grows with the sales."""

from bench.requests import Read

_DAY = "date_from={day}&date_to={day}"
_MONTH = "date_from={month}&date_to={day}"
_FILTERS = {
    "all": "",
    "of a day": _DAY,
    "of a month": _MONTH,
    "of a year": "date_from={first}&date_to={last}",
    "of the last day": "date_from={last}",
    "until the first month": "date_to={month}",
    "of a frequent customer": "customer={frequent_customer}",
    "of a rare customer": "customer={rare_customer}",
    "of a rare channel": "channel=phone",
    "of a rare channel in a month": "channel=phone&" + _MONTH,
    "of the usual channel": "channel=pos",
    "of an unknown channel": "channel=nowhere",
    "of a rare payment": "payment_method=cheque",
    "of a rare payment in a month": "payment_method=cheque&" + _MONTH,
    "of a frequent payment": "payment_method=mobile",
    "of no payment": "payment_method=nothing",
    "cancelled": "is_cancelled=true",
    "cancelled on a day": "is_cancelled=true&" + _DAY,
    "not cancelled": "is_cancelled=false",
    "of a rare warehouse": "warehouse={rare_warehouse}",
    "of a warehouse": "warehouse=1",
    "of a warehouse on a day": "warehouse=1&" + _DAY,
    "and all else": "kind=all",
    "and their returns": "kind=sale,return",
    "come back": "kind=return",
    "come back and cancelled": "kind=return,cancellation",
    "come back on a day": "kind=return&" + _DAY,
    "exchanged": "kind=exchange",
    "of a rare product": "product={rare_product}",
    "of a frequent product": "product={frequent_product}",
    "of a device": "device=till-3",
    "of an unknown device": "device=nowhere",
    "of a seller": "seller=1003",
    "of a device and a seller": "device=till-3&seller=1003",
    "of a product in a month": "product={frequent_product}&" + _MONTH,
    "that hang on one": "origin={origin}",
    "of a batch": "batch={rare_batch}",
    "of an unknown batch": "batch=NONE",
    "changed": "updated_after={day}T12:00:00Z",
    "changed lately": "updated_after={last}T23:00:00Z",
    "changed of a rare customer": "updated_after={first}T00:00:00Z&customer={rare_customer}",
    "changed of a rare product": "updated_after={first}T00:00:00Z&product={rare_product}",
    "changed and all else": "kind=all&updated_after={day}T12:00:00Z",
    "by number": "search={number}",
    "by the number's end": "search={digits}",
    "by a rare name": "search=zacharias",
    "by a frequent name": "search=customer",
    "by phone": "search=700%201234",
    "by nothing there": "search=nobody%20at%20all",
}
_ORDERS = {
    "": "",
    ", by date": "&ordering=-sale_date",
    ", by recording": "&ordering=-created_at",
    ", by total": "&ordering=-total_amount",
    ", by change": "&ordering=-updated_at",
}
_ORDERED = (
    "all",
    "and all else",
    "come back",
    "of a rare product",
    "of a day",
    "of a month",
    "of a rare customer",
    "of a frequent customer",
    "of a rare channel",
)
_OF_SELLERS = (
    *("all", "of a day", "of a year", "of a rare channel", "of a frequent payment", "cancelled", "by number"),
    *("and all else", "come back", "of a rare product", "of a batch", "changed"),
)


# A day has a hundred times the sales, or a customer: they are put in order, or walked past, a few milliseconds' worth.
_MORE_TO_READ = (
    "sales of a day, by recording",
    "sales of a day, by total",
    "sales cancelled on a day",
    "sales of a frequent customer, by total",
)


# Many days in another order than theirs: what came later is walked past. So are the other 99 of a hundred, however many
# sales there are. Of all sales of a day it is looked up when they changed.
_PAST_OTHERS = (
    ("of a day", ", by change"),
    ("of a month", ", by recording"),
    ("of a month", ", by change"),
    ("of a frequent customer", ", by change"),
    ("come back", ", by change"),
)


def _rows(query: str) -> int:
    """Return what a list may read: who searches looks through the names of customers, each once."""
    return 150_000 if "search" in query else 12_000


READS = (
    *(
        Read(
            name=f"sales {name}{order}",
            path=f"/api/sales?{query}{ordering}",
            rows=_rows(query),
            ratio=4 if f"sales {name}{order}" in _MORE_TO_READ else 2,
        )
        for name, query in _FILTERS.items()
        for order, ordering in _ORDERS.items()
        if not order or (name in _ORDERED and (name, order) not in _PAST_OTHERS)
    ),
    *(
        Read(name=f"sales {name}", path=f"/api/sales?{_FILTERS[name]}", person=person, rows=_rows(_FILTERS[name]))
        for name in _OF_SELLERS
        for person in ("cashier", "supplier")
    ),
    *(
        Read(name=f"sales all{order}", path=f"/api/sales?{ordering}", person="supplier")
        for order, ordering in _ORDERS.items()
        if order
    ),
    # The first keys are all of what was taken back, and passed over.
    Read(name="sales all, oldest first", path="/api/sales?ordering=id", rows=25_000),
    Read(name="sales all, smallest first", path="/api/sales?ordering=total_amount"),
    Read(name="sales deep", path="/api/sales?cursor={cursor}", cursor=("-id", None, "{middle}")),
    Read(
        name="sales deep, by date",
        path="/api/sales?ordering=-sale_date&cursor={cursor}",
        cursor=("-sale_date", "{day}T12:00:00.000000Z", "{middle}"),
    ),
    Read(
        name="sales deep, by total",
        path="/api/sales?ordering=-total_amount&cursor={cursor}",
        cursor=("-total_amount", "500.00", "{middle}"),
    ),
    Read(name="a sale", path="/api/sales/{middle}"),
    Read(name="a sale", path="/api/sales/{middle}", person="cashier"),
    Read(name="exceptions", path="/api/sales/exceptions"),
    Read(name="exceptions open", path="/api/sales/exceptions?status=open"),
    Read(name="exceptions waiting", path="/api/sales/exceptions?status=waiting"),
    Read(name="exceptions by last seen", path="/api/sales/exceptions?ordering=-last_seen_at"),
    Read(name="exceptions by code", path="/api/sales/exceptions?code=bad-price"),
    Read(name="exceptions", path="/api/sales/exceptions", person="cashier"),
    Read(name="exceptions", path="/api/sales/exceptions", person="supplier"),
    Read(name="audit", path="/api/audit"),
    Read(name="audit of a thing", path="/api/audit?entity=product&entity_id=17"),
    Read(name="audit of a kind", path="/api/audit?entity=sale_device"),
    Read(name="audit of an action", path="/api/audit?action=write-off"),
    Read(name="audit of a day", path="/api/audit?date_from={day}T00:00:00Z&date_to={day}T23:00:00Z"),
    # All of the log, which only grows with what people change.
    Read(name="audit by a name", path="/api/audit?search=supplier", rows=60_000, ratio=20),
    Read(name="events, first", path="/api/events"),
    Read(name="events after the middle", path="/api/events?after={middle}"),
    Read(name="events after the middle", path="/api/events?after={middle}", person="accountant"),
    Read(name="events after the last", path="/api/events?after={newest}"),
)
