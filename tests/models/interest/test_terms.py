from hypothesis import given
from hypothesis import strategies as st

from models.interest.terms import MAX_QUERY_TERMS, MAX_TERM_CHARS, terms


def test_words_are_folded_split_and_kept_once_in_order():
    assert terms("Grüße, STRASSE straße 4K-tv!") == ["grüsse", "strasse", "4k", "tv"]


def test_a_long_query_gives_eight_terms_and_a_long_word_32_characters():
    assert terms(" ".join("abcdefghij")) == list("abcdefgh")
    assert terms("x" * 100) == ["x" * 32]


def test_text_without_words_gives_none():
    assert terms("") == terms(" ?! ") == []


@given(st.text())
def test_terms_are_bounded_and_stable(text):
    found = terms(text)
    assert len(found) <= MAX_QUERY_TERMS
    assert all(0 < len(term) <= MAX_TERM_CHARS for term in found)
    assert terms(text) == found
