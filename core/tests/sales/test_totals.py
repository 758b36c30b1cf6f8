"""The tax and rounding engine: nothing lost, nothing negative, the same result by every path."""

from dataclasses import astuple
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.quantities import MAX, round_half_up
from tillhook.sales.totals import (
    NOTHING,
    DiscountError,
    DocumentTotals,
    LineInput,
    LineTotals,
    amount_paid,
    compute,
    refund,
    round_to_step,
    sum_up,
)

PLACES = st.sampled_from([0, 2, 3])
ROUNDINGS = st.sampled_from(["line", "document"])
RATES = st.sampled_from(["0", "0.05", "0.0550", "0.0825", "0.2000", "0.25", "1"]).map(Decimal)


def line(quantity="1", price="0", discount="0", rate="0", inclusive=False) -> LineInput:
    return LineInput(Decimal(quantity), Decimal(price), Decimal(discount), Decimal(rate), inclusive)


def totals(*lines: LineInput, discount="0", places=2, rounding="line") -> DocumentTotals:
    return compute(lines, discount=Decimal(discount), places=places, rounding=rounding)


def amounts(document: DocumentTotals) -> tuple[str, ...]:
    return tuple(
        str(amount)
        for amount in (
            document.subtotal,
            document.tax_amount,
            document.discount_amount,
            document.total_amount,
        )
    )


def add(left: LineTotals, right: LineTotals) -> LineTotals:
    return LineTotals(*map(Decimal.__add__, astuple(left), astuple(right)))


def subtract(left: LineTotals, right: LineTotals) -> LineTotals:
    return LineTotals(*map(Decimal.__sub__, astuple(left), astuple(right)))


@st.composite
def line_inputs(draw, inclusive=None):
    price = draw(st.integers(0, 10**6))
    return LineInput(
        quantity=Decimal(draw(st.integers(1, 10**5))).scaleb(-draw(st.integers(0, 4))),
        unit_price=Decimal(price).scaleb(-4),
        discount_per_item=Decimal(draw(st.just(0) | st.integers(0, price))).scaleb(-4),
        tax_rate=draw(RATES),
        tax_inclusive=draw(st.booleans()) if inclusive is None else inclusive,
    )


@st.composite
def documents(draw):
    """Draw lines, the settings, a discount they can carry, and what they come to."""
    lines = draw(st.lists(line_inputs(), min_size=1, max_size=8))
    places, rounding = draw(PLACES), draw(ROUNDINGS)
    before = compute(lines, discount=Decimal(0), places=places, rounding=rounding)
    most = int(sum(item.total_price for item in before.lines).scaleb(places))
    discount = Decimal(draw(st.just(0) | st.just(most) | st.integers(0, most))).scaleb(-places)
    after = compute(lines, discount=discount, places=places, rounding=rounding)
    return lines, discount, places, rounding, after


