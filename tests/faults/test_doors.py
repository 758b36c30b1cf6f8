"""Many who guess at once, at a shop of several processes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tillhook.testing.people import PASSWORD

pytestmark = pytest.mark.xdist_group("faults")
GUESSES = 64


def at_once(work):
    """Call ``work`` in so many threads at the same moment."""
    barrier = threading.Barrier(GUESSES)

    def run(number):
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(GUESSES) as pool:
        return list(pool.map(run, range(GUESSES)))


def log_in(shop, who, password):
    return shop.post("/api/auth/login", {"email": f"{who}@test.com", "password": password}, as_=None)[0]


def test_of_64_guesses_at_once_no_more_are_checked_than_are_free(start_shop, client):
    client.put("/api/users/2/pin", {"pin": "918273"})
    shop = start_shop(workers=2, threads=8)
    statuses = at_once(lambda _: log_in(shop, "manager", "guess"))
    assert (statuses.count(401), statuses.count(429)) == (5, GUESSES - 5)
    assert log_in(shop, "manager", PASSWORD) == 429
    # A stranger's guesses hold back nobody else.
    assert log_in(shop, "cashier", PASSWORD) == 200

    def override(_):
        connection = shop.connect()
        headers = {**shop._tokens.headers("cashier"), "X-Override": "2:111111", "Content-Type": "application/json"}
        connection.request("POST", "/api/sales", b"{}", headers)
        status = connection.getresponse().status
        connection.close()
        return status

    statuses = at_once(override)
    assert (statuses.count(403), statuses.count(429)) == (5, GUESSES - 5)
