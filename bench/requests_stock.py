"""The ledger, levels and products. What is low is looked for among all products, and a word among their names."""

from bench.requests import Read

_MOVEMENTS = {
    "all": "",
    "of a frequent product": "product={frequent_product}",
    "of a rare product": "product={rare_product}",
    "of a frequent product on a day": "product={frequent_product}&date_from={day}T00:00:00Z&date_to={day}T23:59:59Z",
    "of a frequent variant": "variant={frequent_product}",
    "of a day": "date_from={day}T00:00:00Z&date_to={day}T23:59:59Z",
    "of a month": "date_from={month}T00:00:00Z&date_to={day}T00:00:00Z",
    "until the first month": "date_to={month}T00:00:00Z",
    "from the first day, first come": "date_from={first}T00:00:00Z&ordering=occurred_at",
    "as they were recorded": "ordering=-recorded_at",
    "of a sale": "document_type=sale&document_id={middle}",
    "of a document's key": "document_id={middle}",
    "of the usual kind": "document_type=sale",
    "of receipts": "document_type=receipt",
    "of receipts, first come": "document_type=receipt&ordering=occurred_at",
    "of no kind": "document_type=transfer",
    "of no such number": "document=nothing",
    "of a sale's number": "document={number}",
    "of a person": "person={cashier}",
    "of a person of few, long ago": "person={supplier}",
    "of a frequent batch": "batch=OFTEN",
    "of a rare batch": "batch=RARE",
    "of a warehouse": "warehouse=1",
    "of a warehouse on a day": "warehouse=1&date_from={day}T00:00:00Z&date_to={day}T23:59:59Z",
}
_DOCUMENTS = {
    "all": "",
    "first come": "ordering=occurred_at",
    "as they were recorded": "ordering=-recorded_at",
    "of a day": "date_from={day}T00:00:00Z&date_to={day}T23:59:59Z",
    "of the usual kind": "kind=adjustment",
    "of a rare kind": "kind=transfer",
    "of no kind": "kind=count",
    "of a person": "person={admin}",
    "of a person of few": "person={supplier}",
    "of a warehouse": "warehouse=2",
    "of a rare warehouse": "warehouse={rare_warehouse}",
    "of a frequent product": "product={frequent_product}",
    "of a rare product": "product={rare_product}",
    "of a frequent batch": "batch=OFTEN",
    "of a rare batch": "batch=RARE",
    "of a frequent product, none of a kind": "product={frequent_product}&kind=count",
}
_LEVELS = {
    "levels": "/api/inventory",
    "levels of a warehouse": "/api/inventory?warehouse=2",
    "levels by name": "/api/inventory?ordering=product_name",
    "levels of a product": "/api/inventory/{frequent_product}",
    "levels on the last day of a rare product": "/api/inventory?product={rare_product}&as_of={last}T00:00:00Z",
    "levels in the middle of a rare product": "/api/inventory?product={rare_product}&as_of={day}T00:00:00Z",
    "levels on the last day of a frequent product": "/api/inventory?product={frequent_product}&as_of={last}T00:00:00Z",
    "stock of a product": "/api/inventory/stock/check?product_id={frequent_product}&warehouse_id=1",
    "open alerts": "/api/inventory/alerts?status=open",
    "alerts of a product": "/api/inventory/alerts?product={products}",
}
_PRODUCTS = {
    "newest": "",
    "by name": "ordering=name",
    "by name, last first": "ordering=-name",
    "by price": "ordering=price",
    "by SKU": "ordering=sku",
    "by making": "ordering=-created_at",
    "of a SKU": "sku=BENCH-{rare_product}",
    "of an unknown SKU": "sku=nothing",
    "of an unknown barcode": "barcode=4006381333931",
    "of a frequent word": "search=article",
    "of no category": "category=nothing&ordering=name",
    "waiting": "status=pending&ordering=name",
}

READS = (
    *(Read(name=f"movements {name}", path=f"/api/inventory/movements?{query}") for name, query in _MOVEMENTS.items()),
    Read(name="movements all", path="/api/inventory/movements", person="supplier"),
    *(Read(name=f"documents {name}", path=f"/api/inventory/documents?{query}") for name, query in _DOCUMENTS.items()),
    Read(name="documents all", path="/api/inventory/documents", person="supplier"),
    *(Read(name=name, path=path, rows=250_000 if "by name" in name else 6_000) for name, path in _LEVELS.items()),
    # What has moved since is read, of a frequent product a twentieth of the sales.
    Read(
        name="levels in the middle of a frequent product",
        path="/api/inventory?product={frequent_product}&as_of={day}T00:00:00Z",
        rows=60_000,
        ratio=40,
    ),
    *(
        Read(name=f"products {name}", path=f"/api/products?{query}", person=person)
        for name, query in _PRODUCTS.items()
        for person in ("admin", "cashier")
        if person == "admin" or "by" in name
    ),
    Read(name="products of a rare word", path="/api/products?search=article%20{products}", rows=60_000),
    Read(name="product", path="/api/products/{frequent_product}"),
    *(
        Read(name=f"low stock{name}", path=f"/api/products/low-stock?{query}", person=person, rows=rows)
        for name, query, rows in (
            ("", "", 30_000),
            (" by name", "ordering=name", 30_000),
            (" by what there is", "ordering=inventory", 400_000),
            (", counted", "count=true", 400_000),
        )
        for person in ("admin", "cashier")
    ),
    *(
        Read(name=f"inventory at the till{name}", path=f"/api/pos/inventory?{query}", person=person, rows=rows)
        for name, query, rows in (
            ("", "", 120_000),
            (", further", "cursor=1.10000.0", 120_000),
            (", low", "low_stock=true", 250_000),
        )
        for person in ("admin", "cashier")
    ),
    Read(name="scan of a SKU", path="/api/pos/scan/BENCH-{rare_product}?warehouse=1", person="cashier"),
)
