"""Every write route against what it must refuse: a 4xx that names the field, and not one row changed.

What is sent is made from the route's own schema, so that a new route is tested without a word here. A kind of
field that this file does not know must be put into ``WRONG``; a route that works on a row of its own sort gets
an entry in ``ROWS``.
"""

import copy
import itertools
import json
import re
import uuid

import pytest
from sqlalchemy import inspect

from tillhook.catalogue.schemas import KeyOrName
from tillhook.hooks import PUBLIC
from tillhook.http import (
    Attributes,
    Choice,
    Day,
    Email,
    Flag,
    Instant,
    Key,
    ListOf,
    Nested,
    Quantity,
    Text,
    Whole,
)
from tillhook.sales.schemas import AnySale, ClientInstant
from tillhook_pos.tills.codes import receipt_code

pytestmark = pytest.mark.slow

NOBODY = 999_999_999
HUGE = 10**25
#: A number as JSON may write it and Python's ``json`` does not.
RAW = "raw:"

#: Log-ins of strangers and guessed codes are counted, on purpose. Everything else stays as it is.
MAY_CHANGE = {"login_attempt", "voucher_guess"}
#: ``/sales/sync`` answers for each sale on its own and keeps what it refuses; see the test of its own.
ONE_BY_ONE = "POST /sales/sync"
#: A log-in too, which counts wrong PINs and puts them on record.
AT_A_TILL = "POST /pos/tills/{till_id:int}/operators"
#: A sale that is put aside is not posted: of what it refers to, only the goods and the customer are looked up yet.
NOT_POSTED = "POST /pos/parked"
#: Their bodies filter; what nothing meets is no fault.
FILTERING = ("POST /sales/exceptions/accept", "POST /sales/exceptions/discard")
#: What these take is for the settings' declarations to say; see the test of its own.
FREE_FORM = "PATCH /settings"

NO_TEXT = [5, True, [], {}, ["a"], {"a": "b"}, "a\u0000b", "a\u001fb", "\ud800"]
NO_NUMBER = ["", "x", "1e5", "١", "0x1", " 1", "1_0", "NaN", "Infinity", True, [], {}, HUGE, f"{HUGE}", "1.00001"]
NO_NUMBER += [f"{RAW}NaN", f"{RAW}-Infinity", f"{RAW}Infinity", f"{RAW}1e400", f"{RAW}1e-400", f"{RAW}-1e25"]
WRONG = {
    AnySale: [],
    KeyOrName: [True, 0, -1, 2**63, [], {}, "", "x" * 300, f"{RAW}1.5"],
    Attributes: [5, "x", True, [], {"a": {}}, {"a": []}, {"": 1}, {"a" * 61: 1}, {"a": "x" * 501}, {"a": HUGE}],
    Choice: [*NO_TEXT, "", "nonsense"],
    Day: [*NO_TEXT, "", "2026-13-01", "2026-02-30", "31.01.2026", "0001-01-01", "9999-12-31", "2026-01-31T00:00:00Z"],
    Email: [*NO_TEXT, "x", "@", "a@b", "a b@c.de", "a@b.c\nBcc: d@e.f", "a" * 250 + "@b.de"],
    Flag: ["true", "yes", 1, 0, "", [], {}],
    # A client's clock may be in any year; what it says must be a time all the same.
    ClientInstant: [*NO_TEXT, "", "2026-01-31", "2026-01-31T14:30:00", "2026-02-30T14:30:00Z", "0000-01-01T00:00:00Z"],
    Instant: [*NO_TEXT, "", "2026-01-31", "2026-01-31T14:30:00", "2026-01-31T25:00:00Z", "0001-01-01T00:00:00+23:59"],
    Key: [0, -1, 2**63, HUGE, "x", "", "1 OR 1=1", True, [], {}, [1], f"{RAW}1.5", f"{RAW}1e30", f"{RAW}NaN"],
    Whole: ["x", "", True, [], {}, HUGE, -HUGE, f"{RAW}0.5", f"{RAW}1e30"],
    Quantity: NO_NUMBER,
    Text: NO_TEXT,
    Nested: [5, "x", True, [], [{}]],
    ListOf: [5, "x", True, {}, {"0": 1}],
}
#: Fields that are sent although they are optional: without them there may be more than one meaning.
TELLING = {"warehouse", "product_id", "quantity", "counted_cash", "sale_id", "line_id", "codes", "items"}
#: Routes that work on another row than the first of its kind, as the fixture ``known`` names it.
ROWS = {
    "/products/{product_id:int}/reject": {"product_id": "pending_id"},
    "/products/{product_id:int}/variants": {"product_id": "variants_id"},
    "/products/{product_id:int}/variants/{variant_id:int}": {"product_id": "variants_id"},
    "/sales/{sale_id:int}/cancel": {"sale_id": "other_sale_id"},
    "/pos/sessions/{session_id:int}/close": {"session_id": "other_session_id"},
    "/pos/parked/{parked_id:int}/discard": {"parked_id": "other_parked_id"},
    "/pos/tills/{till_id:int}/deactivate": {"till_id": "other_till_id"},
    "/sales/exceptions/{exception_id:int}/discard": {"exception_id": "other_exception_id"},
    "/payment-methods/{name}": {"name": "method_name"},
    "/vouchers/products/{product_id:int}": {"product_id": "card_id"},
    "/vouchers/{code}": {"code": "voucher_code"},
    "/vouchers/{code}/void": {"code": "other_voucher_code"},
    "/vouchers/{code}/card": {"code": "voucher_code"},
    "/products/{product_id:int}/images/{image_id:int}": {"product_id": "pictured_id"},
    "/products/{product_id:int}/images/order": {"product_id": "pictured_id"},
}


