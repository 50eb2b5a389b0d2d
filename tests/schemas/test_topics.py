import re
from typing import get_args

import pytest

from schemas import topics
from schemas.events import Feedback


def test_every_constant_names_a_topic_of_the_catalogue_and_every_topic_has_one():
    constants = {each for name, each in vars(topics).items() if name.isupper() and isinstance(each, str)}
    assert constants - {topics.APP_ID, topics.OVERALL} == {each.name for each in topics.catalogue()}


def test_names_use_dots_and_hyphens_only():
    for each in (*topics.catalogue(), *topics.changelogs("shop-1")):
        assert re.fullmatch(r"[a-z0-9.-]+", each.name)


@pytest.mark.parametrize("name", ["a_b", "a..b", "", ".a", "a b", "ä", "a" * 250])
def test_a_bad_name_is_refused(name):
    with pytest.raises(ValueError, match="joined by dots or hyphens"):
        topics.changelogs(name)[0]


def test_what_shares_a_users_state_shares_its_partition_count():
    catalogue = {each.name: each for each in topics.catalogue(partitions=12)}
    together = [catalogue[name] for name in (*topics.BEHAVIOUR, topics.SLATES)]
    together += topics.changelogs(partitions=12)
    assert {each.partitions for each in together} == {12}


@pytest.mark.parametrize("partitions", [0, -1, 10_001])
def test_an_impossible_number_of_partitions_is_refused(partitions):
    with pytest.raises(ValueError, match="allowed are 1 to 10000"):
        topics.catalogue(partitions)


def test_sources_are_batched_and_have_no_gaps_in_their_offsets():
    for name in topics.BEHAVIOUR:
        source = topics.topic(name)
        assert (source.batched, source.compacted, source.key) == (True, False, "user_id")


def test_ingest_can_refuse_what_is_too_large_and_bury_it():
    limit = topics.topic(topics.BROWSE).max_message_bytes
    assert topics.MIB < limit < topics.topic(topics.DEAD_LETTER).max_message_bytes


def test_changelogs_are_named_as_faust_names_them_and_only_compacted():
    named = {each.name: each for each in topics.changelogs("shop")}
    assert set(named) == {"shop-interest-changelog", "shop-quality-changelog"}
    assert {each.cleanup for each in named.values()} == {"compact"}


def test_settings_are_spelt_as_kafka_spells_them():
    assert topics.topic(topics.SLATES).config() == {
        "cleanup.policy": "compact,delete",
        "retention.ms": "604800000",
        "max.message.bytes": "1048588",
        "delete.retention.ms": "604800000",
    }
    assert "delete.retention.ms" not in topics.topic(topics.BROWSE).config()


def test_an_unknown_topic_is_answered_with_the_known_ones():
    with pytest.raises(KeyError, match=r"no topic 'events\.brows' .*events\.browse, events\.search"):
        topics.topic("events.brows")


def test_the_feedback_topic_holds_every_kind_of_feedback():
    assert get_args(topics.topic(topics.FEEDBACK).value_type) == get_args(Feedback)
