"""Every event is tried before it is learned, and nothing of the future reaches the past."""

import numpy as np
import pytest

from models.clean.recipe import recipe
from models.evaluate import sessions
from models.evaluate.apart import apart
from models.evaluate.baselines import BASELINES, Markov, Reminder
from models.evaluate.of_path import OfPath
from models.evaluate.prequential import Prequential
from models.kinds import Kind
from models.path import Path


def followed(log, *recommenders, batch=1, **more):
    follower = Prequential(recommenders, **more)
    for _ in follower.run(log, batch):
        pass
    return follower


def test_the_first_event_of_a_user_is_no_trial_and_the_second_is(view):
    follower = followed([view(0, "u", "a"), view(1, "v", "a"), view(2, "u", "b")], Reminder())
    assert (follower.events.at, follower.events.kind) == ([2], [Kind.VIEW])
    assert follower.found[0].ranks == [()]


def test_what_is_offered_after_an_event_is_tried_by_the_next(view):
    # v walks a → b; then u is at a, is offered b, and takes it.
    log = [view(0, "v", "a"), view(1, "v", "b"), view(2, "u", "a"), view(3, "u", "b")]
    assert followed(log, Markov()).found[0].ranks == [(), (1,)]


def test_an_order_is_one_trial_of_all_its_items(view, order):
    log = [view(0, "u", "a"), view(1, "u", "b"), order(2, "u", "a", "b", "c", "a")]
    follower = followed(log, Reminder())
    assert (follower.events.n_items[-1], follower.found[0].ranks[-1]) == (3, (1, 2))


def test_flags_tell_repeats_own_transitions_and_returns(view):
    seconds = [0, 1, 2, 3, 4, 90_000, 90_001]
    log = [view(s, "u", item) for s, item in zip(seconds, "ababcaa", strict=True)]
    of = followed(log, Reminder()).events
    assert of.is_repeat == [False, True, True, False, False, True]
    assert of.is_own_transition == [False, False, True, False, False, False]
    assert of.is_returning == [False, False, False, False, True, True]
    assert of.in_session == [True, True, True, True, False, True]
    assert of.is_new_item == [True, True, True, True, False, False]


def test_session_ids_of_the_shop_cut_sessions(view):
    log = [
        view(0, "u", "a", session_id="1"),
        view(1, "u", "b", session_id="2"),
        view(9_999, "u", "c", session_id="2"),
    ]
    assert followed(log, Reminder()).events.in_session == [False, True]


def test_novelty_and_diversity_of_an_offer(view):
    log = [view(s, "v", item, category=c) for s, (item, c) in enumerate([("a", "x"), ("b", "x"), ("c", "y")])]
    log += [view(10, "u", "a"), view(11, "u", "b"), view(12, "u", "c"), view(13, "u", "a")]
    found = followed(log, Reminder()).found[0]
    # c, b, a are offered: of the three pairs two are of different categories, and all are alike in number.
    assert found.diversity[-1] == pytest.approx(2 / 3)
    assert found.novelty[-1] == pytest.approx(np.log2(10 / 3))


@pytest.mark.parametrize("batch", [1, 8])
def test_a_shuffled_future_changes_nothing_in_the_past(shop_log, of_path, batch):
    past, future = shop_log[:300], list(shop_log[300:])
    np.random.default_rng(1).shuffle(future)
    changed = [event.__class__(**{**{f: getattr(event, f) for f in event.__struct_fields__}, "time_ms": after.time_ms})
               for event, after in zip(future, shop_log[300:], strict=True)]  # fmt: skip
    ours, theirs = (
        followed(log, of_path(), *(b() for b in BASELINES), batch=batch) for log in (shop_log, past + changed)
    )
    n = sum(at < 300 for at in ours.events.at)
    assert n > 150
    assert ours.events.at[:n] == theirs.events.at[:n]
    for one, other in zip(ours.found, theirs.found, strict=True):
        assert one.ranks[:n] == other.ranks[:n]
    assert any(one.ranks != other.ranks for one, other in zip(ours.found, theirs.found, strict=True))


def test_a_recommender_cannot_know_the_event_that_it_is_tried_on(view, of_path):
    # Items that nobody has seen before: to offer one would be to have looked ahead.
    log = [view(s, f"u{s % 3}", f"i{s}") for s in range(60)]
    follower = followed(log, of_path(), *(b() for b in BASELINES), batch=3)
    assert all(ranks == () for found in follower.found for ranks in found.ranks)


def test_the_path_learns_the_log(shop_log, of_path):
    found = followed(shop_log, of_path()).found[0]
    assert np.mean([bool(ranks) for ranks in found.ranks[-150:]]) > 0.4  # by chance it would be a third


