"""Requests that are cheap to send and must not be dear to answer."""

import json
import time
import uuid

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine_name", ["sqlite"])]


def send(client, path, body, as_):
    """Return the answer and the seconds of CPU that it took."""
    began = time.process_time()
    answer = client.request("POST", path, body=body, headers={"Content-Type": "application/json"}, as_=as_)
    return answer, time.process_time() - began


def keys(number):
    return ",".join(f'"k{each}":1' for each in range(number))


def test_a_stranger_sends_little(client):
    answer, _ = send(client, "/api/auth/login", f"{{{keys(2000)}}}", None)
    assert (answer.status_code, answer.json["code"]) == (413, "body-too-large")
    assert answer.json["limit"] == 16 * 1024


@pytest.mark.parametrize("path", ["/api/sales", "/api/sales/sync"])
def test_a_key_that_is_twice_among_many_is_found_at_once(client, path):
    answer, seconds = send(client, path, f'{{{keys(80_000)},"k79999":2}}', "cashier")
    assert (answer.status_code, answer.json["code"]) == (422, "unusable-body")
    assert "'k79999'" in answer.json["detail"]
    # A search through all keys for each of them took a minute.
    assert seconds < 5


def test_of_many_errors_a_hundred_are_told(client):
    answer, seconds = send(client, "/api/sales", f"{{{keys(80_000)}}}", "cashier")
    assert (answer.status_code, len(answer.json["errors"])) == (422, 100)
    assert len(answer.text) < 10_000
    assert seconds < 5


def test_a_synced_sale_of_unknown_members_is_answered_shortly(client, make):
    sale = json.dumps({"external_id": str(uuid.uuid4()), "warehouse": make.main, "items": []})
    answer, seconds = send(client, "/api/sales/sync", f'{{"sales":[{sale[:-1]},{keys(200_000)}}}]}}', "cashier")
    (result,) = answer.json["results"]
    assert (result["status"], len(result["warnings"])) == ("rejected", 100)
    assert len(answer.text) < 20_000
    assert seconds < 15
