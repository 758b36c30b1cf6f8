"""What somebody tries who has an account, and wants more than it gives."""

import base64
import json
import uuid

import pytest


@pytest.fixture
def shops(client, make):
    """Two sellers, each with a shop, a product of their own and a sale."""

    class Shops:
        mine, theirs = make.warehouse("Mine"), make.warehouse("Theirs")
        seller = make.user("supplier", warehouses=[mine])
        rival = make.user("supplier", warehouses=[theirs])
        product = make.product(stock={mine: 50, theirs: 50})
        secret = make.product(name="Secret plan", as_=rival, cost_price="1.00")
        sale = make.sale([(product, 2)], warehouse=theirs, as_=rival, customer_name="Anna")

    return Shops


def body_of(shops, **fields):
    item = {"product_id": shops.product.id, "quantity": 1}
    return {"channel": "counter", "warehouse": shops.mine.id, "items": [item], **fields}


def test_anothers_sale_is_not_there(client, shops):
    line = {"line_id": shops.sale["items"][0]["id"], "quantity": 1}
    address = f"/api/sales/{shops.sale.id}"
    assert client.get(address, as_=shops.seller).status_code == 404
    assert client.post(f"{address}/cancel", {"reason": "x"}, as_=shops.seller).status_code == 404
    assert client.post(f"{address}/returns", {"lines": [line]}, as_=shops.seller).status_code == 404
    listed = client.get("/api/sales", as_=shops.seller)
    assert listed.json["items"] == [] and "Anna" not in listed.text
    assert client.get("/api/sales", params={"search": "Anna"}, as_=shops.seller).json["items"] == []
    analytics = client.get("/api/sales/analytics", params={"product_id": shops.product.id}, as_=shops.seller)
    assert analytics.json["total_quantity_sold"] == "0"


def test_a_line_of_another_sale_is_not_returned(client, shops):
    mine = client.post("/api/sales", body_of(shops), as_=shops.seller).json
    lines = [{"line_id": shops.sale["items"][0]["id"], "quantity": 1}]
    answer = client.post(f"/api/sales/{mine['id']}/returns", {"lines": lines}, as_=shops.seller)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "lines.0.line_id"


def test_a_refused_sale_is_its_sellers_alone(client, shops):
    client.post("/api/sales/sync", {"sales": [{"items": [], "notes": "private"}]}, as_=shops.rival)
    assert "private" in client.get("/api/sales/exceptions", as_=shops.rival).text
    assert client.get("/api/sales/exceptions", as_=shops.seller).json["items"] == []


def test_anothers_unpublished_product_is_not_there(client, shops):
    key = shops.secret.id
    address = f"/api/products/{key}"
    requests = [
        ("GET", address, None),
        ("PATCH", address, {"price": "0.01"}),
        ("PUT", address, {"name": "x", "sku": "x", "price": "1"}),
        ("PUT", f"{address}/inventory", {"inventory": 5}),
        ("POST", f"{address}/barcodes", {"code": "12345"}),
        ("POST", f"{address}/variants", {"name": "x"}),
        ("GET", f"{address}/images", None),
        ("GET", f"/api/inventory/{key}", None),
        ("GET", f"/api/inventory/stock/check?product_id={key}&warehouse_id={shops.mine.id}", None),
        ("PUT", f"/api/inventory/{key}/threshold", {"warehouse": shops.mine.id, "threshold": 5}),
        ("GET", f"/api/sales/analytics?product_id={key}", None),
        ("GET", f"/api/pos/scan/{shops.secret.sku}?warehouse={shops.mine.id}", None),
    ]
    answers = {}
    for method, path, body in requests:
        path, _, query = path.partition("?")
        answer = client.request(method, path, body, as_=shops.seller, query_string=query)
        answers[f"{method} {path}"] = answer.status_code
        assert "Secret plan" not in answer.text
    assert set(answers.values()) == {404}, answers


def test_anothers_unpublished_product_is_not_moved_or_sold(client, make, shops):
    line = {"product_id": shops.secret.id, "quantity": 1}
    stock = {"warehouse": shops.mine.id, "reason": "x", "lines": [line]}
    receipt = {"warehouse": shops.mine.id, "lines": [line]}
    transfer = {"from_warehouse": shops.mine.id, "to_warehouse": shops.theirs.id, "lines": [line]}
    for path, body in (("adjustments", stock), ("receipts", receipt), ("transfers", transfer)):
        answer = client.post(f"/api/inventory/{path}", body, as_=shops.seller)
        assert answer.status_code in (403, 422) and "Secret plan" not in answer.text
    sale = body_of(shops, items=[line])
    assert client.post("/api/sales", sale, as_=shops.seller).json["code"] == "unknown-product"
    synced = client.post("/api/sales/sync", {"sales": [sale]}, as_=shops.seller)
    assert synced.json["results"][0]["status"] == "rejected" and "Secret plan" not in synced.text


