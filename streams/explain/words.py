"""What the figures of an explanation mean, in words. Every phrase stands for one feature, source or event."""

from collections.abc import Iterator
from typing import Final

from schemas.explain import Absence, Contribution, ExplainedItem, OwnEvent, Says, Taste

MAX_SOURCES: Final = 2
MAX_FEATURES: Final = 3
LEAST: Final = 0.005
"""A figure that is shown as 0.00 is no reason."""

PHRASES: Final = {
    "agreement": ("named by many sources", "named by few sources"),
    "popularity": ("popular", "less popular than others"),
    "popularity_now": ("popular now", "less popular now than others"),
    "trend": ("rising", "not rising"),
    "age": ("new", "not new"),
    "rebought": ("often bought again", "seldom bought again"),
    "discount": ("reduced in price", "not reduced in price"),
    "category": ("of a category you like", "not of your favourite categories"),
    "brand": ("of a brand you like", "not of your favourite brands"),
    "price_gap": ("price far from yours", "price close to yours"),
    "price_above": ("dearer than what you look at", "no dearer than what you look at"),
    "same_category": ("of your last item's category", "of another category than your last item"),
    "same_brand": ("of your last item's brand", "of another brand than your last item"),
    "price_step": ("price unlike your last item's", "price like your last item's"),
    "in_session": ("seen a moment ago", "not seen a moment ago"),
    "current": ("what you look at just now", "not what you look at just now"),
    "again": ("in this session already", "not in this session yet"),
    "again_late": ("in this long session already", "not in this long session yet"),
    "in_history": ("seen before", "not seen before"),
    "history_age": ("seen of late", "not seen of late"),
    "history_times": ("seen often", "not seen often"),
    "embedded": ("close to what you do", "far from what you do"),
    "purchase": ("likely to be bought", "seldom bought by people like you"),
    "dwell": ("something to look at for long", "something looked at briefly"),
    "near_dismissed": ("like what you dismissed", "unlike what you dismissed"),
}
"""By feature: what is said where it is above the mean of the candidates, and where it is below."""

DONE: Final = {
    "view": "you viewed {}",
    "click": "you clicked {}",
    "cart": "you put {} into the cart",
    "wishlist": "you put {} on the wishlist",
    "purchase": "you bought {}",
    "rating": "you rated {}",
    "dwell": "you spent time on {}",
    "dismiss": "you dismissed {}",
    "search": "you searched for “{}”",
}
"""By kind of event."""


def why(item: ExplainedItem) -> str:
    """The top reasons of an item of a slate. Figures are what each adds to ``w·x`` against the mean candidate."""
    return "; ".join(_reasons(item))


def figure(value: float) -> str:
    """With its sign."""
    return f"{value:+.2f}"


def done(event: OwnEvent) -> str:
    """As in "you viewed sku-12 3 min ago, for 40 s"."""
    dwell = f", for {event.dwell_ms / 1000:.0f} s" if event.dwell_ms else ""
    return f"{DONE.get(event.kind, event.kind + ' {}').format(event.what)} {ago(event.age_s)}{dwell}"


def ago(age_s: float) -> str:
    """In the largest unit of which there are at least two, or nearly so."""
    for unit_s, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if age_s >= 1.5 * unit_s:
            return f"{age_s / unit_s:.0f} {unit} ago"
    return f"{age_s:.0f} s ago"


def because(says: Says) -> str:
    """What of the user's made a source name the item; empty where nothing did."""
    if says.event is not None:
        return f" because {done(says.event)}"
    if says.because is not None:
        return f" because of {says.because}"
    return f" because of {', '.join(map(_taste, says.tastes))}" if says.tastes else ""


def missing(absence: Absence) -> str:
    """Why an item is not there."""
    of = f": {absence.item_id}" if absence.item_id is not None else ""
    when = f" ({done(absence.event)})" if absence.event is not None else ""
    return f"{absence.detail}{of}{when}"


def _reasons(item: ExplainedItem) -> Iterator[str]:
    for n, says in enumerate(item.sources[:MAX_SOURCES]):
        added = "" if says.above_mean is None else f" ({figure(says.above_mean)})"
        yield f"{'' if n else 'brought by '}{says.source}{because(says)}{added}"
    features = [each for each in item.contributions if each.feature in PHRASES]
    strongest = sorted(features, key=lambda each: -abs(each.above_mean))
    for each in strongest[:MAX_FEATURES]:
        if abs(each.above_mean) >= LEAST:
            yield f"{_phrase(each)} ({figure(each.above_mean)})"
    yield from _beside(item)


def _beside(item: ExplainedItem) -> Iterator[str]:
    """What happened after scoring."""
    if item.demotion is not None:
        like = (
            f"like {item.demotion.item_id}, which you dismissed"
            if item.demotion.item_id
            else "like one dismissed"
        )
        yield f"{like} (times {item.demotion.factor:.2f})"
    if item.explored:
        yield f"exploration, propensity {item.propensity:.2g}"
    elif item.rank is not None and item.greedy_place is not None and item.rank > item.greedy_place:
        yield f"up from {item.rank} by diversity"


def _phrase(each: Contribution) -> str:
    return PHRASES[each.feature][each.above_mean * each.weight < 0.0]


def _taste(taste: Taste) -> str:
    affinity = f" {taste.weight:.2f}" if taste.weight is not None else ""
    return f"{taste.kind} {taste.name}{affinity}"