# --- reading the registry ----------------------------------------------------------------------------------


def name_of(route):
    return f"{route.method} {route.path}"


def write_routes(runtime):
    return [route for route in runtime.registry.routes if route.method != "GET"]


def with_body(runtime):
    """Return the routes whose JSON body a schema describes."""
    return [r for r in write_routes(runtime) if r.body and not r.upload and name_of(r) != FREE_FORM]


def path_of(route, ids=None):
    def replaced(match):
        return str((ids or {}).get(match[1], NOBODY))

    return "/api" + re.sub(r"\{(\w+)[^}]*\}", replaced, route.path)


def wrong_values(field):
    """Return what the field must not take."""
    kind = next((kind for kind in WRONG if isinstance(field, kind)), None)
    assert kind, f"put a {type(field).__name__} into WRONG"
    values = list(WRONG[kind])
    if kind is Text:
        values.append("x" * (field.max + 1))
        values += ["", "   "] if field.min and field.strip else []
    elif kind is Quantity:
        values += [0] if not field.allow_zero else []
        values += [-1, "-0.0001", f"{RAW}-1.5"] if field.min >= 0 else [f"-{HUGE}"]
        values += [str(field.max + 1)]
    elif kind is Whole:
        values += [field.max + 1] if field.max is not None else []
        values += [field.min - 1] if field.min is not None else []
    elif kind is ListOf:
        values += [[]] if field.min else []
        # Longer than is taken, each entry as short as can be.
        values += [[0] * (field.max + 1)] if field.max <= 1000 else []
        values += [[value] for value in wrong_values(field.inner)[:6] if not isinstance(field.inner, Nested)]
    return [value for value in values if not (value is None and field.allow_none)]


def value_for(field, known, name=""):
    """Return something that the field takes; a key is one of ``known``, by the field's name."""
    if name in known:
        return known[name]
    if isinstance(field, Nested):
        return required_body(field.schema, known)
    if isinstance(field, ListOf):
        return [value_for(field.inner, known, name.removesuffix("s"))] if field.min or field.required else []
    for value in [f"x{uuid.uuid4().hex[:12]}", "abcdefgh", 1, "1", True, *_RARE]:
        try:
            field.deserialize(value)
        except Exception:
            continue
        return value
    raise AssertionError(f"nothing fits {name}, a {type(field).__name__}; put something into _RARE")


_RARE = [
    {},
    "2026-01-31",
    "2026-01-31T14:30:00Z",
    "somebody@test.com",
    "block",
    "in",
    "catalogue:product:read",
    "0.5",
    "550e8400-e29b-41d4-a716-446655440000",
    "840217",
]


def required_body(schema, known):
    """Return the least that the schema takes."""
    return {
        field.data_key or name: value_for(field, known, name) for name, field in schema.fields.items() if field.required
    }


