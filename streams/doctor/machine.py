"""Checks of this machine: client packages, room for state."""

import shutil
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from schemas.topics import MIB
from streams.doctor.finding import Finding, Patient, fail, ok, warn

CLIENTS: Final = ("confluent-kafka", "aiokafka", "faust-streaming", "rocksdict")
LOW_BYTES: Final = 1024 * MIB
EMPTY_BYTES: Final = 100 * MIB


def versions(_: Patient) -> Iterator[Finding]:
    """The installed clients against what this release was built for."""
    wanted = {each.name: each.specifier for each in map(Requirement, requires("rillet") or ())}
    found = {name: version(name) for name in CLIENTS}
    strange = [name for name in CLIENTS if name in wanted and found[name] not in wanted[name]]
    for name in strange:
        yield fail(
            "versions",
            f"{name} is {found[name]}, this release wants {wanted[name]}",
            f"pip install '{name}{wanted[name]}'",
        )
    if not strange:
        told = ", ".join(f"{name} {found[name]}" for name in CLIENTS)
        yield ok("versions", f"rillet {version('rillet')}, {told}")


def disk(patient: Patient) -> Iterator[Finding]:
    """Room where the worker of these settings keeps its state."""
    folder = patient.settings.worker.state_dir.absolute()
    free = shutil.disk_usage(_existing(folder)).free
    what = f"{free / 1024 / MIB:.1f} GiB free for the state in {folder}"
    remedy = "Make room, or move worker.datadir (RILLET_DATADIR): a full disk stops the worker."
    if free < EMPTY_BYTES:
        yield fail("disk", what, remedy)
    elif free < LOW_BYTES:
        yield warn("disk", what, remedy)
    else:
        yield ok("disk", what)


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())
