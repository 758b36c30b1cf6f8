"""Every route × every role, and tokens that are none: who is let in, and what the others are told."""

import base64
import json
import re
import time

import jwt
import pytest

from tillhook.access.tokens import ALGORITHM, _signing_key, issue_access_token
from tillhook.db import utc_now
from tillhook.hooks import AUTHENTICATED, PUBLIC

#: What anybody may ask without a log-in. A new one is put here on purpose, or not at all.
PUBLIC_ROUTES = {
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/register",
    "POST /auth/logout",
    "GET /images/{sha256}",
}
#: What any log-in may ask, whatever its role: it concerns only the own person.
PERSONAL_ROUTES = {"POST /auth/password", "PUT /auth/pin", "DELETE /auth/pin", "GET /auth/me"}
PERSONAL_ROUTES |= {"DELETE /pos/tills/{till_id:int}/operators/current"}
#: What the roles other than admin hold of the core and the plugins here; the administrator holds all.
ROLE_PERMISSIONS = {
    "supplier": {
        "catalogue:product:create",
        "catalogue:product:create_inline",
        "catalogue:product:read",
        "catalogue:product:update",
        "events:event:read",
        "parties:party:read",
        "pos:code:scan",
        "pos:code:sell",
        "pos:dashboard:read",
        "pos:inventory:read",
        "pos:parked:discard",
        "pos:parked:park",
        "pos:parked:read",
        "pos:parked:resume",
        "pos:receipt:print",
        "pos:receipt:restore",
        "pos:receipt:verify",
        "pos:report:read",
        "pos:session:cash",
        "pos:session:close",
        "pos:session:close_any",
        "pos:session:open",
        "pos:session:read",
        "pos:session:read_all",
        "pos:session:see_expected",
        "pos:till:read",
        "pos:till:sign_in",
        "sales:device:read",
        "sales:device:write_off",
        "sales:exception:read",
        "sales:exception:resolve",
        "sales:method:read",
        "sales:sale:cancel",
        "sales:sale:discount",
        "sales:sale:open_price",
        "sales:sale:override_price",
        "sales:sale:post",
        "sales:sale:read",
        "sales:sale:return",
        "sales:sale:sync",
        "stock:adjustment:post",
        "stock:alert:read",
        "stock:inventory:set",
        "stock:level:read",
        "stock:movement:read",
        "stock:receipt:post",
        "stock:transfer:post",
        "stock:warehouse:read",
        "vouchers:voucher:read",
    },
    "cashier": {
        "catalogue:product:read",
        "parties:party:read",
        "pos:code:scan",
        "pos:code:sell",
        "pos:dashboard:read",
        "pos:inventory:read",
        "pos:parked:discard",
        "pos:parked:park",
        "pos:parked:read",
        "pos:parked:resume",
        "pos:receipt:print",
        "pos:receipt:verify",
        "pos:report:read",
        "pos:session:cash",
        "pos:session:close",
        "pos:session:open",
        "pos:session:read",
        "pos:till:read",
        "pos:till:sign_in",
        "sales:device:read",
        "sales:exception:read",
        "sales:method:read",
        "sales:sale:discount",
        "sales:sale:open_price",
        "sales:sale:post",
        "sales:sale:read",
        "sales:sale:return",
        "sales:sale:sync",
        "stock:alert:read",
        "stock:level:read",
        "stock:warehouse:read",
        "vouchers:voucher:read",
    },
    "accountant": {
        "access:audit:read",
        "catalogue:cost:read",
        "catalogue:product:read",
        "catalogue:product:read_all",
        "events:event:read",
        "parties:party:read",
        "platform:setting:read",
        "pos:dashboard:read",
        "pos:inventory:read",
        "pos:receipt:verify",
        "pos:report:read",
        "pos:session:read",
        "pos:session:read_all",
        "pos:session:see_expected",
        "pos:till:read",
        "sales:device:read",
        "sales:exception:read",
        "sales:method:read",
        "sales:sale:read",
        "sales:sale:read_all",
        "stock:alert:read",
        "stock:level:read",
        "stock:movement:read",
        "stock:warehouse:read",
        "vouchers:voucher:list",
        "vouchers:voucher:read",
    },
    "customer": set(),
}
#: The boss of a shop, who neither administers the business nor charges any price.
ROLE_PERMISSIONS["manager"] = ROLE_PERMISSIONS["supplier"] - {"sales:sale:override_price"} | {
    "access:override:give",
    "catalogue:cost:read",
    "catalogue:product:read_all",
    "parties:party:manage",
    "pos:till:manage",
    "sales:sale:read_all",
    "stock:lot:sell_expired",
}
#: No row has it, so that a request that is let in changes nothing.
NOBODY = "999999999"
_PARAMETER = re.compile(r"\{[^}]*\}")


