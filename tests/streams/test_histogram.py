"""The array histogram serves what Prometheus' own serves for the same values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streams.histogram import ArrayHistogram

BUCKETS = (0.00001, 0.001, 0.5, 1.0, 2.5, 1_000_000.0)


def served(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Samples by name and bucket, but for when the histogram was made."""
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    return {
        (sample.name, sample.labels.get("le", "")): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.lists(st.sampled_from(BUCKETS) | st.floats(0.0, 1e9), max_size=20), max_size=5))
def test_it_equals_the_histogram_of_the_client_library(batches: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    of_arrays = ArrayHistogram("latency_seconds", "Help.", BUCKETS, ours)
    of_values = Histogram("latency_seconds", "Help.", buckets=BUCKETS, registry=theirs)
    for batch in batches:
        of_arrays.observe(np.array(batch, np.float64))
        for value in batch:
            of_values.observe(value)
    one, other = served(ours), served(theirs)
    total = ("latency_seconds_sum", "")
    assert one.pop(total) == pytest.approx(other.pop(total), rel=1e-12)  # summed in another order
    assert one == other


def test_the_text_is_the_same_line_by_line() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    ArrayHistogram("latency_seconds", "Help.", BUCKETS, ours).observe(np.array([0.5, 0.75, 3.0]))
    of_values = Histogram("latency_seconds", "Help.", buckets=BUCKETS, registry=theirs)
    for value in (0.5, 0.75, 3.0):
        of_values.observe(value)
    lines = generate_latest(ours).decode().splitlines()
    assert lines == [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    # 0.5 lies in the bucket that ends there; 0.5 and 0.75 up to 1; all three up to infinity.
    assert 'latency_seconds_bucket{le="0.5"} 1.0' in lines
    assert 'latency_seconds_bucket{le="1.0"} 2.0' in lines
    assert 'latency_seconds_bucket{le="+Inf"} 3.0' in lines
    assert "latency_seconds_sum 4.25" in lines


def test_buckets_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="make them ascend"):
        ArrayHistogram("latency_seconds", "Help.", (1.0, 0.5), CollectorRegistry())
