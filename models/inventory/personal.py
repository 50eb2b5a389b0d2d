"""Which fields hold personal data: told by the name, by the values, or both.

By name alone a field is tagged even where the values show nothing; by its values even where the name is harmless, as
soon as a few of them match: one address in a field of free text is a leak. Ids of people and their devices are
``pseudonym``: personal data too under the GDPR, as long as someone can tell whose they are.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from models.inventory import formats

MAX_TRIED: Final = 1_000
FEW: Final = 0.005
"""Share of values from which a pattern that ids do not meet by chance counts."""
SOME: Final = 0.05
"""For addresses: versions of software look like them."""
MANY: Final = 0.5
"""For patterns that ids meet by chance: one number in ten has the check digit of a card."""

_NAMES: Final = {
    "credential": "password passwd pwd secret apikey accesstoken refreshtoken authtoken pin",
    "email": "email mail emailaddress useremail customeremail contactemail",
    "phone": "phone phonenumber mobile mobilenumber telephone tel fax msisdn",
    "payment_card": "cardnumber creditcard pan ccnumber cvv cvc iban bic accountnumber",
    "national_id": "ssn nationalid passport passportnumber taxid socialsecuritynumber",
    "birth_date": "birthdate birthday dateofbirth dob yearofbirth",
    "person_name": "firstname lastname fullname surname givenname familyname customername username",
    "address": "address street streetaddress addressline1 addressline2 postcode postalcode zip zipcode shippingaddress "
    "billingaddress",
    "location": "lat latitude lon lng longitude geo geolocation gps",
    "ip": "ip ipaddress clientip remoteaddr remoteip useripaddress",
    "gender": "gender sex",
    "pseudonym": "userid user customerid customer visitorid memberid accountid shopperid buyerid clientid userpseudoid "
    "anonymousid deviceid cookieid sessionid advertisingid idfa gaid devicefingerprint householdid",
    "user_agent": "useragent",
}
_KINDS: Final = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_WITHIN: Final = {
    "email": re.compile(r"(?<![\w.])[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"),
    "phone": re.compile(r"(?<![\w.+])\+[1-9]\d{0,2}(?:[ ()./-]*\d){6,12}(?!\w)"),
}
"""Found inside of texts, too."""


class Personal(NamedTuple):
    """The kind, and the share of the values with its pattern; None where only the name tells."""

    kind: str
    share: float | None


def personal(path: str, values: Sequence[Any]) -> Personal | None:
    """What of a field is personal, None for nothing found. ``values`` are not null."""
    texts = [each for each in values[:MAX_TRIED] if isinstance(each, str)]
    of_values = _by_values(texts)
    kind = None if values and all(isinstance(each, bool) for each in values) else _by_name(path)
    if of_values is not None and (kind is None or kind in (of_values.kind, "pseudonym")):
        return of_values
    return Personal(kind, _share(kind, texts)) if kind else None


def _by_name(path: str) -> str | None:
    return _KINDS.get(re.sub(r"[^a-z0-9]", "", path.rpartition(".")[2].lower()))


def _by_values(texts: Sequence[str]) -> Personal | None:
    for kind, least in (("email", FEW), ("payment_card", MANY), ("phone", FEW), ("ip", SOME)):
        share = _share(kind, texts)
        if share is not None and share >= least:
            return Personal(kind, share)
    return None


def _share(kind: str, texts: Sequence[str]) -> float | None:
    """Of the texts, those with the pattern of a kind that has one."""
    has = _PATTERNS.get(kind)
    return sum(map(has, texts)) / len(texts) if has and texts else None


def _email_within(text: str) -> bool:
    return "@" in text and _WITHIN["email"].search(text[: formats.MAX_CHARACTERS]) is not None


def _phone_within(text: str) -> bool:
    return "+" in text and _WITHIN["phone"].search(text[: formats.MAX_CHARACTERS]) is not None


_PATTERNS: Final[dict[str, Callable[[str], bool]]] = {
    "email": _email_within,
    "phone": _phone_within,
    "ip": formats.is_ip,
    "payment_card": formats.is_payment_card,
}
