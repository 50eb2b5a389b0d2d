from models.quality.partition import PartitionProfiles, close, watermark
from models.quality.settings import QualitySettings

SETTINGS = QualitySettings(window_s=10, allowed_lateness_s=20, quiet_s=30)


def with_windows(*starts_ms, watermark_ms=0, lag_ms=0):
    profiles = PartitionProfiles("events.search", 3, SETTINGS, watermark_ms=watermark_ms, lag_ms=lag_ms)
    for start_ms in starts_ms:
        profiles.window(start_ms).n_accepted += 1
    return profiles


def test_a_window_closes_when_its_end_plus_lateness_is_reached():
    # The window from 10,000 to 20,000 ms closes at 40,000 ms.
    profiles = with_windows(10_000, 20_000)
    assert close(profiles, 39_999) == []
    (closed,) = close(profiles, 40_000)
    assert (closed.start_ms, closed.end_ms, closed.partitions, closed.source) == (
        10_000,
        20_000,
        [3],
        "events.search",
    )
    assert list(profiles.windows) == [20_000]
    assert profiles.closed_ms == 20_000
    assert close(profiles, 40_000) == []


def test_windows_come_out_oldest_first():
    profiles = with_windows(30_000, 10_000, 20_000)
    assert [p.start_ms for p in close(profiles, 10**6)] == [10_000, 20_000, 30_000]
    assert profiles.closed_ms == 40_000


def test_a_watermark_behind_the_partitions_own_does_not_hold_windows_open():
    assert len(close(with_windows(10_000, watermark_ms=40_000), 0)) == 1


def test_the_same_window_is_the_same_profile():
    profiles = with_windows(10_000)
    assert profiles.window(10_000) is profiles.windows[10_000]
    assert profiles.window(10_000).n_accepted == 1


def test_windows_opened_before_a_change_of_width_keep_it_and_close():
    profiles = with_windows(10_000)
    profiles.settings = QualitySettings(window_s=5, allowed_lateness_s=20)
    profiles.window(20_000)
    assert [(p.start_ms, p.end_ms) for p in close(profiles, 45_000)] == [(10_000, 20_000), (20_000, 25_000)]


def test_the_watermark_follows_the_clock_only_when_quiet_and_at_the_usual_lag():
    profiles = with_windows(10_000, watermark_ms=15_000, lag_ms=2_000)
    # The freshest event, of 15,000 ms, was recorded at 17,000 ms; 30 s of quiet end at 47,000 ms.
    assert watermark(profiles, 17_000) == 15_000
    assert watermark(profiles, 47_000) == 15_000
    assert watermark(profiles, 57_000) == 25_000
