"""An off-policy evaluation on a terminal: estimates, support, and what to know before believing them."""

from collections.abc import Iterable, Iterator
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from models.evaluate.intervals import Interval
from models.ope.result import LOGGED, Estimate, OffPolicyEvaluation, PolicyValue
from streams.evaluation_report.words import Verdict, printable, verdict

PER: Final = 1_000
"""Rewards are told for so many rounds."""
STYLES: Final = {Verdict.BETTER: "green", Verdict.OPEN: "dim", Verdict.WORSE: "red"}


def table(result: OffPolicyEvaluation) -> RenderableType:
    """All of it."""
    parts: list[RenderableType] = [_head(result), _estimates(result), _support(result)]
    told = [f"{each.policy}: {warning}" for each in result.policies for warning in each.warnings]
    parts += [_lines("mind", told, "yellow")] if told else []
    parts += [_lines("notes", result.notes, "")] if result.notes else []
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))


def _head(result: OffPolicyEvaluation) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for name, value in facts(result):
        grid.add_row(Text(name, style="dim"), Text(printable(value), overflow="fold"))
    return grid


def facts(result: OffPolicyEvaluation) -> Iterator[tuple[str, str]]:
    """Name and value."""
    yield "log", result.log
    yield (
        "rounds",
        f"{result.n_rounds:,} judged by {result.n_units:,} units, {result.n_train:,} before them learned",
    )
    yield "arms", f"{result.n_arms:,}; {result.n_other:,} rounds showed other items"
    yield "reward", ", ".join(f"{kind} {worth:g}" for kind, worth in result.rewards.items())
    yield "clipping", "none" if result.clip is None else f"weights above {result.clip:g}"
    yield "earned", f"{_spread(result.on_policy)} for {PER:,} rounds, by the policy that ran"


def _estimates(result: OffPolicyEvaluation) -> Table:
    out = _table(f"estimated reward for {PER:,} rounds, with 95% intervals", "policy")
    out.add_column("estimator", no_wrap=True)
    for name in ("reward", "interval", "over the logged"):
        out.add_column(name, justify="right", no_wrap=True)
    out.add_column("verdict", no_wrap=True)
    for policy in result.policies:
        for n, estimate in enumerate(policy.estimates):
            first = Text("" if n else printable(policy.policy))
            out.add_row(first, estimate.estimator, *_figures(policy, estimate), _verdict(policy, estimate))
    return out


def _figures(policy: PolicyValue, estimate: Estimate) -> tuple[str, str, str]:
    if estimate.value is None:
        return "-", "-", "-"
    gain = estimate.gain if policy.policy != LOGGED else None
    return (
        _figure(estimate.value.mean),
        _between(estimate.value, ""),
        _between(gain, "+") if gain else "-",
    )


def _verdict(policy: PolicyValue, estimate: Estimate) -> Text:
    """A gain that weights being off their mean of 1 may account for is open."""
    if policy.policy == LOGGED or estimate.gain is None or estimate.value is None:
        return Text("")
    if estimate.estimator == "dm":
        return Text("a guess", style="dim")
    if policy.thin:
        return Text("! thin", style="yellow")
    slack = abs(1.0 - policy.support.mean_weight.mean) * abs(estimate.value.mean)
    decides = min(abs(estimate.gain.low), abs(estimate.gain.high)) > slack
    found = verdict(estimate.gain) if decides else Verdict.OPEN
    return Text(f"{found.mark} {found.word}", style=STYLES[found])


def _support(result: OffPolicyEvaluation) -> Table:
    out = _table("support: what the log can say of a policy", "policy")
    for name in ("effective rounds", "of any weight", "rewarded", "mean weight", "largest"):
        out.add_column(name, justify="right", no_wrap=True)
    for policy in result.policies:
        found = policy.support
        out.add_row(
            Text(printable(policy.policy)),
            f"{found.effective_rounds:,.0f}",
            f"{found.n_matched:,}",
            f"{found.n_rewarded:,}",
            f"{found.mean_weight.mean:.2f} ({found.mean_weight.low:.2f} to {found.mean_weight.high:.2f})",
            f"{found.max_weight:,.1f}",
        )
    return out


def _figure(reward: float, sign: str = "") -> str:
    return f"{PER * reward:{sign}.2f}"


def _between(interval: Interval, sign: str) -> str:
    return f"{_figure(interval.low, sign)} to {_figure(interval.high, sign)}"


def _spread(interval: Interval) -> str:
    return f"{_figure(interval.mean)} ({_between(interval, '')})"


def _table(title: str, first: str) -> Table:
    out = Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False
    )
    out.add_column(first, overflow="fold")
    return out


def _lines(title: str, lines: Iterable[str], style: str) -> RenderableType:
    return Group(Text(title, style="bold"), *(Text(f"- {printable(line)}", style=style) for line in lines))
