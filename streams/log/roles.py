"""What columns are usually called, and how their values look."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from streams.log.clock import clock

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "user": (
        "userid", "user", "customerid", "customer", "visitorid", "visitor", "memberid", "member",
        "householdid", "household", "clientid", "client", "accountid", "shopperid", "buyerid",
        "userpseudoid", "anonymousid", "deviceid", "cookieid",
    ),
    "session": ("sessionid", "session", "usersession", "visitid", "gasessionid"),
    "item": (
        "itemid", "item", "productid", "product", "sku", "skuid", "articleid", "article", "stockcode",
        "asin", "parentasin", "goodsid", "movieid", "contentid", "newsid", "trackid", "isbn", "bookid",
    ),
    "order": ("orderid", "ordernumber", "orderno", "basketid", "invoiceno", "invoice", "invoiceid",
              "transactionid", "receiptid"),
    "time": (
        "timestamp", "eventtime", "time", "ts", "datetime", "eventtimestamp", "timems", "createdat",
        "occurredat", "eventdate", "invoicedate", "transactiontimestamp", "orderdate", "unixtime", "tdat",
        "date", "day",
    ),
    "kind": (
        "eventtype", "event", "kind", "action", "behavior", "behaviour", "behaviortype", "eventname",
        "type", "actiontype", "activity", "interaction", "interactiontype",
    ),
    "category": (
        "category", "categorycode", "categoryname", "categoryid", "productcategory", "itemcategory",
        "department", "cat",
    ),
    "brand": ("brand", "brandname", "brandid", "manufacturer"),
    "price": ("price", "unitprice", "itemprice", "productprice"),
    "total": ("salesvalue", "totalprice", "linetotal", "revenue", "amount", "total"),
    "quantity": ("quantity", "qty", "units"),
    "query": ("query", "searchterm", "searchquery", "keyword", "keywords", "searchtext"),
    "rating": ("rating", "stars"),
    "platform": ("platform", "device", "devicetype", "channel"),
    "store_id": ("storeid", "store", "shopid"),
    "event_id": ("eventid",),
}  # fmt: skip
"""For each role names in order of preference, small letters and digits only."""

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "view": ("view", "pv", "pageview", "browse", "detail", "productview", "viewitem", "itemview", "viewed",
             "viewproduct", "productdetail", "read"),
    "click": ("click", "clicks", "clicked"),
    "cart": ("cart", "addtocart", "addcart", "addedtocart", "basket", "addtobasket", "atc", "add"),
    "wishlist": ("wishlist", "fav", "favorite", "favourite", "addtowishlist", "like", "bookmark", "collect"),
    "purchase": ("purchase", "buy", "transaction", "order", "bought", "purchased", "sale", "conversion"),
    "dismiss": ("dismiss", "dislike", "hide"),
    "impression": ("impression", "imp", "exposure", "shown"),
    "search": ("search", "searched", "query"),
}  # fmt: skip
MAX_KINDS: Final = 50
PATTERNS: Final = (
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y",
    "%b %d, %Y", "%a %b %d %H:%M:%S %Y",
)  # fmt: skip
_MAGNITUDES: Final = (("s", 9e8, 4.2e9), ("ms", 9e11, 4.2e12), ("us", 9e14, 4.2e15))
CHECKED: Final = 1_000
"""Values that a form of time is tried on."""


def plain(name: str) -> str:
    """Small letters and digits of the last part of a dotted name."""
    return re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())


def column_for(role: str, columns: Sequence[str]) -> str | None:
    """The column whose name is the best one for a role."""
    by_name = {plain(column): column for column in reversed(columns)}
    return next((by_name[name] for name in NAMES[role] if name in by_name), None)


def kind_values(values: Sequence[str]) -> dict[str, str]:
    """What the values of a kind column mean, those that are known; empty when few of the rows have one."""
    distinct = dict.fromkeys(values)
    if len(distinct) > MAX_KINDS:
        return {}
    words = {word: kind for kind, each in KINDS.items() for word in each}
    known = {value: words[plain(value)] for value in distinct if plain(value) in words}
    return known if 2 * sum(value in known for value in values) >= len(values) > 0 else {}


def time_format(values: Sequence[str]) -> str | None:
    """In which form the values are times; None when they are none."""
    values = values[:CHECKED]
    if not values:
        return None
    numbers = _numbers(values)
    if numbers is not None:
        low, high = min(numbers), max(numbers)
        return next((form for form, least, most in _MAGNITUDES if least <= low and high <= most), None)
    return next((form for form in ("iso", *PATTERNS) if _all_read(form, values)), None)


def is_running_number(values: Sequence[str]) -> bool:
    """Whether each is greater than the one before: as good as a clock for the order of events."""
    numbers = _numbers(values)
    return bool(numbers) and all(a < b for a, b in pairwise(numbers or ()))


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _all_read(form: str, values: Sequence[str]) -> bool:
    read = clock(form)
    try:
        for value in values:
            read(value)
    except (ValueError, OverflowError):
        return False
    return True
