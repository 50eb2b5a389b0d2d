"""All retrieval sources, in the order in which their candidates are taken."""

from models.knowledge.attributes import Attributes
from models.knowledge.settings import KnowledgeSettings
from models.retrieve.cold_start import ColdStart
from models.retrieve.content import Content
from models.retrieve.contract import Source
from models.retrieve.covisitation import Covisitation
from models.retrieve.embedding import Embedding
from models.retrieve.recent import Recent
from models.retrieve.search_intent import SearchIntent
from models.retrieve.session_knn import SessionKnn
from models.retrieve.settings import RetrieveSettings
from models.retrieve.trending import Trending


def sources(settings: RetrieveSettings, attributes: Attributes, known: KnowledgeSettings) -> list[Source]:
    """The sources that are enabled, with room for all that is ``known``, in a fixed order."""
    n = known.max_items
    made: list[Source] = []
    if settings.session_knn.enabled:
        made.append(SessionKnn(settings.session_knn, n))
    if settings.covisitation.enabled:
        made.append(Covisitation(settings.covisitation, n))
    if settings.content.enabled:
        made.append(
            Content(settings.content, attributes, n, known.max_categories, known.max_brands, known.max_terms)
        )
    if settings.search.enabled:
        made.append(SearchIntent(settings.search, n, known.max_queries))
    if settings.trending.enabled:
        made.append(Trending(settings.trending, attributes, n))
    if settings.cold_start.enabled:
        made.append(ColdStart(settings.cold_start, n, known.max_segments))
    if settings.recent.enabled:
        made.append(Recent(settings.recent))
    if settings.embedding.enabled:
        made.append(Embedding(settings.embedding))
    return made
