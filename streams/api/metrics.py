"""Every Prometheus metric of the API, declared in one place. Labels have few values: never a user, never an item."""

from prometheus_client import Counter, Gauge, Histogram

from streams.histogram import ArrayHistogram

SECONDS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("rillet_api_requests_total", "Requests answered.", ["route", "status"])
SECONDS = Histogram(
    "rillet_api_request_seconds",
    "From the request's head to its answer; streams are not timed.",
    ["route"],
    buckets=SECONDS_BUCKETS,
)
READ = Counter("rillet_api_records_total", "Records taken into the read model.", ["topic"])
REPEATS = Counter("rillet_api_repeats_total", "Records whose value was held already.", ["topic"])
UNREADABLE = Counter("rillet_api_unreadable_total", "Records that are not what the topic holds.", ["topic"])
DROPPED = Counter("rillet_api_dropped_total", "Entries dropped, by age or number.", ["topic", "why"])
ENTRIES = Gauge("rillet_api_entries", "Entries held, as last counted.", ["topic"])
VISIBLE = ArrayHistogram(
    "rillet_api_visible_seconds",
    "From the timestamp of a record to its being readable here.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0),
)
NEWEST = Gauge("rillet_api_newest_timestamp_seconds", "Timestamp of the newest record taken.", ["topic"])
READY = Gauge("rillet_api_ready", "1 when all that was on the topics at the start is here.")
STREAMS = Gauge("rillet_api_streams", "Open streams of server-sent events.", ["kind"])
SENT = Counter("rillet_api_stream_messages_total", "Messages sent on streams.", ["kind"])
POSTED = Counter("rillet_api_posted_events_total", "Events posted, by what became of them.", ["outcome"])
