"""A Prometheus histogram that takes whole arrays: one observation at a time costs microseconds, thousands of times."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString


class ArrayHistogram(Collector):
    """Cumulative buckets as Prometheus wants them, without labels."""

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        if list(buckets) != sorted(set(buckets)):
            raise ValueError(f"buckets of {name} are {tuple(buckets)}: make them ascend")
        self._name = name
        self._documentation = documentation
        self._bounds = np.array(buckets)
        self._counts = np.zeros(len(buckets) + 1, np.int64)
        self._sum = 0.0
        registry.register(self)

    def observe(self, values: NDArray[np.float64]) -> None:
        """Count n values."""
        at = np.searchsorted(self._bounds, values)
        self._counts += np.bincount(at, minlength=len(self._counts))
        self._sum += float(values.sum())

    def describe(self) -> list[HistogramMetricFamily]:
        """Name and help, for the registry."""
        return [HistogramMetricFamily(self._name, self._documentation)]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as it stands."""
        family = HistogramMetricFamily(self._name, self._documentation)
        bounds = [*map(floatToGoString, self._bounds.tolist()), "+Inf"]
        totals = np.cumsum(self._counts).tolist()
        family.add_metric([], list(zip(bounds, totals, strict=True)), self._sum)
        yield family
