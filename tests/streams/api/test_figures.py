from streams.api.figures import samples

TEXT = """\
# HELP rillet_lag_records Records behind the end of the partition.
# TYPE rillet_lag_records gauge
rillet_lag_records{partition="2",topic="events.browse"} 3.0
rillet_lag_records_of_another 7.0
# TYPE rillet_slate_latency_seconds histogram
rillet_slate_latency_seconds_bucket{le="0.5"} 4.0
rillet_slate_latency_seconds_bucket{le="+Inf"} 5.0
rillet_slate_latency_seconds_sum 1.5
rillet_ready 1.0
"""


def test_only_the_named_samples_are_read_from_what_a_process_tells():
    found = list(samples(TEXT, ("rillet_lag_records", "rillet_slate_latency_seconds_bucket", "rillet_ready")))
    assert [(each.name, each.labels, each.value) for each in found] == [
        ("rillet_lag_records", {"partition": "2", "topic": "events.browse"}, 3.0),
        ("rillet_slate_latency_seconds_bucket", {"le": "0.5"}, 4.0),
        ("rillet_slate_latency_seconds_bucket", {"le": "+Inf"}, 5.0),
        ("rillet_ready", {}, 1.0),
    ]


def test_a_process_that_tells_nothing_has_no_samples():
    assert list(samples("", ("rillet_ready",))) == []
