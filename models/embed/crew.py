"""Who works out the gradients of a step: this process alone, or with others, each a share of the examples."""

from typing import Protocol

from models.embed.model import Model
from models.embed.settings import EmbedSettings
from models.embed.step import Batch, halves, losses, total


class Crew(Protocol):
    """Leaves gradients where an optimiser looks for them."""

    def gradients(self, model: Model, batch: Batch) -> float:
        """Of the model's parameters and of the rows that the batch gathered; the loss."""


class Alone:
    """This process."""

    def __init__(self, settings: EmbedSettings, device: str) -> None:
        self._settings, self._device = settings, device

    def gradients(self, model: Model, batch: Batch) -> float:
        """See ``Crew``."""
        with halves(self._device, self._settings.precision):
            loss = total(losses(model, batch), batch, self._settings.task_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
