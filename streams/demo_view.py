"""How the demo looks: a live view on a terminal, plain lines elsewhere, and the table at the end.

It shows figures and computes none.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.outputs import ReasonCode
from streams.demo_figures import Figures

REFRESH_S: Final = 0.25
PLAIN_S: Final = 5.0
N_SHOWN: Final = 6
HIT_BAR: Final = 28
WORDS: Final = {
    "session_knn": "in sessions like this one",
    "covisitation": "viewed together with",
    "content": "like what was viewed",
    "search": "fits the search",
    "trending": "trending now",
    "cold_start": "liked by newcomers like this one",
}
"""How a reason is told; a source that is not named here tells its own name."""


class Moment(NamedTuple):
    """Where the run stands."""

    what: str
    elapsed_s: float
    total_s: float
    now_s: float


class View(Protocol):
    """Where the demo shows itself."""

    def status(self, text: str) -> None:
        """Tell what is being waited for."""

    def show(self, figures: Figures, moment: Moment) -> None:
        """Show the figures, if it is time to."""


@contextmanager
def view(console: Console) -> Iterator[View]:
    """The live view where there is a terminal, plain lines where there is none."""
    if not console.is_terminal:
        yield PlainView(lambda line: print(line, file=console.file, flush=True))
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveView(live)


class PlainView:
    """A line every few seconds, without colour."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._said = ""
        self._next_s = 0.0

    def status(self, text: str) -> None:
        """One line for each new text."""
        if text != self._said:
            self._tell(text)
            self._said = text

    def show(self, figures: Figures, moment: Moment) -> None:
        """One line every ``PLAIN_S``."""
        if moment.now_s >= self._next_s:
            self._next_s = moment.now_s + PLAIN_S
            self._tell(plain_line(figures, moment))