class TestExamples:
    def test_of_the_specification(self):
        assert amounts(totals(line("4", "100", rate="0.10"))) == ("400.00", "40.00", "0.00", "440.00")

    def test_discount_per_item_is_per_unit(self):
        assert totals(line("3", "10", discount="1.50")).total_amount == Decimal("25.50")

    def test_inclusive_tax_is_inside_the_price(self):
        document = totals(line("2", "12", rate="0.2", inclusive=True))
        assert amounts(document) == ("20.00", "4.00", "0.00", "24.00")

    def test_order_discount_lowers_the_tax(self):
        document = totals(line("1", "75", rate="0.2"), line("1", "25", rate="0.2"), discount="10")
        assert amounts(document) == ("100.00", "18.00", "10.00", "108.00")
        assert [item.discount_share for item in document.lines] == [Decimal("7.50"), Decimal("2.50")]

    def test_order_discount_lowers_an_inclusive_tax(self):
        document = totals(line("1", "12", rate="0.2", inclusive=True), discount="6")
        assert amounts(document) == ("11.00", "1.00", "6.00", "6.00")

    def test_both_kinds_of_tax_in_one_document(self):
        document = totals(line("1", "10", rate="0.1"), line("1", "11", rate="0.1", inclusive=True))
        assert amounts(document) == ("20.00", "2.00", "0.00", "22.00")

    def test_line_and_document_rounding_differ(self):
        lines = [line("1", "0.03", rate="0.2")] * 3
        assert totals(*lines).tax_amount == Decimal("0.03")
        document = totals(*lines, rounding="document")
        assert document.tax_amount == Decimal("0.02")
        assert [item.tax_amount for item in document.lines] == [Decimal(c) for c in ("0.01", "0.00", "0.01")]

    def test_document_rounding_is_per_rate_however_the_rate_is_written(self):
        lines = [
            line("1", "0.02", rate="0.2"),
            line("1", "0.02", rate="0.2000"),
            line("1", "0.04", rate="0.1"),
        ]
        assert totals(*lines, rounding="document").tax_amount == Decimal("0.01")
        kinds = [line("1", "0.02", rate="0.2"), line("1", "0.02", rate="0.2", inclusive=True)]
        assert totals(*kinds, rounding="document").tax_amount == Decimal("0.00")

    @pytest.mark.parametrize(
        ("places", "price", "tax", "total"),
        [(0, "105", "11", "116"), (2, "105.00", "10.50", "115.50"), (3, "105.000", "10.500", "115.500")],
    )
    def test_currencies_have_their_own_places(self, places, price, tax, total):
        document = totals(line("1", "105", rate="0.1"), places=places)
        assert amounts(document) == (price, tax, "0" if not places else f"0.{'0' * places}", total)

    def test_weighed_goods_round_half_up(self):
        assert totals(line("0.335", "1")).total_amount == Decimal("0.34")

    def test_nothing_sold_is_nothing(self):
        assert totals() == DocumentTotals((), *[Decimal(0)] * 4)


class TestRefusals:
    def test_discount_above_the_lines(self):
        assert totals(line("1", "5"), discount="5").total_amount == 0
        with pytest.raises(DiscountError, match="More than the total"):
            totals(line("1", "5"), discount="5.01")
        with pytest.raises(DiscountError):
            totals(discount="0.01")

    def test_negative_discount(self):
        with pytest.raises(DiscountError, match="negative"):
            totals(line("1", "5"), discount="-0.01")

    def test_discount_finer_than_the_currency(self):
        with pytest.raises(DiscountError, match="More than 0 digits"):
            totals(line("1", "5"), discount="0.5", places=0)

    @pytest.mark.parametrize("rounding", ["line", "document"])
    def test_amounts_that_no_column_takes(self, rounding):
        largest = str(MAX)
        assert totals(line("1", "99999999999.99"), rounding=rounding).total_amount == Decimal("99999999999.99")
        for lines in (
            [line("2", largest)],
            [line(largest, largest)] * 3,
            [line("1", "90000000000", rate="0.2")],
            [line("1", "60000000000")] * 2,
        ):
            with pytest.raises(ValueError, match="Too large"):
                totals(*lines, rounding=rounding)

    def test_a_discount_does_not_hide_a_price_that_no_column_takes(self):
        with pytest.raises(ValueError, match="Too large"):
            totals(line("2", "90000000000", inclusive=True, rate="1"), discount="170000000000")


