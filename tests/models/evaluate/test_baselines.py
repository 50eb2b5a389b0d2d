import pytest

from models.evaluate.baselines import BASELINES, Markov, Popularity, Reminder, SequentialRules, Vsknn


def last_offer(recommender, events):
    return [recommender.follow([event], learn=True)[0].items for event in events][-1]


@pytest.fixture
def visits(view):
    """a → b → c twice, a → d once, then someone at a."""
    walks = ["abc", "abc", "ad", "a"]
    return [view(100 * n + s, f"u{n}", item) for n, walk in enumerate(walks) for s, item in enumerate(walk)]


def test_popularity_is_the_same_for_everyone(visits):
    assert last_offer(Popularity(), visits) == ["a", "b", "c", "d"]


def test_the_reminder_names_the_sessions_own_items_latest_first(view):
    assert last_offer(Reminder(), [view(s, "u", item) for s, item in enumerate("abca")]) == ["a", "c", "b"]


def test_markov_names_what_followed(visits):
    assert last_offer(Markov(), visits) == ["b", "d"]


def test_sequential_rules_weigh_by_steps(visits):
    # b twice at one step, c twice at two: 2 and 1; d once at one step: 1, later than c.
    assert last_offer(SequentialRules(), visits) == ["b", "c", "d"]


def test_vsknn_names_items_of_sessions_that_share_one(visits, view):
    offer = last_offer(Vsknn(), [*visits, view(900, "new", "d")])
    assert set(offer) == {"a", "d"}


@pytest.mark.parametrize("baseline", BASELINES)
def test_nothing_is_learned_before_it_catches_up(baseline, view):
    learned, late = baseline(), baseline()
    log = [
        view(100 * n + s, f"u{n}", item)
        for n, walk in enumerate(["ab", "ab", "ab"])
        for s, item in enumerate(walk)
    ]
    probe = view(900, "probe", "a")
    for event in log:
        learned.follow([event], learn=True)
        late.follow([event], learn=False)
    known = learned.follow([probe], learn=False)[0].items
    before = late.follow([probe], learn=False)[0].items
    late.catch_up()
    after = late.follow([view(901, "probe2", "a")], learn=False)[0].items
    if baseline is not Reminder:
        assert before == []
    assert after == known


@pytest.mark.parametrize("baseline", BASELINES)
def test_training_learns_what_following_learns(baseline, view):
    log = [
        view(100 * n + s, f"u{n}", item)
        for n, walk in enumerate(["abc", "bcd"])
        for s, item in enumerate(walk)
    ]
    trained, followed = baseline(), baseline()
    trained.train(log)
    for event in log:
        followed.follow([event], learn=True)
    probe = [view(900, "probe", "b")]
    assert trained.follow(probe, learn=False) == followed.follow(probe, learn=False)
