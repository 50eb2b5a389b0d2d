"""An explanation on a screen: the slate with its reasons, or all of one item."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.explain import Contribution, ExplainedItem, Explanation
from streams.commands.dead_letter import printable
from streams.explain.words import because, figure, missing, why

BAR: Final = 12
"""Columns of the longest bar."""

LEGEND: Final = (
    "Figures in brackets: what each adds to the raw score, against the mean candidate of this user."
)


def slate(told: Explanation) -> RenderableType:
    """The slate, and the other candidates where they were asked for."""
    parts: list[RenderableType] = [_head(told)]
    parts.append(_slate_table(told.items, "slate") if told.items else _text("The slate is empty."))
    if told.others:
        parts.append(_slate_table(told.others, "beyond the slate"))
    return Group(*parts, _text(LEGEND))


def item(told: Explanation, asked: ExplainedItem) -> RenderableType:
    """One item: its places, what the sources say, every contribution."""
    parts: list[RenderableType] = [_head(told), _text(f"\n{asked.item_id}: {_standing(told, asked)}")]
    if asked.sources:
        parts.append(_sources(asked))
    if asked.raw_score is not None:
        parts += [_contributions(asked), *map(_text, _sums(told, asked))]
    return Group(*parts)


def _head(told: Explanation) -> Text:
    moment = datetime.fromtimestamp(told.time_ms / 1000, UTC).isoformat(" ", "seconds")[:19]
    cold = ", cold start" if told.cold_start else ""
    return _text(
        f"{told.user_id}: {len(told.items)} of {told.n_candidates} candidates, after {told.slate_id or 'no event'} of "
        f"{moment}, by {told.model_version}{cold}"
    )


def _slate_table(items: Sequence[ExplainedItem], title: str) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in ("place", "by score", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("item", overflow="fold")
    table.add_column("why", overflow="fold", ratio=1)
    for each in items:
        reasons = why(each) or "-"
        absent = "".join(f"; not there: {missing(reason)}" for reason in each.absent)
        table.add_row(
            _number(each.place),
            _number(each.rank),
            f"{each.score:.3f}",
            _text(each.item_id),
            _text(reasons + absent),
        )
    return table


def _standing(told: Explanation, asked: ExplainedItem) -> str:
    if asked.place is None:
        last = (
            f" The slate has {told.n_places} places; this item is {asked.rank} by score."
            if asked.rank
            else ""
        )
        return f"not in the slate: {'; '.join(map(missing, asked.absent))}.{last}"
    places = f"{asked.rank} by score, {_number(asked.greedy_place)} after diversity"
    moved = f"place {asked.place} of {len(told.items)}, {places}"
    if asked.explored:
        return f"{moved}; there to be tried out, propensity {asked.propensity:.3g}"
    chance = f"; propensity {asked.propensity:.3g}" if asked.propensity and asked.propensity < 1.0 else ""
    return moved + chance


def _sources(asked: ExplainedItem) -> Table:
    table = Table(box=SIMPLE_HEAD, title="sources that name it", title_justify="left", pad_edge=False)
    table.add_column("source")
    for column in ("place", "score", "of best", "adds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold", ratio=1)
    for says in asked.sources:
        adds = "-" if says.contribution is None else figure(says.contribution)
        reason = because(says).removeprefix(" ")
        table.add_row(
            says.source, str(says.place), f"{says.score:.3g}", f"{says.share:.0%}", adds, _text(reason or "-")
        )
    return table


def _contributions(asked: ExplainedItem) -> Table:
    """Those that add nothing are left to the sum below."""
    table = Table(
        box=SIMPLE_HEAD, title="contributions to the raw score", title_justify="left", pad_edge=False
    )
    table.add_column("feature", no_wrap=True)
    for column in ("value", "weight", "adds", "over mean"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    shown = [each for each in asked.contributions if each.contribution]
    longest = max((abs(each.contribution) for each in shown), default=0.0)
    for each in shown:
        numbers = (each.value, each.weight, each.contribution, each.above_mean)
        table.add_row(_text(each.feature), *(f"{number:.4f}" for number in numbers), _bar(each, longest))
    return table


def _bar(each: Contribution, longest: float) -> Text:
    width = round(BAR * abs(each.contribution) / longest) if longest else 0
    return Text("█" * width, style="green") if each.contribution > 0.0 else Text("░" * width, style="red")


def _sums(told: Explanation, asked: ExplainedItem) -> Iterator[str]:
    groups = sorted(asked.groups.items(), key=lambda each: -abs(each[1]))
    yield "sum by group: " + ", ".join(f"{name} {figure(value)}" for name, value in groups if value)
    absent = [each.above_mean for each in asked.contributions if not each.contribution]
    if absent:
        yield f"{len(absent)} features add nothing here, which is {figure(sum(absent))} against the mean candidate"
    yield f"raw score {asked.raw_score:.6f} (mean candidate {told.mean_raw_score:.6f}), score {asked.full_score:.6f}"
    if asked.demotion is not None:
        yield (
            f"demoted to {asked.score:.6f} (times {asked.demotion.factor:.3f}): {asked.demotion.nearness:.0%} like "
            f"{asked.demotion.item_id}, which was dismissed"
        )


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _text(text: str) -> Text:
    """No markup, and nothing that steers the terminal: ids are whatever the shop sent."""
    return Text(printable(text))
