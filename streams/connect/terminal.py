"""What a look at a topic found, as text."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from streams.connect.look import Example, Looked
from streams.evaluation_report.words import printable

MAX_CHARACTERS = 400


def lines(looked: Looked) -> Iterator[str]:
    """For a terminal or a pipe."""
    yield f"{looked.topic}: {_counts(looked.families) or 'nothing that can be read'}"
    if looked.unreadable:
        yield f"not readable: {_counts(looked.unreadable)}"
    if looked.mapping is None:
        yield "nothing in it becomes an event by any preset or guess: write a mapping (docs/connect.md)"
        return
    yield f"mapping: {looked.name}"
    yield f"of {looked.n_records:,} sampled records: {_counts(looked.outcome)}"
    yield f"they become: {_counts(looked.events) or 'nothing'}"
    if looked.unmapped:
        yield f"kinds without a meaning, left out: {_counts(looked.unmapped)}"
    for column, kind in looked.personal.items():
        yield f"personal data: {column} holds {kind}, which would be copied; name another column"
    for example in looked.examples:
        yield ""
        yield from _example(example)


def _example(example: Example) -> Iterator[str]:
    yield f"record {example.coordinates}"
    for row in example.read[:2]:
        yield f"  read     {_json(row)}"
    if len(example.read) > 2:
        yield f"           and {len(example.read) - 2} more rows"
    for topic, event in example.becomes[:3]:
        yield f"  becomes  {topic} {_json(event)}"
    if len(example.becomes) > 3:
        yield f"           and {len(example.becomes) - 3} more"
    if example.refused:
        yield f"  refused  {printable(example.refused)}"


def _json(value: object) -> str:
    text = printable(msgspec.json.encode(value).decode())
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{printable(name)} {n:,}" for name, n in counts.most_common(8))
