"""What chosen documents add up to."""

from decimal import Decimal

from tillhook.sales import sums_by_tax, sums_by_tender


def test_payments_by_method_and_lines_by_rate(client, make, runtime):
    taxed = make.product(price="10.00", stock=9, tax=make.tax(rate="0.2").id)
    inclusive = make.product(price="11.00", stock=9, tax=make.tax(rate="0.1", is_inclusive=True).id)
    free = make.product(price="5.00", stock=9)
    first = make.sale([(taxed, 1), (free, 1)], payments=[{"method": "cash", "amount": "20.00"}], discount_amount="2.00")
    second = make.sale([(inclusive, 2)], payment_method="card")
    line = {"line_id": second["items"][0]["id"], "quantity": "1"}
    answer = client.post(f"/api/sales/{second.id}/returns", {"lines": [line], "reason": "torn"})
    assert answer.status_code == 201, answer.text
    make.sale([(free, 1)])  # not asked for
    with runtime.unit_of_work(write=False) as session:
        chosen = [first.id, second.id, answer.json["id"]]
        tenders = {each.method: each[1:] for each in sums_by_tender(session, chosen)}
        taxes = sums_by_tax(session, chosen)
        assert sums_by_tender(session, []) == sums_by_tax(session, []) == []
    due = Decimal(first["total_amount"])
    # In and its change, what was paid back, what remains.
    assert tenders == {
        "card": (1, Decimal(22), 0, Decimal(11), Decimal(11)),
        "cash": (1, Decimal(20), 20 - due, 0, due),
    }
    assert [each.rate for each in taxes] == [0, Decimal("0.1"), Decimal("0.2")]
    assert sum(each.gross for each in taxes) == due + 11
    assert taxes[1][1:] == (Decimal(11), Decimal(1))
    assert taxes[2].tax == Decimal(first["tax_amount"])