def name_of(route):
    return f"{route.method} {route.path}"


def path_of(route):
    return "/api" + _PARAMETER.sub(NOBODY, route.path)


def protected(runtime):
    return [route for route in runtime.registry.routes if isinstance(route.permission, str)]


def fault(answer, expected):
    """Return what is wrong with an answer: ``expected`` is a status, or ``None`` for being let in."""
    if expected is None:
        refused = answer.status_code == 401 or (
            answer.status_code == 403 and answer.json["code"] == "permission-denied"
        )
        return f"{answer.status} {answer.text[:200]}" if refused or answer.status_code >= 500 else None
    code = {401: None, 403: "permission-denied"}[expected]
    if answer.status_code != expected or (code and answer.json["code"] != code):
        return f"{answer.status} {answer.text[:200]}"
    if not answer.headers["content-type"].startswith("application/problem+json"):
        return "no problem document"
    return None


def faults(client, routes, expected, **options):
    """Ask every route and return ``{route: fault}`` of those that do not answer as ``expected(route)``."""
    found = {}
    for route in routes:
        if message := fault(client.request(route.method, path_of(route), **options), expected(route)):
            found[name_of(route)] = message
    return found


def test_what_is_open_is_open_on_purpose(runtime):
    routes = runtime.registry.routes
    assert {name_of(route) for route in routes if route.permission is PUBLIC} == PUBLIC_ROUTES
    assert {name_of(route) for route in routes if route.permission is AUTHENTICATED} == PERSONAL_ROUTES


def test_every_permission_of_a_route_is_declared(runtime):
    assert {route.permission for route in protected(runtime)} <= set(runtime.registry.permissions)


@pytest.mark.parametrize("role", ["admin", "supplier", "cashier", "accountant", "customer"])
def test_a_role_is_let_in_where_it_has_the_permission_and_nowhere_else(client, runtime, role):
    declared = set(runtime.registry.permissions)
    held = declared if role == "admin" else ROLE_PERMISSIONS[role]
    assert set(client.get("/api/auth/me", as_=role).json["permissions"]) == held

    def expected(route):
        return None if not isinstance(route.permission, str) or route.permission in held else 403

    # A refresh token that is none is 401 by right, and so is a wrong present password.
    routes = [route for route in runtime.registry.routes if route.permission is not PUBLIC]
    assert faults(client, routes, expected, as_=role) == {}


def test_without_a_token_every_route_but_the_open_ones_is_401(client, runtime):
    routes = [route for route in runtime.registry.routes if route.permission is not PUBLIC]
    assert faults(client, routes, lambda _: 401, as_=None) == {}
    answer = client.get("/api/products", as_=None)
    assert answer.headers["www-authenticate"] == "Bearer"


