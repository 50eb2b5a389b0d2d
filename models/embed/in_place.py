"""The embedding model learned in the process that it serves, as an evaluation does and the trainer does for workers."""

from collections.abc import Callable, Sequence

from models.embed.learner import Epoch, Learner
from models.embed.serving import Serving
from models.embed.settings import EmbedSettings
from models.retrieve.contract import I32, Interactions


class InPlace:
    """A pupil: learns from every interaction, and serves what it learned every ``settings.serve_every`` examples."""

    def __init__(
        self,
        learner: Learner,
        settings: EmbedSettings,
        on_epoch: Callable[[Epoch], None] | None = None,
        *,
        collects: bool = False,
    ) -> None:
        self.learner = learner
        self._on_epoch = on_epoch
        self._settings = settings
        self._n_versions = 0
        self._served_at = 0
        self.collects = collects
        """Whether interactions are only kept until ``fit``."""

    def update(self, batch: Interactions) -> Serving | None:
        """Learn; a new version where one is due."""
        self.learner.observe(batch, learn=not self.collects)
        if self.collects or self.learner.n_examples - self._served_at < self._settings.serve_every:
            return None
        return self._version()

    def describe(self, item: int, terms: I32) -> None:
        """These words describe the item."""
        self.learner.describe(item, terms)

    def give(self, item: int, vector: Sequence[float] | None) -> None:
        """An encoder says this of the item."""
        self.learner.give(item, vector)

    def forget(self, items: I32) -> None:
        """These indexes are about to be given to other items."""
        self.learner.forget(items)

    def fit(self) -> Serving:
        """Learn all that was kept, in several passes."""
        self.learner.fit(self._on_epoch)
        return self._version()

    def _version(self) -> Serving:
        self._served_at = self.learner.n_examples
        self._n_versions += 1
        return Serving(str(self._n_versions), self.learner.export(), self._settings)
