import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.quality.codec import (
    MAX_HEAD_BYTES,
    MAX_PROFILE_BYTES,
    VERSION,
    decode,
    decode_profile,
    encode,
    encode_profile,
)
from models.quality.fields import PATHS, SHAPES
from models.quality.lag import N_BINS
from models.quality.observe import FIELDS_COMPARED
from models.quality.partition import PartitionProfiles
from models.quality.profile import (
    MAX_CLEANED,
    MAX_RECIPES,
    MAX_UNKNOWN_CHARS,
    MAX_UNKNOWN_NAMES,
    OTHER_NAMES,
)
from models.quality.settings import QualitySettings
from models.quality.sketch import (
    KEYS,
    LABELS,
    MAX_EXAMPLE_BYTES,
    N_KEY_GROUPS,
    N_LABEL_GROUPS,
    N_NUMBER_BINS,
    N_REGISTERS,
    Keys,
    Labels,
)
from schemas.rejections import Reason

SETTINGS = QualitySettings()
HUGE = 2**62
LONGEST_TOPIC = "t" * 249  # Kafka's limit


def fill(profile):
    """Every table as full as its caps let it be, every count and name as long."""
    for name in profile.__struct_fields__:
        if name.startswith("n_"):
            setattr(profile, name, HUGE)
    profile.rejected = dict.fromkeys(map(str, Reason), HUGE)
    profile.shapes = dict.fromkeys(SHAPES, HUGE)
    profile.absent = dict.fromkeys(PATHS, HUGE)
    profile.invalid = dict.fromkeys(PATHS, HUGE)
    names = [chr(0x1F600 + i) * MAX_UNKNOWN_CHARS for i in range(MAX_UNKNOWN_NAMES)]
    profile.unknown_fields = dict.fromkeys([*names, OTHER_NAMES], HUGE)
    profile.recipes = dict.fromkeys((f"{i:-<41}" for i in range(MAX_RECIPES)), HUGE)
    profile.cleaned = dict.fromkeys((f"{i:-<48}" for i in range(MAX_CLEANED)), HUGE)
    profile.lag = [HUGE] * N_BINS
    profile.compared = profile.agreed = dict.fromkeys(FIELDS_COMPARED, HUGE)
    for path in (path for shape in SHAPES.values() for _, path in shape.sketched):
        name = path.rpartition(".")[2]
        if name in KEYS:
            profile.keys[name] = Keys([HUGE] * N_KEY_GROUPS, b"\xff" * N_REGISTERS)
        elif name in LABELS:
            examples = ["x" * MAX_EXAMPLE_BYTES] * N_LABEL_GROUPS
            profile.labels[path] = Labels([HUGE] * N_LABEL_GROUPS, examples)
        else:
            profile.numbers[path] = [HUGE] * N_NUMBER_BINS


def full(n_windows):
    profiles = PartitionProfiles(LONGEST_TOPIC, 2**31, SETTINGS, HUGE, HUGE, HUGE, HUGE, HUGE)
    for i in range(n_windows):
        fill(profiles.window(HUGE + i))
    return profiles


def test_what_was_encoded_is_decoded():
    profiles = full(3)
    assert decode(encode(profiles), SETTINGS) == profiles
    empty = PartitionProfiles("events.browse", 0, SETTINGS)
    assert decode(encode(empty), SETTINGS) == empty


def test_the_worst_value_keeps_within_the_stated_bound():
    head = len(encode(full(0)))
    assert head <= MAX_HEAD_BYTES
    assert len(encode(full(16))) <= MAX_HEAD_BYTES + 16 * MAX_PROFILE_BYTES
    assert MAX_HEAD_BYTES + 32 * MAX_PROFILE_BYTES < 1024**2  # what Kafka takes as one record


def test_the_order_of_counting_does_not_show_in_the_bytes():
    one, other = (PartitionProfiles("t", 0, SETTINGS) for _ in range(2))
    one.window(0).absent = {"price": 1, "brand": 2}
    one.window(60_000)
    other.window(60_000)
    other.window(0).absent = {"brand": 2, "price": 1}
    assert encode(one) == encode(other)


def test_the_version_leads_and_another_one_is_refused():
    data = encode(full(1))
    assert data[0] == VERSION
    with pytest.raises(ValueError, match="start with byte 01"):
        decode(b"\x01" + data[1:], SETTINGS)
    with pytest.raises(ValueError, match="start with byte none"):
        decode(b"", SETTINGS)


@given(st.binary(max_size=80))
@settings(deadline=None)
def test_no_bytes_raise_anything_but_a_value_error(noise):
    with pytest.raises(ValueError):  # noqa: PT011  msgspec's own texts
        decode(bytes([VERSION]) + noise, SETTINGS)


def test_a_histogram_of_another_length_is_refused():
    profiles = full(1)
    profiles.windows[HUGE].lag = [1, 2]
    with pytest.raises(msgspec.ValidationError, match="length"):
        decode(encode(profiles), SETTINGS)


def test_a_window_travels_as_text_and_one_of_another_release_is_left_out():
    profile = full(1).windows[HUGE]
    text = encode_profile(profile)
    assert decode_profile(text) == profile
    assert decode_profile("") is None
    assert decode_profile("AA" + text[2:]) is None
    with pytest.raises(ValueError, match="base64"):
        decode_profile("A")
