"""Reads the contract that ``quality.contract`` names."""

from pathlib import Path

import yaml

from models.quality.monitor.contract import ContractError, Rule, rules
from schemas import topics
from streams.errors import SettingsError


def declared(path: str | None) -> list[Rule]:
    """The rules of the contract, none without one.

    Raises:
        SettingsError: it cannot be read or judged by.
    """
    if path is None:
        return []
    try:
        return rules(yaml.safe_load(Path(path).read_text(encoding="utf-8")), frozenset(topics.BEHAVIOUR))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ContractError, RecursionError) as error:
        raise SettingsError(
            f"The contract {path}, which quality.contract names, cannot be judged by: {error}.",
            fix="Mend it, or leave the setting out; docs/quality.md shows one.",
        ) from error
