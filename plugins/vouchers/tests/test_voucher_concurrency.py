"""Two tills and one voucher: whatever they do at once, it is spent once."""

from collections import Counter
from decimal import Decimal

import pytest

from tillhook.testing import clean, many_at_once

pytestmark = pytest.mark.xdist_group("concurrency")


def test_a_voucher_is_spent_once_in_all(server, make, bread, runtime):
    voucher = make.voucher("100.00")

    def sell(number):
        paid = make.by(voucher.code, "20.00")
        body = make.body(bread, source_device=f"till-{number % 2}", payments=paid)
        return server.post("/api/sales", body)

    answers = many_at_once(32, sell)
    assert Counter(status for status, _ in answers) == {201: 5, 409: 27}
    assert {answer["code"] for status, answer in answers if status == 409} == {"vouchers-too-little"}
    assert make.balance(voucher.code) == "0.00" and make.stock(bread) == 495
    assert clean(runtime)


def test_two_vouchers_in_either_order_and_money_back_meanwhile(server, make, client, bread, runtime):
    vouchers = [make.voucher("400.00") for _ in range(2)]
    first = make.by(vouchers[0].code, "10.00") + make.by(vouchers[1].code, "10.00")
    sold = [client.post("/api/sales", make.body(bread, payments=first)).json for _ in range(8)]

    def act(number):
        if number % 4 == 3:
            return server.post(f"/api/sales/{sold[number // 4]['id']}/cancel", {"reason": "x"})
        return server.post("/api/sales", make.body(bread, payments=first if number % 2 else first[::-1]))

    answers = many_at_once(32, act)
    assert Counter(status for status, _ in answers) == {201: 24, 200: 8}, answers
    assert {Decimal(make.balance(each.code)) for each in vouchers} == {Decimal(160)}
    assert clean(runtime)
