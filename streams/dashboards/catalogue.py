"""Every dashboard."""

from typing import Final

from streams.dashboards.data import DATA
from streams.dashboards.embedding import EMBEDDING
from streams.dashboards.learning import LEARNING
from streams.dashboards.operations import OPERATIONS
from streams.dashboards.overview import OVERVIEW
from streams.dashboards.panel import Dashboard

DASHBOARDS: Final[tuple[Dashboard, ...]] = (OVERVIEW, LEARNING, DATA, EMBEDDING, OPERATIONS)
