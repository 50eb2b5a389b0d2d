"""The figures of a window, each held by hand: places in the slate as shown, judged lists, calibration, segments."""

from math import log2
from typing import Any

import numpy as np
import pytest

from models.kinds import Kind
from models.learn.groups import SCALE, no_groups
from models.learn.join import Joined, Label
from models.learn.judge import Judged
from models.learn.learning import Happening, Learned
from models.learn.pending import Slots
from models.learn.progress import MAX_HAPPENINGS, Progress
from models.rank.features import feature_names
from models.rank.slate import Ranked
from schemas.metrics import ModelReport

SOURCES = ["near", "far"]
NAMES = feature_names(SOURCES)
KEPT = 8
NO_WEIGHTS = np.zeros(len(NAMES), np.float32)
VERSIONS = {"ours": "ours-1", "theirs": "theirs-1"}


@pytest.fixture
def slots() -> Slots:
    """Three slates of eight candidates: six shown, two shown, none kept at all."""
    return Slots(
        np.zeros((3, KEPT, len(NAMES)), np.int16),
        np.zeros((3, KEPT), np.int32),
        np.array([8, 8, 0], np.int32),
        np.array([6, 2, 0], np.int32),
        np.zeros((3, KEPT), np.float32),
    )


@pytest.fixture
def progress() -> Progress:
    return Progress(NAMES, SOURCES, 10, slate_length=10)


def label(kind: Kind, place: int = -1, slot: int = 0, *, attributed: bool = False, time_ms: int = 1) -> Label:
    return Label(slot, place, kind, 3, 1.0, attributed, False, 2**63, 0, time_ms)


def judged(*lists: tuple[float, float, float, float, float]) -> Judged:
    """Of (rank, loss, auc, chance of the best, whether that was it)."""
    return Judged(*np.array(lists, np.float32).reshape(-1, 5).T.copy())


UNKNOWN = (np.nan,) * 5


def learned(*labels: Label, happenings: tuple[Happening, ...] = (), **by_scorer: Judged) -> Learned:
    """The lists judged are those of the first labels."""
    n_lists = max((len(each.loss) for each in by_scorer.values()), default=0)
    given = by_scorer or {"ours": judged()}
    return Learned(Joined(list(labels), no_groups(1, 1), list(range(n_lists))), given, "ours", [*happenings])


def told(progress: Progress, n_known: int = 10) -> dict[str, ModelReport]:
    return {report.model: report for report in progress.report(1_000, 2_000, VERSIONS, n_known, "w")}


def figure(report: ModelReport, metric: str, k: int | None = None, segment: str | None = None) -> Any:
    """(value, n), None where it is not told."""
    found = [
        each for each in report.measurements if (each.metric, each.k, each.segment) == (metric, k, segment)
    ]
    assert len(found) < 2
    return (found[0].value, found[0].n) if found else None


def about(value: float, n: int | None) -> Any:
    return pytest.approx(value, rel=1e-5), n


