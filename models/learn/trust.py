"""Outcomes of a source that is not trusted for now count less."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.kinds import Kind
from models.learn.join import Joined
from models.quality.actions import WEIGH, Sanction
from schemas import topics

SOURCE_OF: Final = {Kind.VIEW: topics.BROWSE, Kind.PURCHASE: topics.PURCHASE}
"""The topic that outcomes of a kind come on; feedback has the others."""


def weighed(joined: Joined, sanctions: Sequence[Sanction], weight: float) -> Joined:
    """With the lists of outcomes under a sanction weighed by ``weight``; that a list was shown counts as ever."""
    mine = [each for each in sanctions if each.kind == WEIGH]
    if not mine or not joined.of:
        return joined
    factor = np.ones(len(joined.of), np.float32)
    for row, label in enumerate(joined.labels[i] for i in joined.of):
        source = SOURCE_OF.get(label.kind, topics.FEEDBACK)
        if label.kind is not Kind.IMPRESSION and any(each.covers(source, label.time_ms) for each in mine):
            factor[row] = weight
    return joined._replace(groups=joined.groups._replace(weight=joined.groups.weight * factor))