def places(schema, known, path=()):
    """Yield ``(path, field)`` of every field, those of nested objects and of lists' entries too."""
    for name, field in schema.fields.items():
        here = (*path, field.data_key or name)
        yield here, field
        inner, deeper = (field.inner, (*here, 0)) if isinstance(field, ListOf) else (field, here)
        if isinstance(inner, Nested):
            yield from places(inner.schema, known, deeper)


def body_with(body, schema, path, value, known, make=required_body):
    """Return ``body`` with ``value`` at ``path``, what is on the way made by ``make`` when it is missing."""
    body = copy.deepcopy(body)
    target, fields_here = body, schema.fields
    for name, following in itertools.pairwise(path):
        if isinstance(name, int):
            target = target[name]
            continue
        field = fields_here[name]
        inner = field.inner if isinstance(field, ListOf) else field
        if not target.get(name):
            made = make(inner.schema, known)
            target[name] = [made] if isinstance(following, int) else made
        target, fields_here = target[name], inner.schema.fields
    target[path[-1]] = value
    return body


def dotted(path):
    return ".".join(map(str, path))


# --- asking and looking ------------------------------------------------------------------------------------


def encoded(body):
    """Return JSON in which ``raw:`` texts are written as they are."""
    return re.sub(rf'"{RAW}([^"]*)"', r"\1", json.dumps(body)).encode()


def fault(answer, *, field=None, statuses=(400, 404, 409, 413, 415, 422)):
    """Return what is wrong with a refusal, ``None`` when it is as it should be."""
    if answer.status_code not in statuses:
        return f"{answer.status} {answer.text[:300]}"
    if not answer.headers["content-type"].startswith("application/problem+json"):
        return f"no problem document: {answer.headers['content-type']}"
    problem = answer.json
    if problem["status"] != answer.status_code or not problem["code"] or not problem["request_id"]:
        return f"not a whole problem document: {problem}"
    named = [error["field"] for error in problem.get("errors", ())]
    if field is not None and not any(each == field or each.startswith(f"{field}.") for each in named):
        return f"{answer.status}: {field} is not named: {answer.text[:300]}"
    return None


class Watch:
    """Compares all tables with what they were."""

    def __init__(self, runtime):
        self._runtime = runtime
        with runtime.database.connect() as connection:
            self._tables = set(inspect(connection).get_table_names()) - MAY_CHANGE
        self._before = self._rows()

    def changed(self):
        """Return the tables that have changed since the last time; what may change is left out."""
        now = self._rows()
        changed = [name for name in now if now[name] != self._before[name]]
        self._before = now
        return changed

    def _rows(self):
        with self._runtime.database.connect() as connection:
            return {
                name: sorted(map(str, connection.exec_driver_sql(f'SELECT * FROM "{name}"').fetchall()))
                for name in self._tables
            }


@pytest.fixture
def watch(runtime, known):
    return Watch(runtime)


@pytest.fixture
def known(client, make, runtime, add_picture):
    """What bodies may refer to, by the name of the field."""
    variants = make.product(variants=[{"name": "Red", "sku": "red"}])
    product = make.product(stock=50, cost_price="1.00", barcode="4006381333931")
    sale = make.sale([(product, 2)])
    role = client.post("/api/roles", {"name": "watcher", "title": "Watcher"}).json
    exceptions = refused_sales(client, make)
    pictured = make.product()
    image_id = add_picture(pictured)
    return {
        "warehouse": make.main,
        "warehouse_id": make.main,
        "from_warehouse": make.main,
        "to_warehouse": make.other,
        "channel": "counter",
        "product_id": product.id,
        "variants_id": variants.id,
        "variant_id": variants["variants"][0]["id"],
        "pending_id": make.product(as_="supplier").id,
        "exception_id": exceptions[0],
        "other_exception_id": exceptions[1],
        "device_id": client.get("/api/sales/devices").json["items"][0]["id"],
        "till_id": registered_till(client, make, "till-1"),
        "other_till_id": registered_till(client, make, "till-2"),
        "codes": [receipt_of_a_sale(make, runtime, product)],
        "parked_id": parked_sale(client, product),
        "other_parked_id": parked_sale(client, product),
        "sale_id": sale.id,
        "other_sale_id": make.sale([(product, 2)]).id,
        "line_id": sale["items"][0]["id"],
        "user_id": make.user("customer").id,
        "party_id": make.customer().id,
        "role_id": role["id"],
        "key": make.category().id,
        "scanned": "4006381333931",
        "pictured_id": pictured.id,
        "image_id": image_id,
        "ids": [image_id],
        "session_id": client.post("/api/pos/sessions", {"till": "till-1", "warehouse": make.main}).json["id"],
        "method_name": make.payment_method()["name"],
        "card_id": gift_card(client, make),
        "voucher_code": voucher(client),
        "other_voucher_code": voucher(client),
        "expires_on": "2099-12-31",
        "other_session_id": client.post("/api/pos/sessions", {"till": "till-2", "warehouse": make.main}).json["id"],
    }


