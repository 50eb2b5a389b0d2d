"""Text to terms, the same for queries and for the titles of the catalogue. No stemming, no stop words."""

import re
from typing import Final

MAX_QUERY_TERMS: Final = 8
MAX_ITEM_TERMS: Final = 64
"""Of what the catalogue says of an item; sources and the embedding model keep fewer, as their settings have it."""
MAX_TERM_CHARS: Final = 32

_WORD: Final = re.compile(r"\w+")


def terms(text: str, max_terms: int = MAX_QUERY_TERMS) -> list[str]:
    """The first ``max_terms`` distinct words, case folded, each cut at 32 characters, in the order they came.

    >>> terms("Red SHOES, red laces")
    ['red', 'shoes', 'laces']
    """
    found: dict[str, None] = {}
    for word in _WORD.finditer(text.casefold()):
        found[word[0][:MAX_TERM_CHARS]] = None
        if len(found) == max_terms:
            break
    return list(found)
