import doctest

import pytest

from models.inventory import columns, formats
from models.inventory.formats import format_of, is_payment_card


@pytest.mark.parametrize("module", [formats, columns])
def test_the_examples_of_the_documentation_hold(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0b4d2a4e-8f0b-4b6e-9c3f-0d2f5c1a7e11"], "uuid"),
        (["a@b.example", "c.d+e@f-g.co.uk"], "email"),
        (["10.0.0.1", "2001:db8::1"], "ip"),
        (["https://shop.example/p?id=1", "s3://bucket/key"], "url"),
        (["2026-11-23T02:44:06Z", "2026-11-23 02:44:06.123+01:00"], "iso_time"),
        (["2026-11-23"], "iso_date"),
        (["EUR", "USD"], "currency"),
        (["+49 151 2345678"], "phone"),
        (["4111 1111 1111 1111"], "payment_card"),
        (["9e107d9d372bb6826bd81d3542a419d6"], "hex_digest"),
        ([1795353422000, 1795353423000], "epoch_ms"),
        ([1795353422], "epoch_s"),
        ([1795353422000000], "epoch_us"),
        (["1795353422000"], "epoch_ms"),
        (["17", "18"], "integer"),
        (["17.5", "18"], "number"),
        ([17, 18], None),
        ([True, False], None),
        (["shoes", "EUR"], None),
        (["2026-13-45"], None),
        (["1.2.3"], None),
        ([1795353422000, 1795353422], None),
        ([], None),
    ],
)
def test_a_format_is_told_where_nearly_all_values_have_it(values, expected):
    assert format_of(values) == expected


def test_one_stray_value_in_twenty_changes_nothing_and_two_do():
    assert format_of(["EUR"] * 19 + ["euro"]) == "currency"
    assert format_of(["EUR"] * 18 + ["euro"] * 2) is None


def test_digits_are_a_card_only_with_the_check_digit():
    # 4111111111111111: 16 digits, the doubled ones sum to 8 + 7 * 2 = 22, the others to 8, in all 30
    assert is_payment_card("4111111111111111")
    assert not is_payment_card("4111111111111112")
    assert not is_payment_card("17953534220000")