def registered_till(client, make, name):
    """Return the key of a till that has a device."""
    return client.post("/api/pos/tills", {"name": name, "warehouse": make.main}).json["id"]


def gift_card(client, make):
    """Return the key of a product that is a gift card."""
    product = make.product(tracking="none")
    assert client.put(f"/api/vouchers/products/{product.id}").status_code == 200
    return product.id


def voucher(client):
    """Return the code of a voucher."""
    return client.post("/api/vouchers", {"amount": "5", "reason": "goodwill"}).json["code"]


def receipt_of_a_sale(make, runtime, product):
    """Return the signed code on a sale's receipt."""
    sale = make.sale([(product, 1)], channel="pos", external_id=str(uuid.uuid4()))
    with runtime.unit_of_work(write=False) as session:
        return receipt_code(session, sale.id)


def parked_sale(client, product):
    """Return the key of a sale that was put aside."""
    body = {"items": [{"product_id": product.id, "quantity": "1"}]}
    warehouse = client.get("/api/warehouses").json["items"][0]["id"]
    return client.post("/api/pos/parked", {"warehouse": warehouse, "body": body}).json["id"]


def refused_sales(client, make):
    """Return the keys of two refused sales that can be accepted as they are; their device is 2 sales short."""
    lines = [{"product_id": make.product().id, "quantity": "1"} for _ in range(2)]
    device = {"channel": "counter", "warehouse": make.main, "source_device": "counts-1"}
    sales = [{**device, "device_number": number, "external_id": str(uuid.uuid4()), "items": lines} for number in (3, 4)]
    for policy in ("block", "allow"):
        client.put("/api/stock-policies", {"policy": policy, "channel": "counter:offline"})
        if policy == "block":
            results = client.post("/api/sales/sync", {"sales": sales}).json["results"]
            assert [result["status"] for result in results] == ["rejected", "rejected"]
    return [item["id"] for item in client.get("/api/sales/exceptions").json["items"]]


def ids_for(route, known):
    """Return the keys by which the address means rows that are there."""
    changes = ROWS.get(route.path, {})
    ids = {name: known[changes.get(name, name)] for name in re.findall(r"\{(\w+):int", route.path) if name in known}
    texts = {name: known[change] for name, change in changes.items() if name in ("name", "code")}
    return ids | {"code": known["scanned"]} | texts


def ask(client, route, body, **options):
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    raw = body if isinstance(body, bytes) else encoded(body)
    return client.request(route.method, path_of(route, options.pop("ids", None)), body=raw, headers=headers, **options)


# --- the fields of a body ----------------------------------------------------------------------------------


# The stricter of the two about what a column takes.
@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_wrong_value_is_refused_by_its_name(client, runtime, known, watch):
    faults = {}
    for route in with_body(runtime):
        schema = route.body()
        base = required_body(schema, known)
        for path, field in places(schema, known):
            for value in wrong_values(field):
                answer = ask(client, route, body_with(base, schema, path, value, known))
                # What is no JSON is refused before there are fields.
                is_json = not re.search(r"raw:-?(NaN|Infinity)|\\ud|\\u0000", json.dumps(value))
                if message := fault(answer, field=dotted(path) if is_json else None, statuses=(400, 422)):
                    faults[name_of(route), dotted(path), repr(value)[:60]] = message
        if changed := watch.changed():
            faults[name_of(route)] = changed
    assert faults == {}


