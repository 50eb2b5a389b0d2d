import pytest

from models.inventory.personal import Personal, personal


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("user_id", "pseudonym"),
        ("customer.emailAddress", "email"),
        ("lines[].shipping_address", "address"),
        ("Date-Of-Birth", "birth_date"),
        ("api_key", "credential"),
        ("geo.lat", "location"),
        ("item_id", None),
        ("price", None),
    ],
)
def test_a_name_tells_by_itself(path, kind):
    found = personal(path, ["x"])
    assert (found and found.kind) == kind


def test_one_address_in_two_hundred_texts_is_a_leak_with_its_share():
    texts = ["all is well"] * 199 + ["write to ann@shop.example please"]
    assert personal("note", texts) == Personal("email", 1 / 200)


def test_values_tell_the_kind_of_an_id_that_is_an_address():
    assert personal("user_id", ["ann@shop.example", "u-17"]) == Personal("email", 0.5)


def test_a_name_and_its_pattern_are_told_together():
    assert personal("email", ["ann@shop.example", "none"]) == Personal("email", 0.5)
    assert personal("email", [None]) == Personal("email", None)


def test_flags_named_like_data_are_none():
    assert personal("mobile", [True, False]) is None


@pytest.mark.parametrize(
    "texts",
    [
        ["2026-11-23 02:44:06", "01-02-2026 10:00"],
        ["0001234567890", "00491234567"],
        ["17953534220000", "sku-4111111111111111"],
        ["v1.2.3", "1.2.3-beta+20261123"],
    ],
)
def test_times_ids_and_versions_are_nobodys_data(texts):
    assert personal("x", texts) is None