class LiveView:
    """A screen that is drawn anew a few times a second."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._next_s = 0.0

    def status(self, text: str) -> None:
        """The text alone."""
        self._live.update(Text(text, style="dim"), refresh=True)

    def show(self, figures: Figures, moment: Moment) -> None:
        """The whole screen, every ``REFRESH_S``."""
        if moment.now_s >= self._next_s:
            self._next_s = moment.now_s + REFRESH_S
            self._live.update(screen(figures, moment), refresh=True)


def plain_line(figures: Figures, moment: Moment) -> str:
    """The figures on one line."""
    rates, latency = figures.scores.rates(), figures.latency()
    parts = [
        f"{moment.elapsed_s:3.0f} s",
        f"{figures.events.n:,} events",
        f"{figures.slates.n:,} slates",
        "latency -"
        if latency is None
        else f"latency p50 {latency.p50_ms:.0f} ms p99 {latency.p99_ms:.0f} ms",
        f"behind {figures.behind:,}",
        f"hit@{figures.k} {percent(rates.ours)}",
        f"popular {percent(rates.popular)}",
        f"oracle {percent(rates.oracle)}",
        f"clicked {percent(figures.click_rate())}",
        f"dead letters {figures.n_dead_letters:,}",
    ]
    return "  ".join(parts)


def screen(figures: Figures, moment: Moment) -> RenderableType:
    """The whole live view."""
    top = Table.grid(expand=True)
    top.add_column(ratio=4)
    top.add_column(ratio=5)
    top.add_row(
        Panel(_stream(figures, moment), title="stream", title_align="left"),
        Panel(_hits(figures), title=f"is the next item in the slate of {figures.k}?", title_align="left"),
    )
    return Group(
        Text(f"Rillet demo: {moment.what}", style="bold"),
        top,
        Panel(_newest(figures), title="newest recommendations", title_align="left"),
        Panel(_quality(figures), title="data quality", title_align="left"),
        _progress(moment),
    )


def summary(figures: Figures, moment: Moment) -> RenderableType:
    """The table at the end."""
    rates, new, latency = figures.scores.rates(), figures.scores.rates_of_new(), figures.latency()
    table = Table(title=f"Rillet demo: {moment.what}", title_justify="left", show_header=False)
    rows = [
        ("events in", f"{figures.events.n:,} in {moment.elapsed_s:.0f} s"),
        ("slates out", f"{figures.slates.n:,}"),
        (
            "event to slate",
            "-" if latency is None else f"p50 {latency.p50_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms",
        ),
        (
            f"hit rate at {figures.k}",
            f"of {rates.n_looks:,} looks; of {new.n_looks:,} at items new to the user",
        ),
        ("  Rillet", f"{percent(rates.ours):>6}; {percent(new.ours):>6}"),
        ("  most popular", f"{percent(rates.popular):>6}; {percent(new.popular):>6}"),
        ("  oracle", f"{percent(rates.oracle):>6}; {percent(new.oracle):>6}"),
        ("recommendations clicked", f"{percent(figures.click_rate())} of {figures.n_impressions:,} read"),
        ("dead letters", f"{figures.n_dead_letters:,}{_reasons(figures)}"),
    ]
    for name, value in rows:
        table.add_row(name, value)
    return table


def percent(share: float | None) -> str:
    """``12.3%``, or a dash where nothing was counted."""
    return "-" if share is None else f"{share:.1%}"


def _stream(figures: Figures, moment: Moment) -> RenderableType:
    latency = figures.latency()
    grid = Table.grid(padding=(0, 2))
    grid.add_row("events in", f"{figures.events.n:,}", f"{figures.events.per_s(moment.now_s):,.0f}/s")
    grid.add_row("slates out", f"{figures.slates.n:,}", f"{figures.slates.per_s(moment.now_s):,.0f}/s")
    if latency is not None:
        grid.add_row("event to slate", f"p50 {latency.p50_ms:.1f} ms", f"p99 {latency.p99_ms:.1f} ms")
    grid.add_row("not yet taken", f"{figures.behind:,}", "events")
    grid.add_row("slates clicked", percent(figures.click_rate()), f"of {figures.n_impressions:,} read")
    return grid


def _hits(figures: Figures) -> RenderableType:
    rates, new = figures.scores.rates(), figures.scores.rates_of_new()
    grid = Table.grid(padding=(0, 1))
    grid.add_row("", Text("all", style="dim"), Text("new", style="dim"))
    for name, share, of_new, style in (
        ("Rillet", rates.ours, new.ours, "green"),
        ("most popular", rates.popular, new.popular, "yellow"),
        ("oracle", rates.oracle, new.oracle, "cyan"),
    ):
        bar = Text("█" * round(HIT_BAR * (share or 0.0)), style=style)
        grid.add_row(name, f"{percent(share):>6}", Text(f"{percent(of_new):>6}", style="dim"), bar)
    note = f"{rates.n_looks:,} looks, {new.n_looks:,} at items new to the user"
    return Group(grid, Text(note, style="dim"))


def _newest(figures: Figures) -> RenderableType:
    slate = figures.newest
    if slate is None:
        return Text("none yet", style="dim")
    seen = figures.last_look.get(slate.user_id)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=38, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for item in slate.items[:N_SHOWN]:
        why = because(figures, item.reasons[0]) if item.reasons else ""
        grid.add_row(figures.title(item.item_id), Text(why, style="dim"))
    after = f", who just looked at {figures.title(seen)}" if seen else ""
    return Group(Text(f"for {slate.user_id}{after}", style="bold"), grid)


def because(figures: Figures, reason: ReasonCode) -> str:
    """A reason in words."""
    words = WORDS.get(reason.source, reason.source.replace("_", " "))
    return f"{words}: {figures.title(reason.because)}" if reason.because else words


def _quality(figures: Figures) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for source, report in sorted(figures.quality.items()):
        scores = report.scores
        grid.add_row(
            source,
            f"valid {percent(scores.validity)}",
            f"complete {percent(scores.completeness)}",
            f"timely {percent(scores.timeliness)}",
            f"score {'-' if scores.overall is None else f'{scores.overall:.3f}'}",
        )
    if not figures.quality:
        grid.add_row(Text("the first window is still open", style="dim"))
    return Group(grid, Text(f"dead letters {figures.n_dead_letters:,}{_reasons(figures)}"))


def _reasons(figures: Figures) -> str:
    told = ", ".join(f"{reason} {n:,}" for reason, n in figures.reasons.most_common(4))
    return f" ({told})" if told else ""


def _progress(moment: Moment) -> RenderableType:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right")
    bar = ProgressBar(total=moment.total_s, completed=min(moment.elapsed_s, moment.total_s))
    grid.add_row(bar, f"{moment.elapsed_s:.0f} of {moment.total_s:.0f} s, Ctrl-C ends")
    return grid


def console(*, as_json: bool) -> Console:
    """Where the view goes: beside the output when that is for programs."""
    return Console(file=sys.stderr if as_json else sys.stdout)
