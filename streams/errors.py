"""What can go wrong outside the stream, each error with the facts and the way out.

::

    RilletError                     exit 4  anything below; by itself: disk, or a fault of our own
    ├── SettingsError               exit 2  a setting is unknown, missing or out of range
    ├── BrokerError                 exit 3
    │   ├── BrokerUnreachableError  exit 3  no Kafka answers at the address
    │   ├── BrokerRefusedError      exit 3  Kafka answered, but refused (rights, quota, topic settings)
    │   ├── BrokerMissingError      exit 3  Java, Maven or the jars of a local broker are missing
    │   └── BrokerStartError        exit 3  a local broker did not come up
    └── InputError                  exit 2  a file, offset or filter given on the command line makes no sense

Exit codes of the command: 0 done, 1 done and something was found (``topics diff``), 2 usage or settings,
3 broker, 4 anything else. A refused *record* is no error but a value, see ``schemas.rejections``.
"""

from typing import ClassVar, Final

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2
BROKER: Final = 3
FAULT: Final = 4


class RilletError(Exception):
    """``problem`` tells what was found, ``fix`` what to do about it; both are shown, without a traceback."""

    exit_code: ClassVar[int] = FAULT

    def __init__(self, problem: str, *, fix: str) -> None:
        super().__init__(f"{problem}\n  fix: {fix}")
        self.problem = problem
        self.fix = fix


class SettingsError(RilletError):
    """Settings are refused before anything starts."""

    exit_code = USAGE


class InputError(RilletError):
    """What was asked for on the command line cannot be done."""

    exit_code = USAGE


class BrokerError(RilletError):
    """Trouble with Kafka."""

    exit_code = BROKER


class BrokerUnreachableError(BrokerError):
    """No Kafka answered in time."""


class BrokerRefusedError(BrokerError):
    """Kafka answered with an error."""


class BrokerMissingError(BrokerError):
    """What a local broker is made of is not on this machine."""


class BrokerStartError(BrokerError):
    """A local broker ended early or was not ready in time."""
