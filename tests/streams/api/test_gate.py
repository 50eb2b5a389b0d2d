"""Who is let in, and how often."""

import asyncio
from hashlib import sha256

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from schemas.api import NoQuery
from streams.api.gate import Gate
from streams.api.limits import MAX_CALLERS, Buckets
from streams.api.operations import Operation
from streams.api.problems import ForbiddenError, MisdirectedError, UnauthorizedError
from streams.api.settings import ApiSettings
from streams.api.tokens import Tokens
from streams.errors import SettingsError

SECRET = "0123456789abcdef"
OTHER = "fedcba9876543210"


def tokens(text: str, host: str = "127.0.0.1") -> Tokens:
    return Tokens.of(ApiSettings(tokens=text, host=host))


class TestTokens:
    def test_each_secret_has_the_scopes_of_its_entry(self) -> None:
        admitted = tokens(f"read+ingest:{SECRET}, admin:{OTHER}")
        assert admitted.admit(f"Bearer {SECRET}", "shop", "read")
        assert admitted.admit(f"bearer {SECRET}", "shop", "ingest")
        with pytest.raises(ForbiddenError):
            admitted.admit(f"Bearer {SECRET}", "shop", "admin")
        for scope in ("read", "ingest", "admin"):
            assert admitted.admit(f"Bearer {OTHER}", "shop", scope)

    def test_a_secret_may_be_given_as_its_hash(self) -> None:
        hashed = sha256(SECRET.encode()).hexdigest()
        assert tokens(f"read:sha256-{hashed}").admit(f"Bearer {SECRET}", "shop", "read")

        assert tokens(f"read:sha256-{hashed.upper()}").admit(f"Bearer {SECRET}", "shop", "read")

    def test_entries_of_a_file_count_too(self, tmp_path) -> None:
        path = tmp_path / "tokens"
        path.write_text(f"read:{SECRET}\n")
        assert Tokens.of(ApiSettings(tokens_file=path)).admit(f"Bearer {SECRET}", "shop", "read")

    @pytest.mark.parametrize(
        "given", [None, "", "Bearer", f"Bearer {OTHER}", f"Basic {SECRET}", SECRET, "Bearer \udcff"]
    )
    def test_nobody_else_is_let_in(self, given: str | None) -> None:
        with pytest.raises(UnauthorizedError):
            tokens(f"read:{SECRET}").admit(given, "127.0.0.1", "read")

    def test_health_needs_no_token(self) -> None:
        assert tokens(f"read:{SECRET}").admit(None, "10.1.2.3", None) == ""

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "[::1]:8080", "[::1]"])
    def test_without_tokens_this_machine_may_do_everything(self, host: str) -> None:
        assert Tokens.of(ApiSettings()).admit(None, host, "admin") == ""

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "10.0.0.1"]
    )
    def test_without_tokens_a_foreign_name_is_refused(self, host: str) -> None:
        with pytest.raises(MisdirectedError):
            Tokens.of(ApiSettings()).admit(None, host, "read")

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "shop.example"])
    def test_others_are_not_let_in_without_tokens(self, host: str) -> None:
        with pytest.raises(SettingsError, match="RILLET_API__TOKENS"):
            Tokens.of(ApiSettings(host=host))
        assert tokens(f"read:{SECRET}", host)

    @pytest.mark.parametrize(
        "text",
        ["write:" + SECRET, SECRET, f":{SECRET}", "read:short", "read+:" + SECRET, "read:sha256-" + SECRET],
    )
    def test_an_entry_that_cannot_be_meant_is_refused_without_telling_it(self, text: str) -> None:
        with pytest.raises(SettingsError) as caught:
            tokens(text)
        assert SECRET not in str(caught.value)


class TestSlow:
    @pytest.mark.parametrize(("waits", "expected"), [(True, [200, 429]), (False, [200, 200])])
    def test_so_many_wait_at_once_where_the_query_makes_them(self, waits: bool, expected: list[int]) -> None:
        assert sorted(asyncio.run(ask_twice(waits))) == expected


async def ask_twice(waits: bool) -> list[int]:
    both = asyncio.Event()

    async def handler(_: web.Request, __: NoQuery) -> web.StreamResponse:
        await both.wait()
        return web.Response()

    operation = Operation(
        method="GET",
        path="/",
        name="test",
        tag="test",
        summary="",
        handler=handler,
        scope="read",
        gives=None,
        slow_for=lambda _: waits,
    )
    handle = Gate(ApiSettings(max_slow=1), Tokens({})).wrap(operation)
    asked = [
        asyncio.ensure_future(handle(make_mocked_request("GET", "/", headers={"Host": "localhost"})))
        for _ in range(2)
    ]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(both.set)
    return [(await each).status for each in asked]


class TestBuckets:
    def test_a_burst_passes_and_then_so_many_a_second(self) -> None:
        buckets = Buckets(rate_per_s=2.0, burst=3)
        assert [buckets.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 1]
        assert buckets.take("a", 100.5) == 0  # half a second gives one
        assert buckets.take("a", 100.5) == 1

    def test_callers_do_not_share(self) -> None:
        buckets = Buckets(rate_per_s=0.1, burst=1)
        assert (buckets.take("a", 0.0), buckets.take("b", 0.0)) == (0, 0)
        assert buckets.take("a", 0.0) == 10

    def test_callers_are_bounded(self) -> None:
        buckets = Buckets(rate_per_s=1.0, burst=1)
        for n in range(MAX_CALLERS + 1):
            buckets.take(str(n), 0.0)
        assert buckets.take("0", 0.0) == 0  # forgotten, so it begins anew
        assert buckets.take(str(MAX_CALLERS), 0.0) == 1

    @given(gaps=st.lists(st.floats(0.0, 2.0), max_size=60))
    def test_never_more_than_the_burst_and_the_rate_pass(self, gaps: list[float]) -> None:
        buckets, now_s, passed = Buckets(rate_per_s=5.0, burst=4), 0.0, 0
        for gap in gaps:
            now_s += gap
            passed += buckets.take("a", now_s) == 0
        assert passed <= 4 + 5.0 * now_s + 1e-6
