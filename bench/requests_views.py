"""The seller's views; a report also reads what was sold of each product, as many as there are."""

from bench.requests import Read

_YEAR = {"date_from": "{first}", "date_to": "{last}"}
_MONTH = {"date_from": "{last_month}", "date_to": "{last}"}

READS = tuple(
    read
    for person in ("admin", "cashier")
    for read in (
        Read(name="dashboard", path="/api/pos/dashboard", person=person),
        Read(
            name="report of 30 days",
            path="/api/pos/reports/sales",
            method="POST",
            body=_MONTH,
            person=person,
            rows=150_000,
        ),
        Read(
            name="report of a year",
            path="/api/pos/reports/sales",
            method="POST",
            body=_YEAR,
            person=person,
            rows=150_000,
            p95_ms=300,
        ),
        Read(
            name="product in a year",
            path="/api/sales/analytics?product_id=1&start_date={first}&end_date={last}",
            person=person,
        ),
    )
)
