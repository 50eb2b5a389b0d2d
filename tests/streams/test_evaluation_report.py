import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace
from rich.console import Console

from models.evaluate.baselines import Baseline, Markov, Reminder
from models.evaluate.intervals import Interval
from models.evaluate.prequential import Prequential
from models.evaluate.result import Difference, Evaluation, differences, scores
from schemas.events import Browse
from streams.evaluation_report import html, table
from streams.evaluation_report.words import Verdict, remarks, verdict

HOSTILE = "<script>alert('a & b')</script> [bold]$x$ \x1b[31m"
MEASURES = ("hr", "mrr", "ndcg", "recall", "precision", "f1")


def evaluated(*recommenders: Baseline, ks: tuple[int, ...] = (2, 5)) -> Evaluation:
    """Six users walk along a ring of seven items, some in steps of two, and look at every third item twice."""
    follower = Prequential(recommenders)
    for _ in follower.run(
        Browse(
            event_id=f"e{n}",
            user_id=f"u{n % 6}",
            time_ms=1_700_000_000_000 + 7_000 * n,
            item_id=f"i{(n // 6 - (n // 6 % 3 == 2)) * (1 + n % 2) % 7}",
        )
        for n in range(180)
    ):
        pass
    events, n_items = follower.events, len(follower.items)
    keep = events.column("at") >= 18
    names = [each.name for each in recommenders]
    return Evaluation(
        protocol="prequential",
        log="shop.csv",
        settings={"rank.mmr_lambda": 0.7},
        n_events=180,
        n_trials=int(keep.sum()),
        n_users=6,
        n_items=n_items,
        from_share=0.1,
        ks=list(ks),
        scores=[
            scores(name, events, found, keep, n_items, ks)
            for name, found in zip(names, follower.found, strict=True)
        ],
        differences=differences(names, events, follower.found, keep, max(ks)),
        events_per_s=4321.0,
        notes=["rillet: 3 events were refused"],
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    both = evaluated(Markov(5), Reminder(5))
    ours = replace(
        both.scores[0], hits_by_source={"markov": 1.0}, offered_by_source={"markov": 0.625, "random": 0.375}
    )
    return replace(both, scores=[ours, both.scores[1]])


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return html(evaluation)


def printed(evaluation: Evaluation, width: int = 100) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table(evaluation))
    return capture.get()


def row_of(text: str, *starts: str) -> str:
    """The printed line with these words in it, blanks made one."""
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
    return next(line for line in lines if all(start in line for start in starts))


