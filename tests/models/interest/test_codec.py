from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.interest.codec import BrokenStateError, InterestError, UnknownVersionError, decode, encode
from models.interest.state import (
    AFFINITY,
    EVENT,
    INTERACTION,
    Affinity,
    Mean,
    Platform,
    Recents,
    Search,
    State,
)

FIXTURES = Path(__file__).parent / "fixtures"

EVERY_FIELD = State(
    n_events=3,
    n_impressions=1,
    latest_ms=1_700_000_000_000,
    stamps={"events.browse-3": 41, "events.search-3": 7},
    events=bytearray(EVENT.pack(1_700_000_000_000, 2**64 - 1, 2**32 - 1)),
    recents=Recents(
        ["item-1"],
        [None],
        bytearray(INTERACTION.pack(1_700_000_000_000, 2**64 - 1, 0, 1, 17, 9.5, 3000, 0.625)),
    ),
    categories=Affinity(["shoes"], bytearray(AFFINITY.pack(1_700_000_000_000, 1.0, 1.5, 2.25))),
    brands=Affinity(["Ö"], bytearray(AFFINITY.pack(1, 0.1, 0.2, 0.3))),
    bands=Affinity(["6"], bytearray(AFFINITY.pack(2, 0.1, 0.2, 0.3))),
    terms=Affinity(["red"], bytearray(AFFINITY.pack(3, 0.1, 0.2, 0.3))),
    stores=Affinity(["store"], bytearray(AFFINITY.pack(4, 0.1, 0.2, 0.3))),
    bought={"item-2": 1_690_000_000_000},
    dismissed={"item-3": 1_695_000_000_000},
    searches=[Search(1_700_000_000_000, 5, "red shoes")],
    platform=Platform(1_700_000_000_000, "app"),
    log_price=Mean(1_700_000_000_000, 4.5, 2.0),
    promoted=Mean(1_690_000_000_000, 1.0, 4.0),
    vector=b"\x00\x00\x80?",
    vector_version="embed-1",
)
"""Written to ``state_v1.bin`` when version 1 was fixed; never edited, so that old states stay readable."""


def test_a_state_of_version_1_is_read_as_it_was_written():
    assert decode((FIXTURES / "state_v1.bin").read_bytes()) == EVERY_FIELD


def test_every_field_survives():
    assert decode(encode(EVERY_FIELD)) == EVERY_FIELD
    assert decode(encode(State())) == State()


def test_the_first_byte_is_the_version():
    assert encode(State())[0] == 1


def test_a_newer_version_names_the_way_out():
    with pytest.raises(UnknownVersionError, match=r"version 2, this release reads 1 to 1: run the release"):
        decode(b"\x02" + encode(State())[1:])


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x93\x01", encode(EVERY_FIELD)[:-3]])
def test_broken_bytes_are_an_error_of_the_tree(data):
    with pytest.raises(BrokenStateError):
        decode(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    with suppress(InterestError):
        decode(b"\x01" + data)
