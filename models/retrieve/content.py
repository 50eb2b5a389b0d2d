"""Items of the categories, brands and price band a user looks at, and items whose text has the tokens they
asked for.

It goes by attributes and popularity alone: who looked at what together is not its concern.
"""

from typing import NamedTuple, cast

import numpy as np

from models.kinds import WEIGHT_OF_CODE
from models.knowledge.attributes import Attributes
from models.retrieve.compiled import compiled, held_bytes, packed
from models.retrieve.contract import F32, F64, I32, Candidates, Interactions, Queries
from models.retrieve.leaderboards import (
    LN2,
    Leaderboards,
    Scratch,
    add,
    clear,
    clear_rows,
    drop_items,
    empty_leaderboards,
    empty_scratch,
    share_out,
)
from models.retrieve.postings import Postings, drop_tokens, empty_postings, match, post, withdraw_all
from models.retrieve.settings import ContentSettings
from models.retrieve.top_k import empty_lists, marked, top_k

_MAX_EXPONENT = 40.0


class Popularity(NamedTuple):
    """Decayed interactions of each item, as of a landmark."""

    counts: F32
    """(I,)"""
    landmark_s: F64
    """(1,) 0 before the first interaction."""


class Text(NamedTuple):
    """Working memory of matching by tokens, left as it was found."""

    coverage: F32
    """(I,) 0"""
    matched: I32
    """(I,)"""


class Knobs(NamedTuple):
    """What the kernel needs of the settings."""

    n_categories: int
    rate: float
    brand_share: float
    text_share: float
    smoothing: float
    price_band: float


@compiled
def learn(
    b: Leaderboards,
    popularity: Popularity,
    item: I32,
    weight: F32,
    time_s: F64,
    category: I32,
    brand: I32,
    knobs: Knobs,
) -> None:
    """Count n interactions for their items, and within the items' categories and brands."""
    for r in range(item.shape[0]):
        i = item[r]
        if i < 0 or i >= popularity.counts.shape[0]:
            continue
        exponent = (time_s[r] - popularity.landmark_s[0]) * knobs.rate
        if exponent > _MAX_EXPONENT:
            popularity.counts[:] *= np.float32(np.exp(-exponent))
            popularity.landmark_s[0] = time_s[r]
            exponent = 0.0
        popularity.counts[i] += weight[r] * np.exp(exponent)
        if 0 <= category[i] < knobs.n_categories:
            add(b, category[i], i, weight[r], time_s[r], knobs.rate)
        if 0 <= brand[i] < b.totals.shape[0] - knobs.n_categories:
            add(b, knobs.n_categories + brand[i], i, weight[r], time_s[r], knobs.rate)


@compiled
def introduce(b: Leaderboards, row: int, item: int, weight: float, time_s: float, rate: float) -> None:
    """Count ``item`` in ``row`` if it is not there and there is room."""
    free = False
    for j in range(b.items.shape[1]):
        if b.items[row, j] == item:
            return
        free = free or b.items[row, j] < 0
    if free:
        add(b, row, item, weight, time_s, rate)


@compiled
def share_row(
    b: Leaderboards, t: Scratch, row: int, weight: float, now_s: float, knobs: Knobs, n_touched: int
) -> int:
    """Share ``weight`` out among the items of a row that has any."""
    if b.totals[row] <= 0.0 or weight <= 0.0:
        return n_touched
    smooth = (
        knobs.smoothing * np.exp((now_s - b.landmark_s[row]) * knobs.rate) if knobs.smoothing > 0.0 else 0.0
    )
    return share_out(b, t, row, -1, weight, smooth, n_touched)


@compiled
def share_text(
    p: Postings,
    popularity: Popularity,
    t: Scratch,
    x: Text,
    tokens: I32,
    weights: F32,
    now_s: float,
    knobs: Knobs,
) -> int:
    """Share ``text_share`` out among the items that have some of the tokens."""
    n_matched, total = match(p, tokens, weights, x.coverage, x.matched)
    shrink = np.float32(np.exp((popularity.landmark_s[0] - now_s) * knobs.rate))
    one = np.float32(1.0)
    whole = np.float32(0.0)
    for j in range(n_matched):
        item = x.matched[j]
        covered = x.coverage[item] * np.float32(one / total)
        x.coverage[item] = covered * covered * (one + np.log(one + popularity.counts[item] * shrink))
        whole += x.coverage[item]
    unit = np.float32(knobs.text_share / whole)
    for j in range(n_matched):
        item = x.matched[j]
        t.score[item] = unit * x.coverage[item]
        t.touched[j] = item
        x.coverage[item] = 0.0
    return n_matched


@compiled
def retrieve(
    b: Leaderboards,
    p: Postings,
    popularity: Popularity,
    t: Scratch,
    x: Text,
    knobs: Knobs,
    item_log_price: F32,
    now_s: F64,
    category: I32,
    category_weight: F32,
    brand: I32,
    brand_weight: F32,
    log_price: F32,
    term: I32,
    term_weight: F32,
    out: I32,
    out_score: F32,
) -> None:
    """Candidates (N, K) of N users, one after another."""
    n_brands = b.totals.shape[0] - knobs.n_categories
    narrowness, one = np.float32(1.0 / knobs.price_band), np.float32(1.0)
    for r in range(now_s.shape[0]):
        n = share_text(p, popularity, t, x, term[r], term_weight[r], now_s[r], knobs)
        for c in range(category.shape[1]):
            if 0 <= category[r, c] < knobs.n_categories:
                weight = category_weight[r, c] * (1.0 - knobs.brand_share)
                n = share_row(b, t, category[r, c], weight, now_s[r], knobs, n)
        for c in range(brand.shape[1]):
            if 0 <= brand[r, c] < n_brands:
                weight = brand_weight[r, c] * knobs.brand_share
                n = share_row(b, t, knobs.n_categories + brand[r, c], weight, now_s[r], knobs, n)
        if not np.isnan(log_price[r]):
            for j in range(n):
                away = (item_log_price[t.touched[j]] - log_price[r]) * narrowness
                if not np.isnan(away):
                    t.score[t.touched[j]] /= one + away * away
        top_k(t.score, t.touched, n, out[r], out_score[r])
        clear(t, n)


