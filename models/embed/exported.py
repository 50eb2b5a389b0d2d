"""What answers need of a model, as arrays by name. Written to a file elsewhere."""

from typing import NamedTuple, cast

from models.embed.table import Arrays
from models.retrieve.contract import F32, I32


class Exported(NamedTuple):
    """Vectors of items are those of the tower, worked out: an item new to the catalogue has one in the next export."""

    items: I32
    """(n,) item of each row, ascending."""
    vectors: F32
    """(n, D) unit vectors."""
    queries: I32
    """(q,) query of each row."""
    query_vectors: F32
    """(q, D) what each query adds to a user's vector before that is normalised."""
    segments: I32
    segment_vectors: F32
    weights: dict[str, F32]
    """Weights of the encoder and what is around it, by name."""

    def arrays(self) -> Arrays:
        """All as arrays by name; ``of_arrays`` reads them."""
        named = self._asdict()
        weights = cast(dict[str, F32], named.pop("weights"))
        return {**named, **{f"weights.{name}": array for name, array in weights.items()}}

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> "Exported":
        """What ``arrays`` gave."""
        weights = {
            name.removeprefix("weights."): cast(F32, array)
            for name, array in arrays.items()
            if name.startswith("weights.")
        }
        return cls._make([*(arrays[name] for name in cls._fields[:-1]), weights])
