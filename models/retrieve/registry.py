"""All retrieval sources, in the order in which their candidates are taken."""

from models.knowledge.attributes import Attributes
from models.retrieve.contract import Source
from models.retrieve.covisitation import Covisitation
from models.retrieve.session_knn import SessionKnn
from models.retrieve.settings import RetrieveSettings
from models.retrieve.trending import Trending


def sources(settings: RetrieveSettings, attributes: Attributes, n_items: int) -> list[Source]:
    """The sources that are enabled, for a catalogue of ``n_items``, in a fixed order."""
    made: list[Source] = []
    if settings.session_knn.enabled:
        made.append(SessionKnn(settings.session_knn, n_items))
    if settings.covisitation.enabled:
        made.append(Covisitation(settings.covisitation, n_items))
    if settings.trending.enabled:
        made.append(Trending(settings.trending, attributes, n_items))
    return made