class Page(HTMLParser):
    """Tables by caption, rows of cells; and what else a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.headings: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._rows: list[list[str]] = []
        self._into: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        if tag in ("caption", "td", "th", "h1", "h2", "small"):
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("caption", "td", "th", "h1", "h2", "small"):
            return
        text = self._into.pop()
        if tag == "caption":
            self.tables[text] = self._rows
        elif tag == "small":
            self._into[-1] += f" | {text}"
        elif tag in ("td", "th"):
            self._rows[-1].append(text)
        else:
            self.headings.append(text)

    def handle_data(self, data: str) -> None:
        if self._into:
            self._into[-1] += data


def shown(share: float, places: int = 1) -> str:
    return f"{share * 100:.{places}f}"


def places_of(evaluation: Evaluation, key: str) -> int:
    return 1 if max(each.overall[key].mean for each in evaluation.scores) >= 0.1 else 2


def test_the_terminal_shows_the_figures_of_each_recommender(evaluation: Evaluation) -> None:
    overall, offered = printed(evaluation).split("what was offered")
    for of_one in evaluation.scores:
        cells = []
        for key in (f"{measure}@5" for measure in MEASURES):
            mean, low, high = of_one.overall[key]
            places = places_of(evaluation, key)
            cells.append(f"{shown(mean, places)} ±{shown((high - low) / 2, places)}")
        assert row_of(overall, of_one.name) == f"{of_one.name} {' '.join(cells)}"
        assert row_of(offered, of_one.name) == (
            f"{of_one.name} {shown(of_one.coverage)} {of_one.gini:.3f} "
            f"{of_one.novelty_bits:.2f} {of_one.diversity:.3f}"
        )


def test_the_terminal_shows_differences_and_slices(evaluation: Evaluation) -> None:
    text = printed(evaluation)
    for each in evaluation.differences:
        mean, low, high = each.interval
        row = f"{100 * mean:+.2f} {100 * low:+.2f} to {100 * high:+.2f}"
        assert row in row_of(text, each.measure.upper(), " to ", f"{100 * mean:+.2f}")
    for part in evaluation.scores[0].slices:
        cells = [f"{part.n:,}", *(shown(part.values[f"{m}@5"]) for m in MEASURES[:4])]
        assert row_of(text, f"{part.value} ", *cells).endswith(" ".join(cells))
    assert "10% of the log" in text
    assert "rank.mmr_lambda = 0.7" in text
    assert "3 events were refused" in text


@pytest.mark.parametrize("width", [80, 100])
def test_no_figure_is_cut_at_usual_widths(evaluation: Evaluation, width: int) -> None:
    assert "…" not in printed(evaluation, width)


def test_the_page_shows_the_figures_of_each_recommender(evaluation: Evaluation, page: str) -> None:
    tables = Page(page).tables
    rows = tables["What was offered"][1:]
    for of_one, row in zip(evaluation.scores, rows, strict=True):
        assert row == [
            of_one.name,
            shown(of_one.coverage),
            f"{of_one.gini:.3f}",
            f"{of_one.novelty_bits:.2f}",
            f"{of_one.diversity:.3f}",
        ]


def test_the_page_shows_every_measure_at_every_k_with_its_interval(evaluation: Evaluation, page: str) -> None:
    for keys in ([f"{m}@5" for m in MEASURES], [f"{m}@{k}" for m in ("hr", "mrr") for k in (2, 5)]):
        expected = [
            [of_one.name]
            + [
                f"{shown(mean, places)} | {shown(low, places)} to {shown(high, places)}"
                for (mean, low, high), places in ((of_one.overall[k], places_of(evaluation, k)) for k in keys)
            ]
            for of_one in evaluation.scores
        ]
        n_columns = len(keys) + 1
        found = [
            rows
            for rows in tables_captioned(page, "Percent, with 95% intervals")
            if len(rows[0]) == n_columns
        ]
        assert [rows[1:] for rows in found] == [expected]


def tables_captioned(page: str, caption: str) -> list[list[list[str]]]:
    return [Page(part).tables[caption] for part in re.findall(r"<table>.*?</table>", page) if caption in part]


def test_the_page_shows_differences_slices_curves_and_sources(evaluation: Evaluation, page: str) -> None:
    tables, ours = Page(page).tables, evaluation.scores[0]
    assert tables["markov less the others, percentage points"][1:] == [
        [
            each.b,
            each.measure.upper(),
            f"{100 * each.interval.mean:+.2f}",
            f"{100 * each.interval.low:+.2f} to {100 * each.interval.high:+.2f}",
            " ".join(verdict(each.interval).value),
        ]
        for each in evaluation.differences
    ]
    assert tables["Slices of markov, percent"][1:] == [
        [part.dimension, part.value, f"{part.n:,}", *(shown(part.values[f"{m}@5"]) for m in MEASURES)]
        for part in ours.slices
    ]
    curves = zip(*(of_one.over_time for of_one in evaluation.scores), strict=True)
    assert [row[2:] for row in tables["HR@5, percent; times in UTC"][1:]] == [
        [f"{points[0].n:,}", *(shown(point.values["hr@5"]) for point in points)] for points in curves
    ]
    assert tables["Percent; an item counts for the source that brought it most"][1:] == [
        ["markov", "100.0", "62.5"],
        ["random", "0.0", "37.5"],
    ]


def test_times_are_utc(page: str) -> None:
    # Of the 162 events from number 18 on, all trials, the first is 18 * 7 s after 2023-11-14 22:13:20.
    assert Page(page).tables["HR@5, percent; times in UTC"][1][0] == "2023-11-14 22:15"


def test_plots_tell_their_figures_to_who_cannot_see_them(evaluation: Evaluation, page: str) -> None:
    says = [value for name, value in Page(page).attributes if name == "aria-label" and value]
    assert page.count("<svg") == page.count('role="img"') == 11  # 2 overall, 3 forest, 2 + 2 curves, 2 more
    places = places_of(evaluation, "hr@5")
    mean, low, high = evaluation.scores[1].overall["hr@5"]
    told = f"session reminder {shown(mean, places)}, {shown(low, places)} to {shown(high, places)}"
    assert any(told in text for text in says)


def test_text_in_plots_stays_text_in_the_colours_of_the_page(page: str) -> None:
    plots = "".join(re.findall(r"(?s)<svg.*?</svg>", page))
    assert ">session reminder</text>" in plots
    assert "var(--ink)" in plots
    assert not re.search(r"#0000\d\d", plots)
    used, defined = re.findall(r"var\((--[\w-]+)\)", plots), re.findall(r"(--[\w-]+):", page)
    assert set(used) <= set(defined)


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    seen = Page(page)
    assert not re.search(r"https?:|@import|url\((?!#)", page)
    assert {"script", "link", "img", "iframe"}.isdisjoint(seen.tags)
    assert all((value or "").startswith("#") for name, value in seen.attributes if name in ("href", "src"))
    assert "default-src 'none'" in page


def test_ids_are_unique_and_references_lead_somewhere(page: str) -> None:
    attributes = Page(page).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)


def test_equal_evaluations_give_equal_pages(evaluation: Evaluation, page: str) -> None:
    assert html(evaluation) == page


def test_names_cannot_become_markup(evaluation: Evaluation) -> None:
    first = evaluation.scores[0]
    hostile = replace(
        evaluation,
        log=HOSTILE,
        protocol=HOSTILE,
        settings={HOSTILE: HOSTILE},
        notes=[HOSTILE],
        scores=[
            replace(
                first,
                name=HOSTILE,
                slices=[replace(part, value=HOSTILE, dimension=HOSTILE) for part in first.slices],
                hits_by_source={HOSTILE: 1.0},
            ),
            replace(evaluation.scores[1], name=f"_{HOSTILE}"),
        ],
        differences=[replace(each, a=HOSTILE, b=HOSTILE) for each in evaluation.differences],
    )
    page = html(hostile)
    assert "<script" not in page
    assert "\x1b" not in page
    assert Page(page).headings[0] == f"Evaluation of {HOSTILE[:-5]}\N{REPLACEMENT CHARACTER}[31m"
    text = printed(hostile)
    assert "\x1b" not in text
    assert "[bold]$x$" in text


def test_a_name_that_is_no_unicode_can_be_written(evaluation: Evaluation) -> None:
    html(replace(evaluation, log="caf\udce9.csv")).encode()


def test_one_recommender_has_no_differences() -> None:
    alone = evaluated(Markov(5))
    assert "Differences" not in Page(html(alone)).headings
    assert "percentage points" not in printed(alone)


def test_without_trials_the_way_out_is_told(evaluation: Evaluation) -> None:
    empty = replace(evaluation, n_trials=0, n_users=0, scores=[], differences=[])
    for text in (html(empty), " ".join(printed(empty).split())):
        assert "Nothing was tried" in text
        assert "--from 0" in text
    assert "--mapping" in html(replace(empty, from_share=0.0))
    assert "<svg" not in html(empty)


def test_of_one_k_there_is_no_curve() -> None:
    page = html(evaluated(Markov(5), Reminder(5), ks=(5,)))
    assert "Only k = 5 was asked for" in page
    assert 'id="ks-hr' not in page


def test_a_recommender_without_sources_says_so() -> None:
    assert "markov does not tell its sources" in html(evaluated(Markov(5)))


@pytest.mark.parametrize("time_ms", [-(10**15), 0, 10**16])
def test_wrong_times_do_not_cost_the_report(evaluation: Evaluation, time_ms: int) -> None:
    wrong = [
        replace(of_one, over_time=[replace(p, from_ms=time_ms, to_ms=time_ms) for p in of_one.over_time])
        for of_one in evaluation.scores
    ]
    assert "time, UTC" in html(replace(evaluation, scores=wrong))


def test_a_verdict_is_open_where_the_interval_includes_zero() -> None:
    assert verdict(Interval(0.02, 0.01, 0.03)) is Verdict.BETTER
    assert verdict(Interval(0.02, 0.0, 0.04)) is Verdict.OPEN
    assert verdict(Interval(-0.02, -0.03, -0.01)) is Verdict.WORSE


def test_remarks_say_plainly_where_another_wins(evaluation: Evaluation) -> None:
    mixed = replace(
        evaluation,
        differences=[
            Difference("markov", "session reminder", "hr@5", Interval(0.1, 0.05, 0.15)),
            Difference("markov", "session reminder", "mrr@5", Interval(-0.02, -0.03, -0.01)),
            Difference("markov", "session reminder", "ndcg@5", Interval(0.0, -0.01, 0.01)),
        ],
    )
    assert list(remarks(mixed)) == [
        "session reminder wins against markov on MRR@5 by 2.00 points (1.00 to 3.00).",
        "session reminder and markov are not told apart on NDCG@5.",
    ]
    better = replace(mixed, differences=mixed.differences[:1])
    assert list(remarks(better)) == ["Nothing wins against markov on any of these measures."]


def test_only_a_page_loads_the_plotting_library() -> None:
    code = "import sys, streams.evaluation_report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