def test_null_is_refused_where_it_is_not_allowed(client, runtime, known, watch):
    faults = {}
    for route in with_body(runtime):
        schema = route.body()
        for path, field in places(schema, known):
            if not field.allow_none and field.load_default is not None:
                body = body_with(required_body(schema, known), schema, path, None, known)
                if message := fault(ask(client, route, body), field=dotted(path), statuses=(422,)):
                    faults[name_of(route), dotted(path)] = message
    assert faults == {} and watch.changed() == []


def test_a_missing_field_is_named(client, runtime, known, watch):
    faults = {}
    for route in with_body(runtime):
        schema = route.body()
        for path, field in places(schema, known):
            if field.required:
                body = body_with(required_body(schema, known), schema, path, 0, known)
                target = body
                for name in path[:-1]:
                    target = target[name]
                del target[path[-1]]
                if message := fault(ask(client, route, body), field=dotted(path), statuses=(422,)):
                    faults[name_of(route), dotted(path)] = message
    assert faults == {} and watch.changed() == []


def test_an_unknown_field_is_named_at_every_depth(client, runtime, known, watch):
    faults = {}
    for route in with_body(runtime):
        schema = route.body()
        base = required_body(schema, known)
        depths = {()} | {path[:-1] for path, _ in places(schema, known)}
        for depth in sorted(depths, key=str):
            for name in ("surprise", "id", "__proto__", "is_admin"):
                path = (*depth, name)
                answer = ask(client, route, body_with(base, schema, path, 1, known))
                if message := fault(answer, field=dotted(path), statuses=(422,)):
                    faults[name_of(route), dotted(path)] = message
    assert faults == {} and watch.changed() == []


def test_a_body_that_is_no_object_is_refused(client, runtime, known, watch):
    faults = {}
    for route in with_body(runtime):
        for raw in (b"[]", b"[{}]", b'"x"', b"5", b"true", b"null"):
            if message := fault(ask(client, route, raw), statuses=(422,)):
                faults[name_of(route), raw] = message
    assert faults == {} and watch.changed() == []


# --- the bytes of a body -----------------------------------------------------------------------------------

BROKEN = {
    "no JSON": b"{",
    "a form": b"a=1&b=2",
    "single quotes": b"{'a': 1}",
    "a comment": b'{"a": 1} // b',
    "two values": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "not UTF-8": b'{"a": "\xff"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": [Infinity]}',
    "a key twice": b'{"a": 1, "a": 1}',
    "a key twice, deep": b'{"a": [{"b": 1, "\\u0062": 2}]}',
    "too deep": b'{"a": ' + b"[" * 200_000,
    "too deep, closed": b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "too deep, objects": b'{"a": ' * 100_000 + b"1" + b"}" * 100_000,
    "a number of a thousand digits": b'{"a": ' + b"9" * 1000 + b"}",
    "an exponent without end": b'{"a": 1e' + b"9" * 500 + b"}",
    "a NUL": b'{"a": "\\u0000"}',
    "a NUL in a key": b'{"\\u0000": 1}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "the other half": b'{"a": "\\uDFFF"}',
    "a control character": b'{"a": "\x01"}',
}


def test_a_body_that_is_no_json_is_refused(client, runtime, known, watch):
    faults = {}
    for route in [r for r in write_routes(runtime) if r.body and not r.upload]:
        for name, raw in BROKEN.items():
            if message := fault(ask(client, route, raw), statuses=(400, 413, 422)):
                faults[name_of(route), name] = message
    assert faults == {} and watch.changed() == []


def test_another_content_type_is_refused(client, runtime, known, watch):
    types = ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "", "json", "*/*")
    types += ("multipart/form-data; boundary=x", "application/xml", "application/jsonp", "text/json")
    faults = {}
    for route in [r for r in write_routes(runtime) if r.body and not r.upload]:
        for content_type in types:
            answer = ask(client, route, b"{}", headers={"Content-Type": content_type})
            if message := fault(answer, statuses=(415,)):
                faults[name_of(route), content_type] = message
    assert faults == {} and watch.changed() == []


def test_a_body_over_the_limit_is_refused(client, runtime, known, watch):
    faults = {}
    for route in write_routes(runtime):
        default = runtime.settings.max_upload if route.upload else runtime.settings.max_body
        limit = route.max_body or default
        kind = "multipart/form-data; boundary=x" if route.upload else "application/json"
        # The length alone is enough: nothing is read.
        headers = {"Content-Length": str(limit + 1), "Content-Type": kind}
        if message := fault(ask(client, route, b"{}", headers=headers), statuses=(413,)):
            faults[name_of(route)] = message
    assert faults == {} and watch.changed() == []


