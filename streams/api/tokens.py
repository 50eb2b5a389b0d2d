"""Who may do what: bearer tokens with scopes, kept as hashes, compared in constant time."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Final, Literal, get_args

from streams.api.problems import ForbiddenError, MisdirectedError, UnauthorizedError
from streams.api.settings import ApiSettings
from streams.errors import SettingsError

Scope = Literal["read", "ingest", "admin"]
SCOPES: Final = frozenset(get_args(Scope))
MIN_SECRET: Final = 16
_HASH: Final = "sha256-"
_HASHED: Final = re.compile(_HASH + "([0-9a-fA-F]{64})")
_FIX: Final = (
    "Write SCOPES:SECRET, such as read+ingest:SECRET, with a secret of at least 16 characters: "
    "`python -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one."
)


class Tokens:
    """Scopes by hash of the secret. Empty: everyone on this machine may do everything."""

    def __init__(self, scopes: Mapping[bytes, frozenset[str]]) -> None:
        self._scopes = dict(scopes)

    @classmethod
    def of(cls, settings: ApiSettings) -> "Tokens":
        """Those of the settings.

        Raises:
            SettingsError: an entry cannot be read, or the host is no loopback and there is no token.
        """
        text = settings.tokens.get_secret_value() if settings.tokens else ""
        if settings.tokens_file:
            text += "\n" + settings.tokens_file.read_text(encoding="utf-8")
        tokens = cls(
            dict(_entry(each, n) for n, each in enumerate(re.split(r"[\s,]+", text.strip()), 1) if each)
        )
        if not tokens and not is_loopback(settings.host):
            raise SettingsError(
                f"api.host = {settings.host} lets others than this machine in, and there are no tokens.",
                fix="Set RILLET_API__TOKENS or api.tokens_file, or serve on 127.0.0.1. " + _FIX,
            )
        return tokens

    def __bool__(self) -> bool:
        return bool(self._scopes)

    def admit(self, authorization: str | None, host: str, scope: Scope | None) -> str:
        """Who asks, as a name for limits that tells nothing; refuses who may not.

        Raises:
            UnauthorizedError, ForbiddenError, MisdirectedError
        """
        if not self._scopes:
            if not is_loopback(_hostname(host)):
                raise MisdirectedError(
                    f"Without tokens only this machine is answered, and {host!r} is no name of it.",
                    fix="Ask http://127.0.0.1, or set RILLET_API__TOKENS.",
                )
            return ""
        if scope is None:
            return ""
        kind, _, secret = (authorization or "").partition(" ")
        hashed = sha256(secret.strip().encode(errors="surrogateescape")).digest()
        granted = self._granted(hashed) if kind.lower() == "bearer" else None
        if granted is None:
            raise UnauthorizedError(
                "The token is not known." if authorization else "There is no token.",
                fix="Send `Authorization: Bearer SECRET` with a secret of RILLET_API__TOKENS.",
            )
        if scope not in granted and "admin" not in granted:
            raise ForbiddenError(
                f"This needs the scope {scope}; the token has {', '.join(sorted(granted))}.",
                fix=f"Use a token with the scope {scope}.",
            )
        return hashed.hex()[:16]

    def _granted(self, hashed: bytes) -> frozenset[str] | None:
        """All are compared, so that the time tells nothing."""
        found = None
        for known, scopes in self._scopes.items():
            if hmac.compare_digest(known, hashed):
                found = scopes
        return found


def is_loopback(host: str) -> bool:
    """Whether a name or address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _hostname(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _entry(text: str, number: int) -> tuple[bytes, frozenset[str]]:
    """Hash of the secret, and scopes. No message shows the secret."""
    scopes, _, secret = text.partition(":")
    names = frozenset(scopes.split("+"))
    if not names <= SCOPES:
        raise SettingsError(f"Token {number} does not begin with scopes of read, ingest and admin.", fix=_FIX)
    if hashed := _HASHED.fullmatch(secret):
        return bytes.fromhex(hashed[1]), names
    if secret.startswith(_HASH):
        raise SettingsError(f"The hash of token {number} is not of 64 hexadecimal digits.", fix=_FIX)
    if len(secret) < MIN_SECRET:
        raise SettingsError(
            f"The secret of token {number} is shorter than {MIN_SECRET} characters.", fix=_FIX
        )
    return sha256(secret.encode()).digest(), names
