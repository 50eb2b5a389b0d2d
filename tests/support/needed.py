"""What a test needs and a machine may lack."""

import os

import pytest


def needed(what: str, how: str) -> None:
    """Skip what needs ``what``; fail under ``CI=true``."""
    strict = os.environ.get("CI", "").lower() in {"1", "true"}
    (pytest.fail if strict else pytest.skip)(f"{what} is not here: {how}")
