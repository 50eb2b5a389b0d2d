"""What sources of data cost this process: seconds of the path by stage, and memory."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

from models.absorb import Lap
from models.knowledge.base import KnowledgeBase
from models.value.cost import Tally, costs
from schemas.value import SourceCost


class Costs:
    """Since the last call of ``taken``; ``stage_s`` tells the seconds of each stage since whenever it began."""

    def __init__(self, knowledge: KnowledgeBase, stage_s: Callable[[], Mapping[str, float]]) -> None:
        self._knowledge, self._stage_s = knowledge, stage_s
        self.tally = Tally()
        self._before_s = dict(stage_s())

    def taken(self) -> list[SourceCost]:
        """By source; begin anew."""
        tally, self.tally = self.tally, Tally()
        before_s, self._before_s = self._before_s, dict(self._stage_s())
        stage_s = {stage: seconds - before_s.get(stage, 0.0) for stage, seconds in self._before_s.items()}
        return costs(tally, stage_s, {source.name: source.size_bytes for source in self._knowledge.sources})


class Stages:
    """A clock for a path outside of a worker."""

    def __init__(self) -> None:
        self.seconds = Counter[str]()

    def laps(self) -> Lap:
        """Begin a micro-batch; what is returned is told when each stage ends."""
        last = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal last
            now = time.perf_counter()
            self.seconds[stage] += now - last  # type: ignore[assignment]
            last = now

        return lap