def test_events_tell_nothing_of_what_one_must_not_see(client, shops):
    theirs = client.get("/api/events", params={"limit": 1000}, as_=shops.rival)
    mine = client.get("/api/events", params={"limit": 1000}, as_=shops.seller)
    assert "Secret plan" in theirs.text and "Secret plan" not in mine.text
    assert mine.json["last_event_id"] == theirs.json["last_event_id"]
    assert {event["warehouse"] for event in mine.json["items"]} <= {None, shops.mine.id}


def test_costs_stay_hidden(client, make, shops):
    product = make.product(cost_price="1.2345", stock={shops.mine: 5})
    receipt = {"warehouse": shops.mine.id, "lines": [{"product_id": product.id, "quantity": 1}]}
    texts = [
        client.get(f"/api/products/{product.id}", as_=shops.seller).text,
        client.get("/api/products", as_=shops.seller).text,
        client.get("/api/inventory/movements", as_=shops.seller).text,
        client.get("/api/events", params={"limit": 1000}, as_=shops.seller).text,
        client.post("/api/inventory/receipts", receipt, as_=shops.seller).text,
    ]
    assert not any("1.2345" in text for text in texts)


# --- more rights than given --------------------------------------------------------------------------------


@pytest.fixture
def clerk(client, make):
    """Somebody who manages users, roles and keys, and may do nothing else."""
    permissions = ["access:user:manage", "access:role:manage", "access:api_key:manage", "catalogue:product:read"]
    role = client.post("/api/roles", {"name": "clerk", "title": "Clerk", "permissions": permissions})
    assert role.status_code == 201
    return make.user("clerk", warehouses=[make.main])


def test_nobody_hands_on_what_they_lack(client, make, clerk):
    ids = {each["email"]: each["id"] for each in client.get("/api/users").json["items"]}
    roles = {each["name"]: each["id"] for each in client.get("/api/roles").json["items"]}
    user = {"email": "new@test.com", "name": "New", "password": "longenough123"}
    admin = f"/api/users/{ids['admin@test.com']}"
    tries = [
        ("POST", "/api/users", user | {"roles": ["admin"]}),
        ("POST", "/api/users", user | {"roles": ["cashier"]}),
        ("POST", "/api/users", user | {"all_warehouses": True}),
        ("POST", "/api/users", user | {"warehouses": [make.other]}),
        ("PATCH", f"/api/users/{clerk.id}", {"roles": ["admin"]}),
        ("PATCH", f"/api/users/{clerk.id}", {"all_warehouses": True}),
        ("PATCH", admin, {"password": "longenough123"}),
        ("PATCH", admin, {"email": "mine@test.com"}),
        ("DELETE", admin, None),
        ("POST", "/api/roles", {"name": "mine", "permissions": ["sales:sale:read_all"]}),
        ("PATCH", f"/api/roles/{roles['clerk']}", {"permissions": ["sales:sale:read_all"]}),
        ("PATCH", f"/api/roles/{roles['cashier']}", {"permissions": []}),
        ("POST", "/api/api-keys", {"name": "x", "scopes": ["sales:sale:read_all"]}),
        ("POST", "/api/api-keys", {"name": "x", "scopes": ["sales:sale:read_all"], "user": ids["admin@test.com"]}),
        ("POST", "/api/api-keys", {"name": "x", "scopes": ["access:user:manage"], "warehouses": [make.other]}),
        ("POST", "/api/api-keys", {"name": "x", "scopes": ["access:user:manage"], "user": ids["admin@test.com"]}),
    ]
    done = [(method, path, body) for method, path, body in tries if _status(client, method, path, body, clerk) != 403]
    assert done == []


def _status(client, method, path, body, who):
    return client.request(method, path, body, as_=who).status_code


def test_a_key_is_no_way_to_more(client, make):
    """Not even its owner's rights come back through a second key or a new password."""
    scopes = ["access:api_key:manage", "access:user:manage"]
    key = client.post("/api/api-keys", {"name": "a", "scopes": scopes, "warehouses": [make.main]}).json["key"]
    headers = {"X-API-Key": key}
    for body in (
        {"name": "b", "scopes": ["access:role:manage"]},
        {"name": "b", "scopes": scopes},
        {"name": "b", "scopes": scopes, "warehouses": [make.other]},
    ):
        assert client.post("/api/api-keys", body, as_=None, headers=headers).status_code == 403
    user = {"email": "b@test.com", "name": "B", "password": "longenough123", "roles": ["admin"]}
    assert client.post("/api/users", user, as_=None, headers=headers).status_code == 403
    password = {"current_password": "testpass123", "new_password": "longenough123"}
    assert client.post("/api/auth/password", password, as_=None, headers=headers).status_code in (401, 403)


# --- keys, cursors, headers, files -------------------------------------------------------------------------