class TestOutcomes:
    def test_places_are_those_of_the_slate_as_shown_and_all_else_is_a_miss(
        self, progress: Progress, slots: Slots
    ) -> None:
        labels = [
            label(Kind.VIEW, 0),  # rank 1
            label(Kind.PURCHASE, 2),  # rank 3
            label(Kind.VIEW),  # was no candidate
            label(Kind.CLICK, 5),  # rank 6
            label(Kind.CART, 6),  # a candidate, but not shown
        ]
        progress.learned(learned(*labels), slots, NO_WEIGHTS)
        ours = told(progress)["ours"]
        assert figure(ours, "hit_rate", 5) == about(2 / 5, 5)
        assert figure(ours, "hit_rate", 10) == about(3 / 5, 5)
        # Rank 3 gains 1 / log2(4) = 0.5, rank 6 gains 1 / log2(7) = 0.356207.
        assert figure(ours, "ndcg", 5) == about(1.5 / 5, 5)
        assert figure(ours, "ndcg", 10) == about(1.856207 / 5, 5)
        assert figure(ours, "mrr", 5) == about((1 + 1 / 3) / 5, 5)
        assert figure(ours, "mrr", 10) == about((1 + 1 / 3 + 1 / 6) / 5, 5)
        assert figure(ours, "outcomes") == (5, None)
        assert ours.n_events == 5

    def test_lists_are_no_longer_than_the_slate(self, slots: Slots) -> None:
        assert Progress(NAMES, SOURCES, 10, slate_length=20).ks == [5, 10, 20]
        assert Progress(NAMES, SOURCES, 10, slate_length=12).ks == [5, 10]
        assert Progress(NAMES, SOURCES, 10, slate_length=3).ks == [3]

    def test_dismissals_and_slates_seen_are_counted_and_are_no_outcomes(
        self, progress: Progress, slots: Slots
    ) -> None:
        labels = [
            *(label(Kind.IMPRESSION, attributed=True) for _ in range(4)),
            label(Kind.DISMISS, 1, attributed=True),
            label(Kind.CLICK, 0, attributed=True),
            label(Kind.VIEW, 1, attributed=True),
            label(Kind.CART, 2, attributed=True),  # bought into, not clicked
            label(Kind.CLICK, 3),  # came about elsewhere
        ]
        progress.learned(learned(*labels), slots, NO_WEIGHTS)
        ours = told(progress)["ours"]
        assert figure(ours, "seen") == (4, None)
        assert figure(ours, "dismissals") == (1, None)
        assert figure(ours, "outcomes") == (4, None)
        assert figure(ours, "clicks") == (2, None)
        assert figure(ours, "click_rate") == about(2 / 4, 4)

    def test_without_slates_seen_there_is_no_click_rate(self, progress: Progress, slots: Slots) -> None:
        progress.learned(learned(label(Kind.CLICK, 0, attributed=True)), slots, NO_WEIGHTS)
        assert figure(told(progress)["ours"], "click_rate") is None


class TestSegments:
    def test_by_kind(self, progress: Progress, slots: Slots) -> None:
        labels = [label(Kind.VIEW, 0), label(Kind.VIEW), label(Kind.PURCHASE, 1)]
        lists = judged((1, 0.2, 1.0, 0.8, 1))
        progress.learned(learned(*labels, ours=lists), slots, NO_WEIGHTS)
        ours = told(progress)["ours"]
        assert figure(ours, "outcomes", segment="kind=view") == (2, None)
        assert figure(ours, "hit_rate", 10, "kind=view") == about(1 / 2, 2)
        # Rank 2 gains 1 / log2(3).
        assert figure(ours, "ndcg", 10, "kind=purchase") == about(1 / log2(3), 1)
        assert figure(ours, "mrr", 10, "kind=purchase") == about(1 / 2, 1)
        assert figure(ours, "log_loss", segment="kind=view") == about(0.2, 1)
        assert figure(ours, "auc", segment="kind=purchase") is None
        assert figure(ours, "hit_rate", 5, "kind=view") is None  # at the largest k only
        assert figure(ours, "outcomes", segment="kind=cart") is None

    def test_by_what_brought_the_item_most(self, progress: Progress, slots: Slots) -> None:
        weights = NO_WEIGHTS.copy()
        weights[[NAMES.index("near.score"), NAMES.index("far.score")]] = 1.0, 2.0
        weights[NAMES.index("far.named")] = -5.0
        for place, near, far in ((0, 0.9, 0.2), (1, 0.0, 0.5), (2, 0.5, 0.9)):
            for name, score in (("near", near), ("far", far)):
                slots.x[0, place, NAMES.index(f"{name}.named")] = np.round((score > 0) / SCALE)
                slots.x[0, place, NAMES.index(f"{name}.score")] = np.round(score / SCALE)
        # 0: near adds 0.9, far 0.4 - 5. 1: only far names it. 2: near adds 0.5, far 1.8 - 5. The last was no candidate.
        labels = [label(Kind.VIEW, place) for place in (0, 1, 2, -1)]
        progress.learned(learned(*labels), slots, weights)
        ours = told(progress)["ours"]
        assert figure(ours, "outcomes", segment="source=near") == (2, None)
        assert figure(ours, "outcomes", segment="source=far") == (1, None)
        assert figure(ours, "mrr", 10, "source=near") == about((1 + 1 / 3) / 2, 2)

    def test_by_whether_the_user_had_a_history_beyond_the_session(
        self, progress: Progress, slots: Slots
    ) -> None:
        slots.x[1, :, NAMES.index("returning")] = np.round(1.0 / SCALE)
        labels = [label(Kind.VIEW, 0), label(Kind.VIEW, 1, slot=1), label(Kind.VIEW, slot=1)]
        # Nothing is known of the user of an empty slate: they are in neither.
        progress.learned(learned(*labels, label(Kind.VIEW, slot=2)), slots, NO_WEIGHTS)
        ours = told(progress)["ours"]
        assert figure(ours, "hit_rate", 10, "user=new") == about(1.0, 1)
        assert figure(ours, "hit_rate", 10, "user=returning") == about(1 / 2, 2)
        assert figure(ours, "outcomes") == (4, None)