def bad_tokens(runtime, tokens):
    """Return tokens that a stranger may come with, each by what is wrong with it."""
    settings = runtime.settings
    good = tokens.token("admin")
    claims = jwt.decode(good, options={"verify_signature": False})
    header, payload, signature = good.split(".")
    key = _signing_key(settings)

    def signed(changes, key=key, algorithm=ALGORITHM):
        return jwt.encode({**claims, **changes}, key, algorithm)

    def unsigned(head):
        return f"{_base64(json.dumps(head))}.{payload}."

    expired = issue_access_token(settings, int(claims["sub"]), claims["sid"], utc_now().replace(year=2025))
    return {
        "expired": expired,
        "of another key": signed({}, key=b"another key of the same length..."),
        "of the bare secret": signed({}, key=settings.secret.encode()),
        "of no key": signed({}, key=b"\0" * 32),
        "another algorithm": signed({}, key=key + key, algorithm="HS512"),
        "algorithm none": unsigned({"alg": "none", "typ": "JWT"}),
        "algorithm None": unsigned({"alg": "None", "typ": "JWT"}),
        "a key id that is a file": f"{_base64(json.dumps({'alg': 'HS256', 'kid': '/dev/null'}))}.{payload}.{signature}",
        "signature cut": f"{header}.{payload}.{signature[:-4]}",
        "signature missing": f"{header}.{payload}.",
        "payload changed": f"{header}.{_base64(json.dumps({**claims, 'sub': '2'}))}.{signature}",
        "another issuer": signed({"iss": "somebody"}),
        "another audience": signed({"aud": "tillhook-refresh"}),
        "without end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, key, ALGORITHM),
        "not yet issued": signed({"iat": time.time() + 3600}),
        "subject a number": signed({"sub": 1}),
        "subject SQL": signed({"sub": "1 OR 1=1"}),
        "session of nobody": signed({"sid": 10**12}),
        "session huge": signed({"sid": 10**30}),
        "session of somebody else": signed({"sub": "2"}),
        "no token at all": "nonsense",
        "many dots": "." * 500,
        "half an API key": "th_0123456789abcdef_",
        "an API key of nobody": "th_0123456789abcdef_" + "a" * 43,
    }


def _base64(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_token_that_is_not_good_opens_nothing(client, runtime, tokens):
    wrong = {}
    for name, token in bad_tokens(runtime, tokens).items():
        for headers in ({"Authorization": f"Bearer {token}"}, {"X-API-Key": token}):
            answer = client.get("/api/products", as_=None, headers=headers)
            if message := fault(answer, 401):
                wrong[name, *headers] = message
    assert wrong == {}


@pytest.mark.parametrize("name", ["expired", "of another key"])
def test_an_expired_or_forged_token_is_401_on_every_route(client, runtime, tokens, name):
    headers = {"Authorization": f"Bearer {bad_tokens(runtime, tokens)[name]}"}
    assert faults(client, protected(runtime), lambda _: 401, as_=None, headers=headers) == {}


def test_an_api_key_opens_what_its_scopes_say_and_nothing_else(client, runtime):
    scopes = {"catalogue:product:read", "sales:sale:post", "access:user:manage"}
    body = {"name": "till", "scopes": sorted(scopes)}
    headers = {"X-API-Key": client.post("/api/api-keys", body).json["key"]}

    def expected(route):
        return None if route.permission in scopes else 403

    assert faults(client, protected(runtime), expected, as_=None, headers=headers) == {}


def test_a_key_of_one_scope_opens_the_routes_of_that_scope(client, runtime):
    closed = {}
    for permission in sorted({route.permission for route in protected(runtime)}):
        key = client.post("/api/api-keys", {"name": permission, "scopes": [permission]}).json["key"]
        routes = [route for route in protected(runtime) if route.permission == permission]
        closed |= faults(client, routes, lambda _: None, as_=None, headers={"X-API-Key": key})
    assert closed == {}


def test_a_user_who_was_closed_and_a_key_that_was_revoked_are_out_at_once(client, make):
    person = make.user("cashier")
    key = client.post("/api/api-keys", {"name": "till", "scopes": ["catalogue:product:read"], "user": person.id}).json
    as_key = {"as_": None, "headers": {"X-API-Key": key["key"]}}
    assert client.get("/api/products", as_=person).status_code == 200
    assert client.get("/api/products", **as_key).status_code == 200
    client.delete(f"/api/api-keys/{key['id']}")
    assert client.get("/api/products", **as_key).status_code == 401
    client.delete(f"/api/users/{person.id}")
    assert client.get("/api/products", as_=person).status_code == 401


def test_addresses_that_are_no_routes(app, client):
    for path, expected in {"/healthz": 200, "/readyz": 200, "/metrics": 401}.items():
        assert client.get(path, as_=None).status_code == expected, path
    assert client.get("/metrics", as_="cashier").status_code == 403
    assert client.get("/metrics", as_="admin").status_code == 200