def test_a_route_without_body_or_query_takes_none(client, runtime, known, watch):
    faults = {}
    for route in runtime.registry.routes:
        takes_none = route.body is None and not route.upload and route.method != "GET"
        if takes_none and (message := fault(ask(client, route, b'{"a": 1}'), statuses=(422,))):
            faults[name_of(route), "body"] = message
        if route.query is None and not route.upload:
            body = {} if route.method == "GET" or route.body is None else required_body(route.body(), known)
            answer = ask(client, route, encoded(body) if body else b"", query_string="surprise=1")
            if message := fault(answer, field="surprise", statuses=(422,)):
                faults[name_of(route), "query"] = message
    assert faults == {} and watch.changed() == []


def test_a_wrong_query_is_refused_by_its_name(client, runtime, known):
    def value(field):
        if isinstance(field, Key | Whole):
            return ["0", "-1", "x", "1.5", "1e3", f"{HUGE}", "١", "1_0", "+1"]
        if isinstance(field, Flag):
            return ["yes", "2", "TRUE"]
        if isinstance(field, Quantity):
            return ["x", "-1", "1e5", f"{HUGE}", "NaN", "1.00001"]
        return ["a%00b", "nonsense"] if isinstance(field, Choice | Day | Instant) else ["a%00b", "x" * 2000]

    faults = {}
    for route in runtime.registry.routes:
        if route.query is None or route.upload:
            continue
        schema = route.query()
        for name, field in schema.fields.items():
            for each in value(field):
                if isinstance(field, Whole) and not isinstance(field, Key) and (field.min or 0) <= -1 and each == "-1":
                    continue
                if isinstance(field, Whole) and not isinstance(field, Key) and not field.min and each == "0":
                    continue
                answer = client.get(path_of(route), query_string=f"{name}={each}")
                if message := fault(answer, field=name, statuses=(422,)):
                    faults[name_of(route), name, each[:40]] = message
        answer = client.get(path_of(route), query_string="surprise=1&surprise=2")
        if message := fault(answer, field="surprise", statuses=(422,)):
            faults[name_of(route), "twice"] = message
    assert faults == {}


def test_an_address_that_no_row_can_have_is_404(client, runtime, known, watch):
    faults = {}
    for route in runtime.registry.routes:
        for name in re.findall(r"\{(\w+):int\}", route.path):
            for value in ("0", "-1", "1.5", "x", f"{HUGE}", "%00", "1%2F2", "%D9%A1", "1_0", "' OR 1=1 --"):
                answer = client.request(route.method, path_of(route, {name: value}), body=b"{}")
                if message := fault(answer, statuses=(404,)):
                    faults[name_of(route), value] = message
    assert faults == {} and watch.changed() == []


# --- what a body refers to ---------------------------------------------------------------------------------


def working_body(schema, known):
    """Return a body that the route takes."""
    return {
        field.data_key or name: _working_value(field, known, name)
        for name, field in schema.fields.items()
        if field.required or name in TELLING
    }


def _working_value(field, known, name):
    inner = field.inner if isinstance(field, ListOf) else field
    if not isinstance(inner, Nested):
        return value_for(field, known, name)
    made = working_body(inner.schema, known)
    return made if inner is field else [made]


def referring(runtime):
    """Return the routes whose bodies may refer to rows; log-ins have tests of their own."""
    return [
        route
        for route in with_body(runtime)
        if not route.path.startswith("/auth/") and name_of(route) not in (ONE_BY_ONE, AT_A_TILL)
    ]


def test_what_the_other_tests_begin_with_works(client, runtime, known):
    """Else a refusal there would say nothing of what is tested."""
    faults = {}
    for route in referring(runtime):
        answer = ask(client, route, working_body(route.body(), known), ids=ids_for(route, known))
        if answer.status_code >= 300:
            faults[name_of(route)] = f"{answer.status} {answer.text[:300]}"
    assert faults == {}