class TestDocument:
    @given(documents())
    def test_adds_up(self, drawn):
        lines, discount, _, _, document = drawn
        assert document.subtotal + document.tax_amount - document.discount_amount == document.total_amount
        assert document.discount_amount == discount == sum(item.discount_share for item in document.lines)
        assert document.tax_amount == sum(item.tax_amount for item in document.lines)
        assert document.total_amount == sum(
            amount_paid(item, tax_inclusive=entry.tax_inclusive)
            for item, entry in zip(document.lines, lines, strict=True)
        )
        inside = sum(item.tax_amount for item, entry in zip(document.lines, lines, strict=True) if entry.tax_inclusive)
        assert document.subtotal == sum(item.total_price for item in document.lines) - inside

    @given(documents())
    def test_no_amount_is_negative_or_finer_than_the_currency(self, drawn):
        lines, _, places, _, document = drawn
        every = [document.subtotal, document.tax_amount, document.discount_amount, document.total_amount]
        for item, entry in zip(document.lines, lines, strict=True):
            every += astuple(item)
            assert item.discount_share <= item.total_price
            if entry.tax_inclusive:
                assert item.tax_amount <= item.total_price - item.discount_share
        for amount in every:
            assert amount >= 0
            assert -amount.as_tuple().exponent == places

    @given(documents())
    def test_discount_is_in_proportion(self, drawn):
        _, discount, places, _, document = drawn
        whole = sum(item.total_price for item in document.lines)
        for item in document.lines:
            exact = Fraction(discount) * Fraction(item.total_price) / Fraction(whole) if whole else 0
            assert abs(Fraction(item.discount_share) - exact) <= Fraction(1, 10**places)

    @given(documents())
    def test_prices_and_taxes_are_the_exact_ones_rounded(self, drawn):
        """Said again in fractions: the price per line, the tax per line or per group."""
        lines, _, places, rounding, document = drawn
        half = Fraction(1, 2 * 10**places)
        exact: dict[object, Fraction] = {}
        rounded: dict[object, Fraction] = {}
        for index, (entry, item) in enumerate(zip(lines, document.lines, strict=True)):
            price = Fraction(entry.quantity) * (Fraction(entry.unit_price) - Fraction(entry.discount_per_item))
            assert -half < price - Fraction(item.total_price) < half or (Fraction(item.total_price) - price == half)
            rate = Fraction(entry.tax_rate)
            base = Fraction(item.total_price) - Fraction(item.discount_share)
            tax = base * rate / (1 + rate) if entry.tax_inclusive else base * rate
            key = index if rounding == "line" else (rate, entry.tax_inclusive)
            exact[key] = exact.get(key, Fraction(0)) + tax
            rounded[key] = rounded.get(key, Fraction(0)) + Fraction(item.tax_amount)
            assert abs(tax - Fraction(item.tax_amount)) <= 2 * half
        for key, tax in exact.items():
            assert -half <= rounded[key] - tax <= half
            assert rounded[key] - tax != -half  # halves go up

    @given(documents())
    def test_of_the_lines_alone_is_the_same_document(self, drawn):
        lines, _, _, _, document = drawn
        assert sum_up(document.lines, inclusive=[entry.tax_inclusive for entry in lines]) == document

    @given(st.lists(line_inputs(inclusive=False), min_size=1, max_size=5), PLACES)
    def test_the_two_roundings_differ_by_at_most_half_a_coin_per_line_and_group(self, lines, places):
        by_line = compute(lines, discount=Decimal(0), places=places, rounding="line")
        by_document = compute(lines, discount=Decimal(0), places=places, rounding="document")
        assert by_line.subtotal == by_document.subtotal
        limit = Fraction(len(lines), 10**places)
        assert abs(Fraction(by_line.tax_amount - by_document.tax_amount)) <= limit


@st.composite
def sold_lines(draw):
    """Draw a line of a document, or one of a few coins and pieces, where every rounding shows."""
    if draw(st.booleans()):
        lines, _, places, _, document = draw(documents())
        index = draw(st.integers(0, len(lines) - 1))
        return lines[index], document.lines[index], places
    price = draw(st.integers(0, 40))
    share = draw(st.integers(0, price))
    inclusive, tax = draw(st.booleans()), draw(st.integers(0, price - share))
    sold = LineTotals(*(Decimal(coins).scaleb(-2) for coins in (price, share, tax)))
    return line(draw(st.integers(1, 12)), inclusive=inclusive), sold, 2


@st.composite
def returns(draw):
    """Draw a sold line and the quantities in which all of it comes back."""
    entry, sold, places = draw(sold_lines())
    whole = entry.quantity == int(entry.quantity)
    units = int(entry.quantity if whole else entry.quantity.scaleb(4))
    cuts = draw(st.lists(st.integers(1, units - 1), max_size=12, unique=True)) if units > 1 else []
    edges = [0, *sorted(cuts), units]
    steps = [Decimal(after - before).scaleb(0 if whole else -4) for before, after in pairwise(edges)]
    return entry, sold, steps, places


