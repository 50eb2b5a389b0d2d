"""What goes with the items given comes first, nothing is lost or doubled, and what changed has another version."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.api import SlateQuery
from schemas.outputs import RankedItem, ReasonCode, SlateItem
from streams.api.slates import Slates, fused
from streams.api.store import Held, Store
from streams.api.workers import Workers

IDS = st.sampled_from("abcdefgh")
LISTS = st.dictionaries(IDS, st.lists(IDS, unique=True, max_size=6), max_size=3)


def related(*ids: str) -> list[RankedItem]:
    return [RankedItem(each, 1.0) for each in ids]


def slate(*ids: str) -> list[SlateItem]:
    return [SlateItem(each, 1.0, [ReasonCode("content", 1.0)]) for each in ids]


def test_a_slate_cut_by_category_has_another_version_when_the_catalogue_changes(tmp_path: Path) -> None:
    store, query = Store(tmp_path), SlateQuery(category=["hats"])
    held = Held(1, b"events.browse-0-1", b'{"items":[{"item_id":"i"}]}')
    slates, cut = Slates(store, Workers([], 4)), []
    for category in (b"shoes", b"hats", b"hats"):
        body = b'{"item_id":"i","category":"%b"}' % category
        store.changes().put(topics.ITEMS, b"i", Held(1, b"", body)).write()
        cut.append(slates._cut(held, query))
    store.close()
    assert [each.body for each in cut[:2]] == [b'{"items":[]}', b'{"items":[{"item_id":"i"}]}']
    assert cut[0].id != cut[1].id == cut[2].id


def test_items_of_several_lists_and_the_slate_rise() -> None:
    # x: 1/61 of the first list; y: 1/62 + 1/61 of both lists; z: 1/62 of the second and 1/61 of the slate
    lists = {"a": related("x", "y"), "b": related("y", "z")}
    found = list(fused(lists, slate("z", "w"), {"a", "b"}))
    assert [each.item_id for each in found] == ["y", "z", "x", "w"]
    assert found[0].score == 1 / 62 + 1 / 61
    assert found[2].reasons == [ReasonCode("related", 1.0, "a")]
    assert found[1].reasons == [ReasonCode("related", 0.5, "b"), ReasonCode("content", 0.5)]
    assert found[3].reasons == [ReasonCode("content", 1.0)]


@given(lists=LISTS, of_slate=st.lists(IDS, unique=True))
def test_every_item_comes_once_and_none_of_those_given(
    lists: dict[str, list[str]], of_slate: list[str]
) -> None:
    found = [
        each.item_id
        for each in fused({of: related(*ids) for of, ids in lists.items()}, slate(*of_slate), set(lists))
    ]
    wanted = {each for ids in lists.values() for each in ids} | set(of_slate)
    assert sorted(found) == sorted(wanted - set(lists))


@given(lists=LISTS, of_slate=st.lists(IDS, unique=True))
def test_shares_add_up(lists: dict[str, list[str]], of_slate: list[str]) -> None:
    for each in fused({of: related(*ids) for of, ids in lists.items()}, slate(*of_slate), set(lists)):
        assert abs(sum(reason.share for reason in each.reasons) - 1.0) < 1e-9