def test_knowledge_that_is_updated_seldom_lags_behind(shop_log, of_path):
    fresh, frozen = of_path(), of_path(name="frozen", update_every_s=1e9)
    follower = followed(shop_log, fresh, frozen)
    hits = [np.mean([bool(ranks) for ranks in found.ranks]) for found in follower.found]
    assert hits[0] > hits[1] + 0.2
    assert frozen.path.knowledge.n_interactions == 0
    frozen.catch_up()
    assert frozen.path.knowledge.n_interactions == fresh.path.knowledge.n_interactions == 600


def test_batches_hold_different_users_in_the_order_of_the_log(shop_log):
    batches = list(apart(shop_log, 16))
    assert [event for batch in batches for event in batch] == shop_log
    assert all(len({event.user_id for event in batch}) == len(batch) <= 16 for batch in batches)


def test_of_a_long_log_every_so_manieth_trial_is_kept(shop_log):
    whole, thinned = followed(shop_log, Markov()), followed(shop_log, Markov(), max_trials=100)
    every = 8  # 540 trials, and at most 99 kept: halved at 100, 200 and 400
    assert thinned.events.at == whole.events.at[::every]
    assert thinned.events.is_repeat == whole.events.is_repeat[::every]
    assert thinned.found[0].ranks == whole.found[0].ranks[::every]
    assert len(thinned.found[0].novelty) == len(thinned.events) < 100


class TestSessions:
    def split(self, shop_log):
        return [e for e in shop_log if int(e.user_id[1:]) < 50], [
            e for e in shop_log if int(e.user_id[1:]) >= 50
        ]

    def run(self, shop_log, recommender, online):
        follower = Prequential([recommender], learn=False)
        train, test = self.split(shop_log)
        assert max(sessions.train(follower, train)) == len(train)
        assert max(sessions.test(follower, test, online=online)) == len(test)
        return follower

    def test_every_prefix_from_the_second_event_on_is_a_trial(self, shop_log, of_path):
        follower = self.run(shop_log, of_path(), online=False)
        _, test = self.split(shop_log)
        assert len(follower.events) == len(test) - len({event.user_id for event in test})

    def test_nothing_of_the_test_part_is_learned(self, shop_log, of_path):
        path = of_path()
        self.run(shop_log, path, online=False)
        assert path.path.knowledge.n_interactions == len(self.split(shop_log)[0])

    def test_online_each_session_is_learned_once_it_is_over(self, shop_log, of_path):
        path = of_path()
        self.run(shop_log, path, online=True)
        assert path.path.knowledge.n_interactions == len(shop_log)


MERGES = recipe({"version": "1", "steps": [{"do": "merge", "within_s": 60}]})


def ring(view, n_copies):
    """v walks a → b, and u; the look at a is sent ``n_copies`` times more under other ids."""
    at_a = [view(60 + 0.001 * n, "v", "a") for n in range(1 + n_copies)]
    return [*at_a, view(70, "v", "b"), view(120, "u", "a"), view(130, "u", "b")]


def test_what_is_merged_is_no_trial_and_teaches_no_baseline(view, path_settings):
    once, copied = (
        followed(
            ring(view, n_copies),
            OfPath(Path(path_settings._replace(clean=MERGES))),
            *(baseline() for baseline in BASELINES),
        )
        for n_copies in (0, 2)
    )
    assert (once.events.at, copied.events.at) == ([1, 3], [3, 5])
    assert [found.ranks for found in copied.found] == [found.ranks for found in once.found]
    assert copied.items == once.items
    assert (once.n_events, copied.n_events) == (4, 6)


def test_without_a_recipe_copies_are_events_like_others(view, of_path):
    follower = followed(ring(view, 2), of_path(), Markov())
    assert follower.events.at == [1, 2, 3, 5]
    assert follower.items["a"] == 4


def test_beside_a_recommender_that_merges_one_that_does_not_hears_all_and_is_tried_alike(view, path_settings):
    clean, raw = OfPath(Path(path_settings._replace(clean=MERGES))), OfPath(Path(path_settings))
    follower = followed(ring(view, 2), raw, clean)
    assert follower.events.at == [3, 5]
    assert all(len(found.ranks) == 2 for found in follower.found)


def test_baselines_train_on_what_is_merged_once(view, path_settings):
    counted = []
    for log in (ring(view, 0), ring(view, 2)):
        popularity = BASELINES[0]()
        follower = Prequential([OfPath(Path(path_settings._replace(clean=MERGES))), popularity], learn=False)
        list(sessions.train(follower, log))
        counted.append((dict(popularity._counts), dict(follower.items)))
        list(sessions.test(follower, [view(60.5, "v", "a")], online=True))
    assert counted[0] == counted[1]