class TestLists:
    def test_every_scorer_is_told_of_by_the_lists_it_was_judged_on(
        self, progress: Progress, slots: Slots
    ) -> None:
        labels = [label(Kind.VIEW, 0), label(Kind.VIEW, 3), label(Kind.IMPRESSION, attributed=True)]
        ours = judged((1, 0.1, 1.0, 0.92, 1), (4, 0.5, 0.5, 0.35, 0), UNKNOWN)
        theirs = judged((6, 1.0, 0.25, 0.5, 0), (1, 0.0, 1.0, 0.5, 1), UNKNOWN)
        progress.learned(learned(*labels, ours=ours, theirs=theirs), slots, NO_WEIGHTS)
        reports = told(progress)
        assert figure(reports["ours"], "log_loss") == about(0.3, 2)
        assert figure(reports["ours"], "auc") == about(0.75, 2)
        assert figure(reports["ours"], "kept_hit_rate", 5) == about(1.0, 2)
        # Rank 4 gains 1 / log2(5) = 0.430677, rank 6 gains 1 / log2(7) = 0.356207.
        assert figure(reports["ours"], "kept_ndcg", 5) == about(1.430677 / 2, 2)
        assert figure(reports["theirs"], "log_loss") == about(0.5, 2)
        assert figure(reports["theirs"], "auc") == about(0.625, 2)
        assert figure(reports["theirs"], "kept_hit_rate", 5) == about(0.5, 2)
        assert figure(reports["theirs"], "kept_ndcg", 10) == about(1.356207 / 2, 2)

    def test_what_is_of_the_slate_is_told_of_the_champion_alone(
        self, progress: Progress, slots: Slots
    ) -> None:
        lists = judged((1, 0.1, 1.0, 0.9, 1))
        progress.learned(learned(label(Kind.VIEW, 0), ours=lists, theirs=lists), slots, NO_WEIGHTS)
        reports = told(progress)
        assert {each.metric for each in reports["theirs"].measurements} == {
            "log_loss",
            "auc",
            "kept_hit_rate",
            "kept_ndcg",
        }
        assert {"hit_rate", "calibration_error"} < {each.metric for each in reports["ours"].measurements}
        assert (reports["theirs"].n_events, reports["theirs"].model_version) == (1, "theirs-1")

    def test_calibration_holds_chances_against_how_often_they_came_true(
        self, progress: Progress, slots: Slots
    ) -> None:
        lists = judged((1, 0.1, 1, 0.92, 1), (2, 0.1, 1, 0.98, 0), (3, 0.1, 1, 0.35, 0), (1, 0.0, 1, 1.0, 1))
        labels = [label(Kind.VIEW, 0)] * 4
        progress.learned(learned(*labels, ours=lists), slots, NO_WEIGHTS)
        ours = told(progress)["ours"]
        # From 0.9: 2.9 expected, 2 right. From 0.3: 0.35 expected, 0 right. (0.9 + 0.35) / 4.
        assert figure(ours, "calibration_error") == about(1.25 / 4, 4)
        assert figure(ours, "calibration_ratio") == about(3.25 / 2, 4)
        assert figure(ours, "predicted", segment="confidence=0.9") == about(2.9 / 3, 3)
        assert figure(ours, "observed", segment="confidence=0.9") == about(2 / 3, 3)
        assert figure(ours, "observed", segment="confidence=0.3") == about(0.0, 1)
        assert figure(ours, "predicted") == about(3.25 / 4, 4)

    def test_when_the_best_candidate_was_never_right_there_is_no_ratio(
        self, progress: Progress, slots: Slots
    ) -> None:
        lists = judged((2, 1.0, 0.5, 0.5, 0))
        progress.learned(learned(label(Kind.VIEW, 1), ours=lists), slots, NO_WEIGHTS)
        assert figure(told(progress)["ours"], "calibration_ratio") is None