def test_an_idempotency_key_is_one_persons_and_one_requests(client, make, shops):
    key = {"Idempotency-Key": "k-1"}
    own = make.product(as_=shops.seller, stock={shops.mine: 50})
    adjust = {"warehouse": shops.mine.id, "reason": "x", "lines": [{"product_id": own.id, "quantity": 1}]}
    first = client.post("/api/inventory/adjustments", adjust, as_=shops.seller, headers=key)
    assert first.status_code == 201
    # Another's key of the same name gives nothing away, and their own refusal is theirs.
    assert client.post("/api/inventory/adjustments", adjust, as_=shops.rival, headers=key).status_code == 403
    for path, body in (
        ("/api/inventory/receipts", adjust),
        ("/api/inventory/adjustments", adjust | {"reason": "y"}),
        ("/api/inventory/adjustments", {**adjust, "warehouse": shops.theirs.id}),
    ):
        answer = client.post(path, body, as_=shops.seller, headers=key)
        assert answer.status_code == 422 and answer.json["code"] == "idempotency-key-reused"
    assert make.stock(own, shops.mine) == 51
    for value in ("", "x" * 256, "k\u00e9", "a\tb"):
        answer = client.post("/api/inventory/adjustments", adjust, as_=shops.seller, headers={"Idempotency-Key": value})
        assert answer.status_code == 422, value


def test_anothers_external_id_is_no_key_to_the_sale(client, shops):
    external_id = str(uuid.uuid4())
    body = body_of(shops, external_id=external_id, warehouse=shops.theirs.id, notes="private")
    assert client.post("/api/sales", body, as_=shops.rival).status_code == 201
    for path, sent in (("/api/sales", body), ("/api/sales/sync", {"sales": [body]})):
        answer = client.post(path, sent, as_=shops.seller)
        assert "private" not in answer.text and answer.status_code in (200, 403, 409)


CURSORS = [
    "x",
    "====",
    "e30",
    base64.urlsafe_b64encode(b"[]").decode(),
    *(
        base64.urlsafe_b64encode(json.dumps(forged).encode()).decode()
        for forged in (
            ["-id", None, "1 OR 1=1"],
            ["-id", {"$gt": ""}, 1],
            ["-id", 10**40, 10**40],
            ["nonsense", "x", 1],
            ["-id", 1, True],
            ["password_hash", "x", 1],
        )
    ),
    base64.urlsafe_b64encode(b"[" * 10_000).decode()[:1000],
    "9" * 1000,
    "1.1.1; DROP TABLE sale",
]


def test_a_forged_cursor_is_refused(client, runtime, shops):
    lists = ("products", "sales", "parties", "users", "api-keys", "audit", "inventory", "inventory/movements")
    for path in lists:
        for cursor in CURSORS:
            answer = client.get(f"/api/{path}", params={"cursor": cursor})
            assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "cursor", (path, cursor)


def test_a_true_looking_cursor_opens_no_other_row(client, shops):
    forged = base64.urlsafe_b64encode(json.dumps(["-id", None, 10**12]).encode()).decode().rstrip("=")
    listed = client.get("/api/sales", params={"cursor": forged}, as_=shops.seller)
    assert listed.status_code == 200 and listed.json["items"] == []


def test_headers_come_back_clean(client):
    for given in ("a\r\nSet-Cookie: x=1", "<script>", "x" * 500, "a b"):
        answer = client.get("/api/products", headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] != given and "set-cookie" not in answer.headers
    answer = client.get("/api/products", headers={"Host": "evil.test", "X-Forwarded-Host": "evil.test"})
    assert "evil.test" not in str(answer.headers) + answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/images/..%2f..%2f..%2fetc%2fpasswd",
        "/api/images/" + "a" * 64,
        "/api/images/" + "A" * 64,
        "/docs/../../../etc/passwd",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
        "/docs/docs.py",
        "/api/../api/users",
        "/api//users",
        "/api/users;a=b",
        "/api/users/1/..",
        "/%00",
    ],
)
def test_a_path_leads_nowhere_else(client, path):
    answer = client.get(path, as_=None)
    assert answer.status_code in (401, 404) and "root:" not in answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_names_are_text_and_nothing_else(client, make):
    """Whatever somebody calls a product, no page runs it."""
    evil = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
    product = make.product(name=evil, description=evil)
    answer = client.get(f"/api/products/{product.id}")
    assert answer.json["name"] == evil
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = client.get("/docs", as_=None)
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "innerHTML" not in client.get("/docs/docs.js", as_=None).text


def test_a_search_is_no_pattern(client, make):
    make.product(name="Milk")
    for search in ("%", "_", "\\", "' OR '1'='1", "M%k", '"', "*"):
        answer = client.get("/api/products", params={"search": search})
        assert answer.status_code == 200 and answer.json["items"] == [], search


def test_a_log_in_tells_nobody_who_is_there(client, make):
    known = client.post("/api/auth/login", {"email": "admin@test.com", "password": "wrong"}, as_=None)
    unknown = client.post("/api/auth/login", {"email": "nobody@test.com", "password": "wrong"}, as_=None)
    closed = make.user("cashier")
    client.delete(f"/api/users/{closed.id}")
    gone = client.post("/api/auth/login", {"email": closed.email, "password": "testpass123"}, as_=None)
    bodies = [{**each.json, "request_id": ""} for each in (known, unknown, gone)]
    assert bodies[0] == bodies[1] == bodies[2] and known.status_code == 401
