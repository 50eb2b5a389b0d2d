import pytest
from pydantic import ValidationError

from models.quality.settings import QualitySettings


def test_lateness_of_two_windows_reaches_three():
    # Watermark at the start of window 5: 120 s back is the start of window 3, so 3, 4 and 5 are open.
    assert QualitySettings(window_s=60, allowed_lateness_s=120).n_reachable_windows == 3
    assert QualitySettings(window_s=60, allowed_lateness_s=121).n_reachable_windows == 4
    assert QualitySettings(window_s=60, allowed_lateness_s=0).n_reachable_windows == 1


def test_lateness_that_needs_more_windows_than_allowed_is_refused():
    QualitySettings(window_s=60, allowed_lateness_s=180, max_open_windows=4)
    with pytest.raises(ValidationError, match="widen the windows"):
        QualitySettings(window_s=60, allowed_lateness_s=181, max_open_windows=4)


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValidationError, match="windows_s"):
        QualitySettings(windows_s=60)
