"""The page: an overview, then value, quality, alerts and inventory. The only script sorts the table of assets."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Final

from models.value.weaker import Marginal
from streams.evaluation_report.markup import Html, join, tag
from streams.inventory import page as of_inventory
from streams.inventory import words
from streams.report import quality, value
from streams.report.gathered import Gathered, Scored, time_of
from streams.report.parts import anchor, hidden, pairs, tiles

MEANINGS: Final = (
    ("value", "Shapley's share of what all together add to the ranking, of lists whose outcome is known"),
    ("lost without", "what the figure loses where this one alone is left out of the ranking"),
    (
        "a second, a GiB",
        "the share of the gain, summed over all slates, for each second and GiB that the source took",
    ),
    ("drift", "how far the values of a field are from what they were: the check and its limit"),
    *of_inventory.MEANINGS,
)


def page(found: Gathered, marginals: Sequence[Marginal] = ()) -> str:
    """From the doctype to the end; ``marginals`` are what a log told of freshness and volume."""
    title = f"Data of {found.inventory.servers}"
    parts = [
        *value.sections(found, marginals),
        *quality.sections(found),
        *of_inventory.sections(found.inventory),
    ]
    head = join(
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{of_inventory.POLICY}">'),
        tag("title", title),
        tag("style", Html(_style())),
    )
    body = join(
        tag(
            "header",
            tag("h1", title),
            tag("p", f"Seen {time_of(found.inventory.time_ms)} UTC"),
            _overview(found),
        ),
        tag("nav", tag("ul", *_contents(parts)), aria_label="Contents"),
        tag("main", *parts, *_notes(found.notes)),
        tag("footer", hidden("What the figures mean", pairs(MEANINGS))),
        tag("script", Html(of_inventory.SCRIPT)),
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _style() -> str:
    packages = ("streams.evaluation_report", "streams.inventory", __package__)
    return "".join(files(each).joinpath("page.css").read_text(encoding="utf-8") for each in packages)


def _overview(found: Gathered) -> Html:
    return tiles(_tiles(found))


def _tiles(found: Gathered) -> Iterator[tuple[str, str, str]]:
    inventory = found.inventory
    yield "assets", str(len(inventory.assets)), f"{len(inventory.unknown)} not in the catalogue"
    yield (
        "records",
        words.number(sum(each.n_records for each in inventory.assets)),
        words.count(inventory.assets),
    )
    if found.scored:
        newest = _newest_quality(found.scored)
        if newest:
            lowest = min(newest, key=newest.__getitem__)
            yield "lowest quality", f"{newest[lowest]:.1%}", lowest
    if found.checks:
        counts, named = quality.worst(found)
        yield "checks", counts, named
    if source := found.values.get("source"):
        best = max((e for e in source.values if e.metric == "ndcg"), key=lambda e: e.value, default=None)
        if best:
            yield "worth most", best.player, f"{best.value:+.4f} of NDCG {source.all_in.get('ndcg', 0.0):.4f}"


def _newest_quality(scored: Sequence[Scored]) -> dict[str, float]:
    """Overall score of each source in its newest window, over its partitions by their events."""
    judged = [each for each in scored if "overall" in each.scores and each.n_events]
    newest_ms = {each.source: each.end_ms for each in judged}
    of: defaultdict[str, list[Scored]] = defaultdict(list)
    for each in judged:
        if each.end_ms == newest_ms[each.source]:
            of[each.source].append(each)
    return {
        source: sum(each.scores["overall"] * each.n_events for each in parts)
        / sum(each.n_events for each in parts)
        for source, parts in of.items()
    }


def _contents(parts: Sequence[Html]) -> Iterator[Html]:
    for part in parts:
        if '<h2 id="' in part:
            title = part.partition("</h2>")[0].rpartition(">")[2]
            yield tag("li", tag("a", Html(title), href=f"#{anchor(title)}"))


def _notes(notes: Sequence[str]) -> Iterator[Html]:
    if notes:
        yield tag(
            "section", tag("h2", "Not read", id="not-read"), tag("ul", *(tag("li", note) for note in notes))
        )
