"""Settings of the whole path; apart from ``models.path`` so that reading settings loads no kernels."""

import json
from typing import NamedTuple

from pydantic import BaseModel

from models.clean.recipe import Recipe
from models.ingest.settings import IngestSettings
from models.interest.settings import InterestSettings
from models.knowledge.settings import KnowledgeSettings
from models.learn.settings import LearnSettings
from models.rank.settings import RankSettings
from models.retrieve.settings import RetrieveSettings


class PathSettings(NamedTuple):
    """One settings object a stage."""

    ingest: IngestSettings
    interest: InterestSettings
    knowledge: KnowledgeSettings
    retrieve: RetrieveSettings
    rank: RankSettings
    learn: LearnSettings
    slate_length: int
    n_candidates: int
    clean: Recipe = Recipe()

    def canonical(self) -> str:
        """The same text for equal settings, in whatever order and process they were given."""
        parts = {
            name: part.model_dump(mode="json") if isinstance(part, BaseModel) else part
            for name, part in self._asdict().items()
        }
        return json.dumps(parts, sort_keys=True)