def bring_back(entry: LineInput, sold: LineTotals, steps, places) -> list[LineTotals]:
    """Return the amounts of each return in turn; ``places`` is one number or one for each."""
    each = [places] * len(steps) if isinstance(places, int) else places
    returned, returned_quantity, results = NOTHING, Decimal(0), []
    for quantity, digits in zip(steps, each, strict=True):
        now = refund(
            sold,
            tax_inclusive=entry.tax_inclusive,
            sold_quantity=entry.quantity,
            returned=returned,
            returned_quantity=returned_quantity,
            quantity=quantity,
            places=digits,
        )
        returned, returned_quantity = add(returned, now), returned_quantity + quantity
        results.append(now)
    return results


def assert_sane(entry: LineInput, part: LineTotals) -> None:
    assert min(astuple(part)) >= 0
    assert part.discount_share <= part.total_price
    if entry.tax_inclusive:
        assert part.tax_amount <= part.total_price - part.discount_share
    assert amount_paid(part, tax_inclusive=entry.tax_inclusive) >= 0


class TestRefund:
    def test_gives_back_the_price_of_each_piece(self):
        entry = line("3", "1.01", rate="0.25", inclusive=True)
        parts = bring_back(entry, totals(entry).lines[0], [Decimal(1)] * 3, 2)
        assert [amount_paid(part, tax_inclusive=True) for part in parts] == [Decimal("1.01")] * 3
        assert [part.tax_amount for part in parts] == [Decimal(c) for c in ("0.20", "0.21", "0.20")]

    def test_three_for_ten(self):
        entry = line("3", "3.3333", rate="0.1")
        sold = totals(entry, discount="1").lines[0]
        assert astuple(sold) == (Decimal("10.00"), Decimal("1.00"), Decimal("0.90"))
        parts = bring_back(entry, sold, [Decimal(1)] * 3, 2)
        assert [part.total_price for part in parts] == [Decimal(c) for c in ("3.33", "3.34", "3.33")]
        assert [part.discount_share for part in parts] == [Decimal(c) for c in ("0.33", "0.34", "0.33")]

    def test_a_discount_near_the_price_never_makes_a_part_negative(self):
        """Rounded by itself, the second piece's discount is 0.34 of a price of 0.33."""
        entry = line("3", "0.3367")
        sold = totals(entry, discount="1.00").lines[0]
        parts = bring_back(entry, sold, [Decimal(1)] * 3, 2)
        assert [part.total_price for part in parts] == [Decimal(c) for c in ("0.34", "0.33", "0.34")]
        assert [part.discount_share for part in parts] == [Decimal(c) for c in ("0.34", "0.32", "0.34")]

    def test_an_inclusive_tax_near_the_price_follows_the_price(self):
        entry = line("3", inclusive=True)
        sold = LineTotals(Decimal("1.01"), Decimal(0), Decimal("1.00"))
        parts = bring_back(entry, sold, [Decimal(1)] * 3, 2)
        assert [part.tax_amount for part in parts] == [Decimal(c) for c in ("0.34", "0.32", "0.34")]

    @pytest.mark.parametrize(
        ("price", "part", "places", "expected"),
        [
            # All that is left of the price comes back early, so its part does too.
            ("0.67", "0.33", [2, 2, 0, 2], ["0.08", "0.09", "0.16", "0"]),
            # All that is left of the part would be more than this return's price.
            ("1.01", "1.00", [2, 2, 0, 2], ["0.25", "0.25", "0.49", "0.01"]),
        ],
    )
    def test_other_places_meanwhile_leave_no_discount_or_tax_without_its_price(self, price, part, places, expected):
        expected = [Decimal(coins) for coins in expected]
        sold = LineTotals(Decimal(price), Decimal(part), Decimal(0))
        returned = bring_back(line("4"), sold, [Decimal(1)] * 4, places)
        assert [one.discount_share for one in returned] == expected
        sold = LineTotals(Decimal(price), Decimal(0), Decimal(part))
        returned = bring_back(line("4", inclusive=True), sold, [Decimal(1)] * 4, places)
        assert [one.tax_amount for one in returned] == expected

    @pytest.mark.parametrize("quantity", ["0", "-1", "2.0001"])
    def test_refuses_more_than_is_left(self, quantity):
        with pytest.raises(ValueError, match="More than what is left"):
            refund(
                LineTotals(Decimal(9), Decimal(0), Decimal(0)),
                tax_inclusive=False,
                sold_quantity=Decimal(3),
                returned=LineTotals(Decimal(3), Decimal(0), Decimal(0)),
                returned_quantity=Decimal(1),
                quantity=Decimal(quantity),
                places=2,
            )

    @given(returns())
    def test_everything_back_gives_every_amount_back(self, drawn):
        entry, sold, steps, places = drawn
        parts = bring_back(entry, sold, steps, places)
        returned = NOTHING
        for part in parts:
            assert_sane(entry, part)
            for amount in astuple(part):
                assert amount == round_half_up(amount, places)
            returned = add(returned, part)
        assert returned == sold
        paid = sum(amount_paid(part, tax_inclusive=entry.tax_inclusive) for part in parts)
        assert paid == amount_paid(sold, tax_inclusive=entry.tax_inclusive)

    @given(returns())
    def test_many_small_returns_give_what_one_large_return_gives(self, drawn):
        entry, sold, steps, places = drawn
        until = bring_back(entry, sold, steps, places)[:-1]
        if not until:
            return
        returned = NOTHING
        for part in until:
            returned = add(returned, part)
        assert [returned] == bring_back(entry, sold, [sum(steps[:-1])], places)

    @given(returns())
    def test_amounts_are_near_the_exact_part(self, drawn):
        entry, sold, steps, places = drawn
        (part,) = bring_back(entry, sold, steps[:1], places)
        ratio = Fraction(steps[0]) / Fraction(entry.quantity)
        smallest = Fraction(1, 10**places)
        assert abs(Fraction(part.total_price) - Fraction(sold.total_price) * ratio) <= smallest / 2
        assert abs(Fraction(part.discount_share) - Fraction(sold.discount_share) * ratio) <= smallest
        # The tax follows the rounded base, which may itself be a coin off.
        off = abs(Fraction(part.tax_amount) - Fraction(sold.tax_amount) * ratio)
        base = Fraction(sold.total_price - sold.discount_share)
        slope = Fraction(sold.tax_amount) / base if base else 0
        assert off <= smallest / 2 + slope * smallest

    @given(returns(), st.data())
    def test_nothing_is_lost_when_the_currency_gets_other_places_meanwhile(self, drawn, data):
        entry, sold, steps, _ = drawn
        each = data.draw(st.lists(PLACES, min_size=len(steps), max_size=len(steps)))
        returned = NOTHING
        for part in bring_back(entry, sold, steps, each):
            assert_sane(entry, part)
            returned = add(returned, part)
            assert_sane(entry, subtract(sold, returned))
        assert returned == sold


class TestCash:
    @pytest.mark.parametrize(
        ("amount", "step", "expected"),
        [
            ("1.02", "0.05", "1.00"),
            ("1.025", "0.05", "1.05"),
            ("1.03", "0.05", "1.05"),
            ("-1.025", "0.05", "-1.05"),
            ("-1.02", "0.05", "-1.00"),
            ("0.02", "0.05", "0"),
            ("7.50", "1", "8"),
            ("12.34", "0.01", "12.34"),
            ("124", "5", "125"),
        ],
    )
    def test_rounds_to_coins_there_are(self, amount, step, expected):
        assert round_to_step(Decimal(amount), Decimal(step)) == Decimal(expected)

    @given(
        st.integers(-(10**9), 10**9).map(lambda cents: Decimal(cents).scaleb(-2)),
        st.sampled_from(["0.01", "0.05", "0.1", "0.5", "1", "5"]).map(Decimal),
    )
    def test_is_symmetric_and_never_further_than_half_a_step(self, amount, step):
        rounded = round_to_step(amount, step)
        assert rounded % step == 0
        assert abs(rounded - amount) * 2 <= step
        assert round_to_step(-amount, step) == -rounded
        assert round_to_step(rounded, step) == rounded