def slate(progress: Progress, champion: str, *items: int) -> None:
    shape = (1, len(items))
    ranked = Ranked(
        np.array([items], np.int32),
        np.zeros(shape, np.float32),
        np.ones((*shape, 2), np.float32),
        np.zeros((*shape, 2), np.int32),
        np.ones(shape, np.float32),
        np.zeros(shape, np.bool_),
    )
    progress.served(champion, ranked, np.zeros(10, np.int32), np.zeros((10, 2)), 0.0, 5.0)


class TestWindows:
    def test_a_report_says_whose_and_when(self, progress: Progress, slots: Slots) -> None:
        progress.learned(learned(label(Kind.VIEW, 0)), slots, NO_WEIGHTS)
        ours = told(progress)["ours"]
        assert (ours.model_version, ours.window_start_ms, ours.window_end_ms, ours.worker) == (
            "ours-1",
            1_000,
            2_000,
            "w",
        )

    def test_of_nothing_there_is_no_report(self, progress: Progress, slots: Slots) -> None:
        assert told(progress) == {}
        progress.learned(learned(), slots, NO_WEIGHTS)
        assert told(progress) == {}

    def test_the_next_window_begins_empty(self, progress: Progress, slots: Slots) -> None:
        progress.learned(
            learned(label(Kind.VIEW, 0), happenings=(Happening("drift", "ours", "x"),)), slots, NO_WEIGHTS
        )
        slate(progress, "ours", 1, 2)
        progress.next_window()
        assert told(progress) == {}

    def test_slates_are_told_of_what_serves(self, progress: Progress) -> None:
        slate(progress, "ours", 1, 2)
        assert figure(told(progress)["ours"], "slates") == (1, None)
        slate(progress, "theirs", 3)
        # After a promotion what the one before offered is not its own.
        reports = told(progress)
        assert "ours" not in reports
        assert figure(reports["theirs"], "slates") == (1, None)
        assert figure(reports["theirs"], "coverage") == about(1 / 10, 10)

    def test_happenings_are_told_of_their_scorer_at_event_time(
        self, progress: Progress, slots: Slots
    ) -> None:
        happened = (Happening("reset", "theirs", "why"), Happening("drift", "ours", "what"))
        labels = [label(Kind.VIEW, 0, time_ms=7), label(Kind.VIEW, 0, time_ms=5)]
        progress.learned(learned(*labels, happenings=happened), slots, NO_WEIGHTS)
        (theirs,) = told(progress)["theirs"].happenings
        assert (theirs.kind, theirs.estimator, theirs.detail, theirs.time_ms) == ("reset", "theirs", "why", 7)
        assert told(progress)["theirs"].measurements == []

    def test_happenings_are_bounded(self, progress: Progress, slots: Slots) -> None:
        many = (Happening("rollback", "ours", "x"),) * (MAX_HAPPENINGS + 9)
        progress.learned(learned(label(Kind.VIEW, 0), happenings=many), slots, NO_WEIGHTS)
        assert len(told(progress)["ours"].happenings) == MAX_HAPPENINGS
