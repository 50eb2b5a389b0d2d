"""What goes with the items given comes first, and nothing is lost or doubled."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.outputs import RankedItem, ReasonCode, SlateItem
from streams.api.slates import fused

IDS = st.sampled_from("abcdefgh")
LISTS = st.dictionaries(IDS, st.lists(IDS, unique=True, max_size=6), max_size=3)


def related(*ids: str) -> list[RankedItem]:
    return [RankedItem(each, 1.0) for each in ids]


def slate(*ids: str) -> list[SlateItem]:
    return [SlateItem(each, 1.0, [ReasonCode("content", 1.0)]) for each in ids]


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
