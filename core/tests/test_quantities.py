"""Exact numbers: nothing is lost between the client, Python and the database."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.quantities import (
    MAX,
    MAX_UNITS,
    allocate,
    divide,
    format_money,
    format_quantity,
    from_units,
    money_of_units,
    multiply,
    parse,
    quantity_of_units,
    round_half_up,
    to_units,
)

units = st.integers(-MAX_UNITS, MAX_UNITS)
columns = units.map(from_units)
places = st.integers(0, 4)


def exact_half_up(value: Fraction, digits: int) -> Fraction:
    """Say the rule a second time, in whole numbers."""
    scaled = abs(value) * 10**digits
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Fraction(whole if value >= 0 else -whole, 10**digits)


class TestParse:
    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("12.50", "12.5"),
            ("-0.0001", "-0.0001"),
            (12, "12"),
            (Decimal("0.1"), "0.1"),
            (Decimal("1E+2"), "100"),
            ("1.230000000", "1.23"),
            ("99999999999.9999", "99999999999.9999"),
        ],
    )
    def test_takes_exact_numbers(self, said, expected):
        assert parse(said) == Decimal(expected)

    @pytest.mark.parametrize("zero", ["0", "-0", "-0.00", 0, Decimal("-0"), Decimal("0E-1000000")])
    def test_has_one_zero(self, zero):
        assert str(parse(zero)) == "0"

    @pytest.mark.parametrize(
        "wrong",
        [
            1.5,
            True,
            None,
            [],
            "",
            " 1",
            "1 ",
            "1\n",
            "+1",
            "01",
            ".5",
            "5.",
            "1e3",
            "1,5",
            "1_000",
            "NaN",
            "Infinity",
            "١",
            "1" * 41,
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("-Infinity"),
        ],
    )
    def test_refuses_what_is_no_exact_number(self, wrong):
        with pytest.raises(ValueError):
            parse(wrong)

    @pytest.mark.parametrize(
        "large", ["100000000000", "-100000000000", 10**11, -(10**400), Decimal("1E+999999999"), "99999999999.99991"]
    )
    def test_refuses_what_no_column_takes(self, large):
        with pytest.raises(ValueError):
            parse(large)

    @pytest.mark.parametrize("fine", ["0.00001", Decimal("1E-999999999"), "1.23456"])
    def test_refuses_digits_that_would_be_lost(self, fine):
        with pytest.raises(ValueError, match="More than 4 digits"):
            parse(fine)

    def test_takes_as_many_places_as_asked_for(self):
        assert parse("1.50", 1) == Decimal("1.5")
        with pytest.raises(ValueError, match="More than 1 digits"):
            parse("1.55", 1)

    @given(columns)
    def test_reads_back_what_was_formatted(self, value):
        assert parse(format_quantity(value)) == parse(format_money(value)) == parse(value) == value


class TestUnits:
    @given(units)
    def test_come_back_the_same(self, whole):
        assert to_units(from_units(whole)) == whole

    @pytest.mark.parametrize(
        "wrong",
        [
            "0.00001",
            "100000000000",
            "-100000000000",
            "NaN",
            "Infinity",
            "1E+999999",
            "1E+999999999",
        ],
    )
    def test_refuse_what_the_column_would_change(self, wrong):
        with pytest.raises(ValueError):
            to_units(Decimal(wrong))

    def test_reach_to_the_largest(self):
        assert to_units(MAX) == MAX_UNITS
        assert to_units(-MAX) == -MAX_UNITS


class TestRounding:
    @pytest.mark.parametrize(
        ("value", "digits", "expected"),
        [
            ("0.005", 2, "0.01"),
            ("-0.005", 2, "-0.01"),
            ("0.015", 2, "0.02"),
            ("0.0049", 2, "0.00"),
            ("-0.0049", 2, "0.00"),
            ("2.5", 0, "3"),
            ("1", 3, "1.000"),
        ],
    )
    def test_is_half_up_and_keeps_the_places(self, value, digits, expected):
        assert str(round_half_up(Decimal(value), digits)) == expected

    @given(columns, columns, places)
    def test_is_what_the_rule_says_also_of_products(self, left, right, digits):
        product = multiply(left, right)
        assert Fraction(product) == Fraction(left) * Fraction(right)
        assert Fraction(round_half_up(product, digits)) == exact_half_up(Fraction(product), digits)

    @given(columns, columns.filter(bool), places)
    def test_is_what_the_rule_says_also_of_quotients(self, left, right, digits):
        rounded = round_half_up(divide(left, right), digits)
        assert Fraction(rounded) == exact_half_up(Fraction(left) / Fraction(right), digits)

    @given(columns, places)
    def test_is_symmetric(self, value, digits):
        assert round_half_up(-value, digits) == -round_half_up(value, digits)

    def test_does_not_follow_the_context_of_the_thread(self):
        with localcontext(prec=3):
            assert multiply(Decimal("12345.6789"), Decimal("2")) == Decimal("24691.3578")
            assert round_half_up(Decimal("12345.675"), 2) == Decimal("12345.68")


@st.composite
def splits(draw):
    digits = draw(places)
    total = Decimal(draw(st.integers(-(10**9), 10**9))).scaleb(-digits)
    weights = draw(st.lists(st.integers(0, MAX_UNITS).map(from_units), min_size=1, max_size=20))
    return total, weights, digits


class TestAllocate:
    def test_loses_nothing_of_a_coin_in_three(self):
        shares = allocate(Decimal("1.00"), [Decimal(1)] * 3, 2)
        assert [str(share) for share in shares] == ["0.33", "0.34", "0.33"]

    def test_of_nobody_is_nothing(self):
        assert allocate(Decimal(0), [], 2) == []

    def test_treats_weightless_shares_alike(self):
        assert allocate(Decimal("0.04"), [Decimal(0)] * 2, 2) == [Decimal("0.02")] * 2

    @given(splits())
    def test_shares_add_up_and_are_near_the_exact_ones(self, split):
        total, weights, digits = split
        shares = allocate(total, weights, digits)
        assert sum(shares) == total
        if not any(weights):
            weights = [Decimal(1)] * len(weights)
        smallest = Fraction(1, 10**digits)
        for share, weight in zip(shares, weights, strict=True):
            exact = Fraction(total) * Fraction(weight) / Fraction(sum(weights))
            assert abs(Fraction(share) - exact) <= smallest
            assert share * total >= 0
            assert share == round_half_up(share, digits)

    @given(splits())
    def test_is_symmetric(self, split):
        total, weights, digits = split
        assert allocate(-total, weights, digits) == [-share for share in allocate(total, weights, digits)]


class TestFormat:
    @pytest.mark.parametrize(
        ("value", "quantity", "money"),
        [
            ("2.0000", "2", "2.00"),
            ("0.5", "0.5", "0.50"),
            ("100", "100", "100.00"),
            ("1E+3", "1000", "1000.00"),
            ("-0.00", "0", "0.00"),
            ("-1.2340", "-1.234", "-1.234"),
            ("0.12345", "0.12345", "0.12345"),
        ],
    )
    def test_loses_no_digit(self, value, quantity, money):
        assert format_quantity(Decimal(value)) == quantity
        assert format_money(Decimal(value)) == money

    @pytest.mark.parametrize("units", [0, 1, -1, 5000, -5000, 10_000, 123_400, -1_000_000, 10**15 - 1, 10_001])
    def test_what_the_database_holds_is_written_alike(self, units):
        assert quantity_of_units(units) == format_quantity(from_units(units))
        assert money_of_units(units) == format_money(from_units(units))

    @pytest.mark.parametrize(("digits", "text"), [(0, "5"), (2, "5.00"), (3, "5.000")])
    def test_shows_the_places_of_the_currency(self, digits, text):
        assert format_money(Decimal("5.0000"), digits) == text