def test_a_row_that_is_not_there_is_named(client, runtime, known, watch):
    faults = {}
    for route in referring(runtime):
        schema = route.body()
        for path, field in places(schema, known):
            inner = field.inner if isinstance(field, ListOf) else field
            if not isinstance(inner, Key | KeyOrName):
                continue
            if name_of(route) == NOT_POSTED and path[-1] not in (
                "warehouse",
                "product_id",
                "variant_id",
                "customer_id",
            ):
                continue
            if name_of(route) in FILTERING and path[-1] != "warehouse":
                continue
            value = [NOBODY] if inner is not field else NOBODY
            body = body_with(working_body(schema, known), schema, path, value, known, make=working_body)
            if path[-2:-1] == ("product_data",):
                body["items"][0].pop("product_id", None)
            answer = ask(client, route, body, ids=ids_for(route, known))
            if message := fault(answer, field=dotted(path), statuses=(404, 409, 422)):
                faults[name_of(route), dotted(path)] = message
        if changed := watch.changed():
            faults[name_of(route)] = changed
    assert faults == {}


def test_an_address_of_a_row_that_is_not_there_is_404(client, runtime, known, watch):
    faults = {}
    for route in runtime.registry.routes:
        if "{" not in route.path or route.path.startswith("/images/") or route.upload or name_of(route) == AT_A_TILL:
            continue
        takes_body = route.body is not None and route.method != "GET"
        body = encoded(working_body(route.body(), known)) if takes_body else b""
        fields_here = route.query().fields if route.query else {}
        query = {name: known[name] for name, field in fields_here.items() if field.required or name in TELLING}
        if message := fault(ask(client, route, body, params=query), statuses=(404,)):
            faults[name_of(route)] = message
    assert faults == {} and watch.changed() == []


@pytest.fixture
def limited(client, make, runtime):
    """Somebody who may do everything, in one warehouse."""
    permissions = sorted(set(runtime.registry.permissions))
    assert client.post("/api/roles", {"name": "branch", "permissions": permissions}).status_code == 201
    person = make.user("branch", warehouses=[make.main])
    # Logged in from here on: the log-in is a row too.
    assert client.get("/api/auth/me", as_=person).status_code == 200
    return person


def test_anothers_warehouse_is_refused_by_its_name(client, runtime, make, limited, known, watch):
    faults = {}
    for route in referring(runtime):
        schema = route.body()
        for path, field in places(schema, known):
            if "warehouse" not in str(path[-1]) or isinstance(field, Flag):
                continue
            value = [make.other] if isinstance(field, ListOf) else make.other
            base = working_body(schema, known)
            # Goods move from one to the other; here each is the other's in turn.
            base |= {"to_warehouse": make.main} if path == ("from_warehouse",) else {}
            answer = ask(
                client,
                route,
                body_with(base, schema, path, value, known),
                ids=ids_for(route, known),
                as_=limited,
            )
            if message := fault(answer, field=dotted(path), statuses=(403,)):
                faults[name_of(route), dotted(path)] = message
    for route in runtime.registry.routes:
        if route.query is None or route.upload:
            continue
        for name in route.query().fields:
            if "warehouse" in name:
                needed = {key: known[key] for key, each in route.query().fields.items() if each.required}
                answer = client.get(
                    path_of(route, ids_for(route, known)), params={**needed, name: make.other}, as_=limited
                )
                if message := fault(answer, field=name, statuses=(403,)):
                    faults[name_of(route), name] = message
    assert faults == {} and watch.changed() == []


# --- routes with a form of their own -----------------------------------------------------------------------


def test_a_setting_that_will_not_do_is_named(client, runtime, known, watch):
    wrong = {bool: ["yes", 1, []], int: ["x", True, f"{RAW}1.5", HUGE, {}], str: [5, {}, "a\u0000"]}
    faults = {}
    for key, declaration in runtime.registry.settings.items():
        for value in wrong.get(declaration.type, ["x", True, [], HUGE]):
            answer = client.request(
                "PATCH", "/api/settings", body=encoded({key: value}), headers={"Content-Type": "application/json"}
            )
            is_json = value != "a\u0000"
            if message := fault(answer, field=key if is_json else None, statuses=(400, 422)):
                faults[key, repr(value)] = message
    answer = client.patch("/api/settings", {"company.name": "Fine", "nonsense": 1})
    assert fault(answer, field="nonsense", statuses=(422,)) is None
    assert faults == {} and watch.changed() == []


