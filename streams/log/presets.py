"""Mappings of public logs, shipped with the package: one TOML file a log, in ``streams/log/presets``."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from streams.errors import InputError
from streams.log.mapping import LogMapping, parse_mapping, read_mapping

FOLDER: Final = files("streams") / "log" / "presets"


@cache
def names() -> tuple[str, ...]:
    """Of all presets, sorted."""
    found = (each.name for each in FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def text_of(name: str) -> str:
    """The preset as it is shipped.

    Raises:
        InputError: there is none of this name.
    """
    if name not in names():
        raise InputError(
            f"There is no preset {name!r}, and no mapping file of this name.",
            fix=f"Known are {', '.join(names())}; `rillet mapping guess FILE` proposes one for another log.",
        )
    return (FOLDER / f"{name}.toml").read_text(encoding="utf-8")


@cache
def preset(name: str) -> LogMapping:
    """A preset by name."""
    return parse_mapping(text_of(name), f"the preset {name}")


def named(mapping: str) -> tuple[str, LogMapping]:
    """Short name and mapping, for the name of a preset or the path of a TOML file.

    Raises:
        InputError: it is neither, or the file is refused.
    """
    path = Path(mapping)
    if path.suffix == ".toml" or path.is_file():
        return path.name.removesuffix(".toml"), read_mapping(path)
    text_of(mapping)
    return mapping, preset(mapping)