class Content:
    """score(i) = (category part + brand part + text part) / (1 + ((p_i - p_u) / price_band)^2).

    The category part is the sum over the user's categories of affinity times the item's share of the
    category's interactions, decayed; the brand part likewise. The text part shares ``text_share`` out among
    the items that have some of the user's query tokens, by (covered share of the tokens' idf)^2 * (1 + log(1
    + popularity)). p are log(1 + price); an unknown price changes nothing.
    """

    name = "content"

    def __init__(
        self,
        settings: ContentSettings,
        attributes: Attributes,
        n_items: int,
        n_categories: int,
        n_brands: int,
        n_terms: int,
    ) -> None:
        self._settings = settings
        self._attributes = attributes
        self._knobs = Knobs(
            n_categories,
            LN2 / settings.half_life_s,
            settings.brand_share,
            settings.text_share,
            settings.smoothing,
            settings.price_band,
        )
        self._boards = empty_leaderboards(n_categories + n_brands, settings.row_items)
        self._postings = empty_postings(n_terms, settings.posted_items, n_items, settings.item_terms)
        self._popularity = Popularity(np.zeros(n_items, np.float32), np.zeros(1))
        self._scratch = empty_scratch(n_items)
        self._text = Text(np.zeros(n_items, np.float32), np.zeros(n_items, np.int32))

    def update(self, batch: Interactions) -> None:
        """Count the interactions within their items' categories and brands."""
        learn(
            self._boards,
            self._popularity,
            cast(I32, packed(batch.item, np.int32)),
            WEIGHT_OF_CODE[batch.kind & 15],
            cast(F64, packed(batch.time_s, np.float64)),
            self._attributes.category,
            self._attributes.brand,
            self._knobs,
        )

    def index(self, item: int, terms: I32) -> None:
        """Take in a catalogue item: its ``terms`` (n,), and its category and brand as the attributes have
        them.
        """
        if not 0 <= item < len(self._popularity.counts):
            return
        post(self._postings, item, cast(I32, packed(terms, np.int32)), self._popularity.counts)
        a, created_s = self._attributes, float(self._attributes.created_s[item])
        category, brand = int(a.category[item]), int(a.brand[item])
        n_categories = self._knobs.n_categories
        rows = [category] * (0 <= category < n_categories)
        rows += [n_categories + brand] * (0 <= brand < len(self._boards.totals) - n_categories)
        for row in rows if np.isfinite(created_s) else []:
            introduce(self._boards, row, item, self._settings.new_item_weight, created_s, self._knobs.rate)

    def terms_of(self, item: int) -> I32:
        """(t,) the words that ``item`` is found by."""
        terms: I32 = self._postings.tokens[item]
        return terms[terms >= 0]

    def candidates(self, queries: Queries, k: int) -> Candidates:
        """Items that fit each user's tastes and words."""
        out = empty_lists(len(queries.now_s), k)
        retrieve(
            self._boards,
            self._postings,
            self._popularity,
            self._scratch,
            self._text,
            self._knobs,
            self._attributes.log_price,
            cast(F64, packed(queries.now_s, np.float64)),
            cast(I32, packed(queries.category, np.int32)),
            cast(F32, packed(queries.category_weight, np.float32)),
            cast(I32, packed(queries.brand, np.int32)),
            cast(F32, packed(queries.brand_weight, np.float32)),
            cast(F32, packed(queries.log_price, np.float32)),
            cast(I32, packed(queries.term, np.int32)),
            cast(F32, packed(queries.term_weight, np.float32)),
            out[0],
            out[1],
        )
        return Candidates(*out)

    def forget(self, items: I32) -> None:
        """Drop the items' counts and tokens."""
        gone = marked(items, len(self._popularity.counts))
        self._popularity.counts[gone[:-1]] = 0.0
        drop_items(self._boards, gone)
        withdraw_all(self._postings, np.flatnonzero(gone).astype(np.int32))

    def forget_categories(self, categories: I32) -> None:
        """Drop the lists of these categories: their indexes are about to be given to others."""
        n_brands = len(self._boards.totals) - self._knobs.n_categories
        gone = marked(categories, self._knobs.n_categories)[:-1]
        clear_rows(self._boards, np.append(gone, np.zeros(n_brands, np.bool_)))

    def forget_brands(self, brands: I32) -> None:
        """Drop the lists of these brands."""
        n_categories = self._knobs.n_categories
        gone = marked(brands, len(self._boards.totals) - n_categories)[:-1]
        clear_rows(self._boards, np.append(np.zeros(n_categories, np.bool_), gone))

    def forget_terms(self, terms: I32) -> None:
        """Drop the lists of these tokens."""
        drop_tokens(self._postings, marked(terms, len(self._postings.length)))

    @property
    def size_bytes(self) -> int:
        """Memory held, all of it from the start; the attributes are the knowledge base's."""
        return held_bytes(self._boards, self._postings, self._popularity, self._scratch, self._text)