def part(name, content, filename=None):
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    return f"--x\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


END = b"--x--\r\n"
FORMS = {
    "nothing": (b"", None),
    "no part": (END, "file"),
    "no end": (part("file", b"sku,name\n", "a.csv"), None),
    "no file": (part("nonsense", b"1") + END, None),
    "an unknown field": (part("file", b"sku,name\n", "a.csv") + part("surprise", b"1") + END, "surprise"),
    "two files": (part("file", b"a", "a.csv") + part("file", b"b", "b.csv") + END, None),
    "an empty file": (part("file", b"", "a.csv") + END, "file"),
    "a NUL": (part("file", b"\0" * 100, "a.csv") + END, None),
    "garbage": (part("file", bytes(range(256)) * 20, "a.xlsx") + END, None),
    "a script": (part("file", b"<script>alert(1)</script>", "../../a.php") + END, None),
    "a field that is a megabyte": (part("file", b"a", "a.csv") + part("warehouse", b"1" * 2**20) + END, None),
}


def test_a_form_that_will_not_do_is_refused(client, runtime, known, watch):
    faults = {}
    for route in [route for route in write_routes(runtime) if route.upload]:
        for name, (raw, field) in FORMS.items():
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = ask(client, route, raw, headers=headers, ids=ids_for(route, known))
            if message := fault(answer, field=field, statuses=(400, 413, 422)):
                faults[name_of(route), name] = message
        for content_type in ("application/json", "multipart/form-data", "text/csv", ""):
            answer = ask(client, route, b"{}", headers={"Content-Type": content_type}, ids=ids_for(route, known))
            if message := fault(answer, statuses=(400, 415)):
                faults[name_of(route), content_type] = message
        chunked = {"Content-Type": "multipart/form-data; boundary=x", "Transfer-Encoding": "chunked"}
        answer = ask(client, route, b"", headers=chunked, ids=ids_for(route, known))
        if message := fault(answer, statuses=(411,)):
            faults[name_of(route), "chunked"] = message
    assert faults == {} and watch.changed() == []


BAD_SALES = [
    5,
    "x",
    None,
    [],
    {},
    {"items": []},
    {"items": "x"},
    {"items": [{"product_id": NOBODY, "quantity": 1}]},
    {"items": [{"quantity": 1}]},
    {"external_id": 5, "items": []},
    {"external_id": "x", "items": []},
    {"external_id": {}, "items": []},
    {"external_id": "x" * 100_000},
    {"surprise": 1},
    {"items": [{"product_id": 1, "quantity": -1}]},
    {"items": [{"product_id": 1, "quantity": HUGE}]},
    {"items": [{"product_id": HUGE, "quantity": 1}]},
    {"warehouse": NOBODY},
    {"payments": [{"method": "x", "amount": -1}]},
    {"client_timestamp": "yesterday"},
]


def test_a_bad_sale_of_a_batch_is_refused_alone(client, make, known, watch):
    """Kept for a person are the refused sales, and nothing else changes."""
    faults = {}
    headers = {"Content-Type": "application/json"}
    for bad in BAD_SALES:
        sale = {"channel": "counter", "warehouse": make.main, **bad} if isinstance(bad, dict) else bad
        answer = client.request("POST", "/api/sales/sync", body=encoded({"sales": [sale]}), headers=headers)
        results = answer.json["results"] if answer.status_code == 200 else [{}]
        error = results[0].get("error", {})
        if results[0].get("status") != "rejected" or not error.get("errors") or not 400 <= error["status"] < 500:
            faults[repr(bad)[:60]] = f"{answer.status} {answer.text[:300]}"
    assert faults == {}
    assert set(watch.changed()) <= {"sale_exception"}


def test_public_routes_take_no_nonsense_either(client, runtime, known, watch):
    """A stranger meets the same schemas, and leaves nothing but the count of failed log-ins."""
    faults = {}
    for route in [route for route in with_body(runtime) if route.permission is PUBLIC]:
        schema = route.body()
        for path, field in places(schema, known):
            for value in wrong_values(field):
                body = body_with(required_body(schema, known), schema, path, value, known)
                if message := fault(ask(client, route, body, as_=None), statuses=(400, 422)):
                    faults[name_of(route), dotted(path), repr(value)[:60]] = message
    assert faults == {} and watch.changed() == []
