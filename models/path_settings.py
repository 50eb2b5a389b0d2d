"""Settings of the whole path; apart from ``models.path`` so that reading settings loads no kernels."""

from typing import NamedTuple

from models.ingest.settings import IngestSettings
from models.interest.settings import InterestSettings
from models.knowledge.settings import KnowledgeSettings
from models.rank.settings import RankSettings
from models.retrieve.settings import RetrieveSettings


class PathSettings(NamedTuple):
    """One settings object a stage."""

    ingest: IngestSettings
    interest: InterestSettings
    knowledge: KnowledgeSettings
    retrieve: RetrieveSettings
    rank: RankSettings
    slate_length: int
    n_candidates: int
