"""Names as running numbers, in the order in which they come."""


class Vocabulary:
    """It grows with the different names of the log."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def code(self, name: str) -> int:
        """The number of a name, a new one where it is new."""
        return self._codes.setdefault(name, len(self._codes))

    @property
    def names(self) -> list[str]:
        """By number."""
        return list(self._codes)
