"""In which form values are written: uuid, time, e-mail address, IP address, URL, currency and so on.

One value at a time is judged by a pattern and, where patterns say too little, by a second look. A column has a format
when nearly all of its values do. Nothing here knows what the values are used for.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from ipaddress import ip_address
from typing import Any, Final

MOST: Final = 0.95
"""Share of values that must agree."""
MAX_TRIED: Final = 500
"""Values that formats are tried on."""
MAX_CHARACTERS: Final = 2_048
"""Longer texts have no format that is told here."""
TIME_FORMATS: Final = ("epoch_ms", "epoch_us", "epoch_s", "iso_time")

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]{1,15}://[^\s/?#]+\S*", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}")
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}\.\d{1,18}(?:[eE][+-]?\d{1,3})?")
_PHONE: Final = re.compile(r"\+[1-9]\d{0,2}(?:[ ()./-]*\d){6,12}")
_CARD: Final = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}")
_ISO_4217: Final = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD "
    "HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD "
    "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN "
    "PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY "
    "TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
_CURRENCIES: Final = frozenset(_ISO_4217.split())
_EPOCHS: Final = (("epoch_s", 9e8, 4.2e9), ("epoch_ms", 9e11, 4.2e12), ("epoch_us", 9e14, 4.2e15))
"""From 1998 to 2103; no two of them overlap."""


def is_email(text: str) -> bool:
    """``name@host.tld``."""
    return _EMAIL.fullmatch(text) is not None


def is_ip(text: str) -> bool:
    """An address of version 4 or 6."""
    if not 2 <= len(text) <= 45 or not (text.count(".") == 3 or ":" in text):
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_phone(text: str) -> bool:
    """With a country code: bare digits are ids, and with leading zeros dates, more often."""
    return _PHONE.fullmatch(text) is not None


def is_payment_card(text: str) -> bool:
    """13 to 19 digits, in groups or not, with the check digit of Luhn.

    >>> is_payment_card("4111 1111 1111 1111"), is_payment_card("4111111111111112")
    (True, False)
    """
    if not _CARD.fullmatch(text) or text[0] not in "23456":
        return False
    digits = [int(each) for each in text if each.isdigit()]
    doubled = [sum(divmod(2 * each, 10)) for each in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iso_time(text: str) -> bool:
    """ISO 8601 with a date and a time of day."""
    return _TIME.fullmatch(text) is not None and _reads(datetime.fromisoformat, text)


def is_iso_date(text: str) -> bool:
    """ISO 8601, the day only."""
    return _DATE.fullmatch(text) is not None and _reads(date.fromisoformat, text)


def epoch(value: float) -> str | None:
    """The unit that makes a number a time of our days; ``None`` for numbers that are none.

    >>> epoch(1795353422000), epoch(1795353422), epoch(42)
    ('epoch_ms', 'epoch_s', None)
    """
    return next((name for name, least, most in _EPOCHS if least <= value <= most), None)


_OF_TEXT: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("uuid", lambda text: _UUID.fullmatch(text) is not None),
    ("email", is_email),
    ("ip", is_ip),
    ("url", lambda text: _URL.fullmatch(text) is not None),
    ("iso_time", is_iso_time),
    ("iso_date", is_iso_date),
    ("currency", lambda text: text in _CURRENCIES),
    ("payment_card", is_payment_card),
    ("phone", is_phone),
    ("hex_digest", lambda text: _HEX.fullmatch(text) is not None),
    ("integer", lambda text: _INTEGER.fullmatch(text) is not None),
    ("number", lambda text: _NUMBER.fullmatch(text) is not None or _INTEGER.fullmatch(text) is not None),
)


def format_of(values: Sequence[Any]) -> str | None:
    """The first format that ``MOST`` of the values have, all numbers or all texts; None for none.

    Digits written as text are an ``epoch_*`` where all of them are times.
    """
    tried = values[:MAX_TRIED]
    if not tried:
        return None
    if not isinstance(tried[0], str):
        return _epoch_of(tried)
    texts = [each for each in tried if isinstance(each, str) and 0 < len(each) <= MAX_CHARACTERS]
    for name, has in _OF_TEXT:
        if sum(map(has, texts)) >= MOST * len(tried):
            return (name == "integer" and _epoch_of([int(each) for each in texts if has(each)])) or name
    return None


def _epoch_of(numbers: Sequence[Any]) -> str | None:
    units = [epoch(each) for each in numbers if isinstance(each, int | float) and not isinstance(each, bool)]
    found = next((unit for unit in units if unit), None)
    return found if found and units.count(found) >= MOST * len(numbers) else None


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True
