"""Follows a log by the code of the workers, as ``rillet evaluate`` does, and explains what a user sees at its end."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from models.evaluate.apart import apart
from models.evaluate.of_path import OfPath
from models.interest.codec import decode
from models.path import Path as PurePath
from schemas.explain import Explanation
from streams.evaluation import Log, events_of, states_on_disk
from streams.settings import Settings

BATCH: Final = 16
"""Events of different users that are followed at once, as a worker takes what a fetch holds."""

Progress = Callable[[str, int, int], None]


def of_log(
    log: Log, settings: Settings, user_id: str, item_id: str | None, progress: Progress, *, every: bool
) -> Explanation | None:
    """None where the log has no accepted event of the user. Ages are told by the last event of the log."""
    with tempfile.TemporaryDirectory(prefix="rillet-explain-") as folder:
        states = states_on_disk(Path(folder))
        follower = OfPath(PurePath(settings.path()), states=states)
        now_ms = 0
        for batch in apart(events_of(log, progress), BATCH):
            follower.slates(batch, learn=True)
            now_ms = max(now_ms, batch[-1].time_ms)
        stored = states.get(user_id.encode())
        if stored is None:
            return None
        return follower.path.explain(decode(stored), user_id, now_ms, item_id, every=every)
