"""What ``models.versions`` says, record by record, and what promotions and rollbacks make of it."""

from itertools import permutations

import pytest

from schemas.snapshots import MAX_PREVIOUS, Announced, Promoted
from streams.errors import InputError
from streams.snapshots.versions import VersionRecord, Versions

A, B, C, D = (f"2026112{day}T000000000-000000" for day in range(1, 5))


def announced(version: str, model: str = "embedding") -> Announced:
    return Announced(
        model=model, version=version, created_ms=0, url="memory://m", checksum="ab" * 32, size_bytes=1
    )


def hear(versions: Versions, *records: VersionRecord) -> None:
    for record in records:
        versions.hear(record.key, record.value)


def promote(versions: Versions, version: str) -> Promoted:
    promoted = versions.promotion(version, actor="me", detail="by hand", time_ms=1)
    hear(versions, VersionRecord.of(promoted))
    return promoted


def roll_back(versions: Versions) -> Promoted:
    promoted = versions.rollback(actor="me", detail="by hand", time_ms=2)
    hear(versions, VersionRecord.of(promoted))
    return promoted


@pytest.fixture
def versions() -> Versions:
    made = Versions()
    hear(made, *(VersionRecord.of(announced(version)) for version in (A, B, C, D)))
    return made


def test_the_newest_come_first(versions: Versions) -> None:
    assert [each.version for each in versions.newest_first()] == [D, C, B, A]


def test_a_retracted_version_is_no_more(versions: Versions) -> None:
    hear(versions, VersionRecord.retraction(B), VersionRecord.retraction(B))
    assert sorted(versions.announced) == [A, C, D]


def test_a_promotion_names_what_served_before_and_protects_it(versions: Versions) -> None:
    assert versions.protected == set()
    assert promote(versions, A).previous == []
    assert versions.protected == {A}
    promote(versions, B)
    assert promote(versions, C).previous == [B, A]
    assert versions.protected == {C, B}
    assert versions.promoted is not None
    assert versions.promoted.checksum == "ab" * 32


def test_a_version_promoted_again_is_named_once(versions: Versions) -> None:
    for version in (A, B, A):
        promote(versions, version)
    assert versions.promoted is not None
    assert (versions.promoted.version, versions.promoted.previous) == (A, [B])


def test_rolling_back_again_leads_further_back_and_never_to_what_was_bad(versions: Versions) -> None:
    for version in (A, B, C):
        promote(versions, version)
    assert (roll_back(versions).version, roll_back(versions).version) == (B, A)
    with pytest.raises(InputError, match="none was promoted before"):
        versions.rollback(actor="me", detail="by hand", time_ms=3)


def test_rolling_back_passes_over_what_was_retracted(versions: Versions) -> None:
    for version in (A, B, C):
        promote(versions, version)
    hear(versions, VersionRecord.retraction(B))
    assert roll_back(versions).version == A
    promote(versions, C)
    hear(versions, VersionRecord.retraction(A))
    with pytest.raises(InputError, match=rf"go back to: {A} went(.|\n)*there are: {D}, {C}"):
        versions.rollback(actor="me", detail="by hand", time_ms=3)


def test_what_served_before_is_bounded() -> None:
    versions = Versions()
    many = [f"20261122T0000000{i:02d}-000000" for i in range(MAX_PREVIOUS + 3)]
    hear(versions, *(VersionRecord.of(announced(version)) for version in many))
    for version in many:
        promote(versions, version)
    assert versions.promoted is not None
    assert versions.promoted.previous == many[-2 : -2 - MAX_PREVIOUS : -1]


def test_an_unknown_version_is_answered_with_those_there_are(versions: Versions) -> None:
    with pytest.raises(InputError, match=rf"No version 'x' .*there are: {D}, {C}, {B}, {A}\."):
        versions.promotion("x", actor="me", detail="by hand", time_ms=1)


def test_the_order_of_keys_does_not_matter(versions: Versions) -> None:
    """Compaction keeps the last record of each key, and the embedded broker spreads keys over partitions."""
    promoted = versions.promotion(A, actor="me", detail="by hand", time_ms=1)
    records = [VersionRecord.of(announced(A)), VersionRecord.of(promoted), VersionRecord.retraction(B)]
    for order in permutations(records):
        other = Versions()
        hear(other, *order)
        assert (list(other.announced), other.promoted) == ([A], promoted)


def test_nothing_serves_after_a_tombstone(versions: Versions) -> None:
    promote(versions, A)
    versions.hear(b"promoted/embedding", None)
    assert versions.promoted is None


def test_records_of_other_models_are_passed_over(versions: Versions) -> None:
    other = Versions("images")
    hear(other, VersionRecord.of(announced(A, "images")))
    hear(versions, VersionRecord.of(other.promotion(A, actor="me", detail="by hand", time_ms=1)))
    assert (versions.promoted, versions.n_foreign) == (None, 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"\xff", b"{}"),
        (b"announced/embedding", None),
        (b"promoted/embedding", b"{"),
        (b"promoted/embedding", b"[" * 100_000),
        (b"promoted/embedding", VersionRecord.of(announced(A)).value),
        (f"announced/embedding/{B}".encode(), VersionRecord.of(announced(A)).value),
    ],
)
def test_records_that_are_none_are_counted_and_change_nothing(key: bytes | None, value: bytes | None) -> None:
    versions = Versions()
    versions.hear(key, value)
    assert (versions.announced, versions.promoted, versions.n_foreign) == ({}, None, 1)


def test_what_a_person_pins_stays_pinned_until_another_is_promoted(versions: Versions) -> None:
    assert not versions.is_pinned
    for version in (A, B):
        promote(versions, version)
    pinned = versions.rollback(actor="me", detail="by hand", time_ms=3, pinned=True)
    hear(versions, VersionRecord.of(pinned), VersionRecord.of(announced(C)))
    assert versions.is_pinned
    promote(versions, C)
    assert not versions.is_pinned
