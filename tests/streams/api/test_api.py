"""``rillet api`` as a process, beside a worker and an embedded broker: what shops see of it."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from api_process import Api, System
from chaos import wait_for
from confluent_kafka import Producer

from schemas import topics
from schemas.catalog import Item
from streams.api.store import Held, Store
from streams.settings import KafkaSettings

SECRET = "0123456789abcdef"


@pytest.fixture(scope="module")
def shop(system: System) -> System:
    """A catalogue, two items that go together, and anna who looked at both."""
    producer = Producer(dict(KafkaSettings(bootstrap_servers=system.servers).producer()))
    now_ms = time.time_ns() // 1_000_000
    for n in range(6):
        item = Item(
            item_id=f"i{n}", time_ms=now_ms, title=f"red shoe {n}", category="shoes" if n < 3 else "hats"
        )
        producer.produce(topics.ITEMS, msgspec.json.encode(item), item.item_id.encode())
    promotion = {
        "promotion_id": "p",
        "time_ms": now_ms,
        "starts_ms": now_ms - 1000,
        "ends_ms": now_ms + 10**7,
        "category": "hats",
    }
    producer.produce(topics.PROMOTIONS, json.dumps(promotion).encode(), b"p")
    assert producer.flush(20) == 0
    wait_for(lambda: len(system.api.get("/v1/items").json["items"]) == 6, "the catalogue")
    for user in ("anna", "ben", "carl"):
        for item in ("i0", "i1", "i2", "i3"):
            system.send(user, item_id=item)
    system.slate("anna")
    wait_for(lambda: len(system.api.get("/v1/leaderboards/*").json.get("items", [])) == 4, "a leaderboard")
    wait_for(lambda: system.api.get("/v1/items/i0/related").json["items"], "related items")
    return system


class TestSlates:
    def test_an_event_posted_becomes_a_slate(self, shop: System) -> None:
        sent = shop.send("dora", item_id="i1")["events"][0]
        slate = shop.slate("dora")
        assert slate["slate_id"] == f"{sent['topic']}-{sent['partition']}-{sent['offset']}"
        assert slate["event_id"] == sent["event_id"]

    def test_who_holds_the_newest_is_told_so(self, shop: System) -> None:
        first = shop.api.get("/v1/users/anna/slate")
        assert first.headers["ETag"] == f'"{first.json["slate_id"]}"'
        again = shop.api.get("/v1/users/anna/slate", If_None_Match=f'"other", W/{first.headers["ETag"]}')
        assert (again.status, again.body) == (304, b"")
        assert shop.api.get("/v1/users/anna/slate", If_None_Match='"other"').status == 200

    def test_somebody_new_gets_the_leaderboard_and_it_is_said_so(self, shop: System) -> None:
        answer = shop.api.get("/v1/users/nobody%2F%C3%BC/slate")
        board = shop.api.get("/v1/leaderboards/*").json
        assert answer.headers["Rillet-Cold-Start"] == "true"
        assert answer.json["cold_start"] is True
        assert answer.json["user_id"] == "nobody/ü"
        assert [each["item_id"] for each in answer.json["items"]] == [item for item, _ in board["items"]]

    def test_places_exclusions_and_categories_cut_it(self, shop: System) -> None:
        whole = shop.api.get("/v1/users/nobody/slate").json["items"]
        cut = shop.api.get(f"/v1/users/nobody/slate?n=2&exclude={whole[0]['item_id']}")
        assert cut.json["items"] == whole[1:3]
        hats = shop.api.get("/v1/users/nobody/slate?category=hats").json["items"]
        assert [each["item_id"] for each in hats] == ["i3"]
        assert cut.headers["ETag"] != shop.api.get("/v1/users/nobody/slate").headers["ETag"]

    def test_what_goes_with_the_item_comes_first_on_its_page(self, shop: System) -> None:
        related = shop.api.get("/v1/items/i0/related").json["items"]
        found = shop.api.get("/v1/users/nobody/slate?context=product&item=i0").json["items"]
        assert "i0" not in [each["item_id"] for each in found]
        assert {each["item_id"] for each in found[: len(related)]} == {item for item, _ in related}
        assert found[0]["reasons"][0][0::2] == ["related", "i0"]

    def test_a_search_is_ranked_by_the_worker(self, shop: System) -> None:
        answer = shop.api.get("/v1/users/nobody/slate?context=search&q=red+shoe&n=3")
        assert answer.status == 200
        assert answer.json["slate_id"].startswith("asked-")
        assert {each["item_id"] for each in answer.json["items"]} <= {f"i{n}" for n in range(6)}
        assert len(answer.json["items"]) == 3

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ("n=0", "$.n"),
            ("n=1&n=2", "2 times"),
            ("context=attic", "attic"),
            ("context=cart", "about items"),
            ("context=search", "about a query"),
            ("colour=red", "colour"),
        ],
    )
    def test_a_parameter_that_makes_no_sense_is_told(self, shop: System, query: str, told: str) -> None:
        answer = shop.api.get(f"/v1/users/anna/slate?{query}")
        assert answer.status == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert told in answer.json["detail"]
        assert answer.json["fix"]


class TestPeople:
    def test_recent_events_come_newest_first(self, shop: System) -> None:
        found = shop.api.get("/v1/users/anna/events?limit=3").json["items"]
        assert [each["item_id"] for each in found] == ["i3", "i2", "i1"]

    def test_the_state_is_told(self, shop: System) -> None:
        state = shop.api.get("/v1/users/anna/state").json
        assert {each["key"] for each in state["categories"]} == {"shoes", "hats"}
        assert len(state["half_lives_s"]) == len(state["categories"][0]["weights"]) == 3

    def test_why_is_told(self, shop: System) -> None:
        answer = shop.api.get("/v1/users/anna/explain?item=i0")
        assert answer.json["asked"]["item_id"] == "i0"
        assert shop.api.get("/v1/users/stranger/explain").status == 404

    def test_what_if_changes_the_imagined_slate_and_nothing_else(self, shop: System) -> None:
        before = shop.api.get("/v1/users/anna/state").json["n_events"]
        imagined = {
            "events": [{"item_id": "i5"}],
            "weights": {"covisitation": 0.0},
            "settings": {"mmr_lambda": 1.0},
        }
        told = shop.api.post("/v1/users/anna/what-if", imagined).json
        assert told["imagined"]["slate_id"] == "imagined-0-0"
        added = [
            each["contribution"]
            for item in told["imagined"]["items"]
            for each in item["contributions"]
            if each["feature"].startswith("covisitation.")
        ]
        assert not any(added)
        assert shop.api.get("/v1/users/anna/state").json["n_events"] == before

    def test_nothing_imagined_changes_nothing(self, shop: System) -> None:
        told = shop.api.post("/v1/users/anna/what-if", {}).json
        assert told["now"]["items"] == told["imagined"]["items"]

    @pytest.mark.parametrize(
        "imagined",
        [
            {"weights": {"luck": 1.0}},
            {"settings": {"mmr_lambda": 2.0}},
            {"events": [{"item_id": 7}]},
            {"weights": {"content": -1.0}},
            {"dream": 1},
        ],
    )
    def test_what_cannot_be_imagined_is_told(self, shop: System, imagined: dict[str, Any]) -> None:
        answer = shop.api.post("/v1/users/anna/what-if", imagined)
        assert answer.status == 400
        assert answer.json["fix"]

    def test_more_than_a_worker_takes_is_told(self, shop: System) -> None:
        answer = shop.api.post("/v1/users/anna/what-if", {"events": [{"item_id": "i5", "note": "x" * 2**21}]})
        assert answer.status == 413

    def test_given_candidates_all_come_back_in_order(self, shop: System) -> None:
        asked = {"user_id": "anna", "item_ids": ["i5", "nix", "i3", "i0", "i3"], "query": "red shoe"}
        found = shop.api.post("/v1/rank", asked).json["items"]
        assert sorted(each["item_id"] for each in found) == ["i0", "i3", "i5", "nix"]
        assert [each["place"] for each in found] == [1, 2, 3, 4]
        scores = [each["score"] for each in found[:3]]
        assert scores == sorted(scores, reverse=True)
        assert (found[3]["item_id"], found[3]["known"], found[3]["score"]) == ("nix", False, None)


class TestEvents:
    def test_each_event_goes_to_its_topic(self, shop: System) -> None:
        events = [
            shop.event("eve", item_id="i0"),
            shop.event("eve", query="hat"),
            shop.event("eve", lines=[{"item_id": "i0"}]),
            shop.event("eve", kind="click", item_id="i1"),
        ]
        answer = shop.api.post("/v1/events", {"events": events}).json
        assert [each["topic"] for each in answer["events"]] == list(topics.BEHAVIOUR)
        assert {each["partition"] for each in answer["events"]} == {answer["events"][0]["partition"]}

    def test_what_is_refused_is_told_and_the_others_are_taken(self, shop: System) -> None:
        late = shop.event("eve", item_id="i0") | {"time_ms": 10**12}
        answer = shop.api.post("/v1/events", [shop.event("eve", item_id="i0"), late, {"kind": "nix"}])
        assert (answer.status, answer.json["accepted"]) == (202, 1)
        assert [(each["index"], each["reason"]) for each in answer.json["rejected"]] == [
            (1, "too_late"),
            (2, "unknown_kind"),
        ]

    def test_a_request_without_a_sound_event_is_refused(self, shop: System) -> None:
        answer = shop.api.post("/v1/events", {"user_id": "eve"})
        assert answer.status == 422
        assert answer.json["rejected"][0]["reason"] == "missing_field"

    def test_an_event_posted_twice_counts_once(self, shop: System) -> None:
        event = shop.event("finn", item_id="i0")
        for _ in range(2):
            assert shop.api.post("/v1/events", event).status == 202
        shop.send("finn", item_id="i1")
        wait_for(
            lambda: shop.api.get("/v1/users/finn/events").json.get("items", [{}])[0].get("item_id") == "i1",
            "both events",
        )
        assert shop.api.get("/v1/users/finn/state").json["n_events"] == 2

    def test_a_form_of_another_site_is_refused(self, shop: System) -> None:
        body = json.dumps(shop.event("eve", item_id="i0")).encode()
        assert shop.api.ask("POST", "/v1/events", body, {"Content-Type": "text/plain"}).status == 415

    def test_a_body_may_be_packed_by_gzip(self, shop: System) -> None:
        packed = gzip.compress(json.dumps(shop.event("eve", item_id="i0")).encode())
        bomb = gzip.compress(bytes(64 * 1024 * 1024))
        by_gzip = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        bodies = (packed, b"no gzip", packed[:-1], packed + b"more", bomb)
        answers = [shop.api.ask("POST", "/v1/events", body, by_gzip).status for body in bodies]
        assert answers == [202, 400, 400, 400, 413]
        assert shop.api.ask("POST", "/v1/events", packed, by_gzip | {"Content-Encoding": "br"}).status == 415

    def test_a_body_that_says_it_is_too_large_is_not_waited_for(self, shop: System) -> None:
        said = {"Content-Type": "application/json", "Content-Length": str(10**9)}
        assert shop.api.ask("POST", "/v1/events", b"[", said).status == 413

    @pytest.mark.parametrize("body", [b"", b"[", b"[]", b"7", b"\xff", b"[" * 100_000])
    def test_what_is_no_event_is_refused(self, shop: System, body: bytes) -> None:
        answer = shop.api.ask("POST", "/v1/events", body, {"Content-Type": "application/json"})
        assert answer.status in (400, 422)
        assert answer.json["fix"]


class TestLists:
    def test_pages_hold_everything_once(self, shop: System) -> None:
        found, cursor = [], ""
        while cursor is not None:
            answer = shop.api.get(f"/v1/items?limit=4{cursor and '&cursor=' + cursor}").json
            found += [each["item_id"] for each in answer["items"]]
            cursor = answer["next"]
        assert found == [f"i{n}" for n in range(6)]

    def test_promotions_say_whether_they_run_and_for_what(self, shop: System) -> None:
        (promotion,) = shop.api.get("/v1/promotions?active=true&item=i3").json["items"]
        assert (promotion["promotion_id"], promotion["active"]) == ("p", True)
        assert shop.api.get("/v1/promotions?item=i0").json["items"] == []
        assert shop.api.get("/v1/promotions?active=false").json["items"] == []

    def test_refused_records_can_be_seen_and_sent_back(self, shop: System) -> None:
        producer = Producer(dict(KafkaSettings(bootstrap_servers=shop.servers).producer()))
        producer.produce(topics.BROWSE, b"{no json", b"gina")
        producer.flush(20)
        (letter,) = wait_for(
            lambda: shop.api.get("/v1/dead-letters?reason=broken_json").json["items"], "a dead letter"
        )
        place = f"/v1/dead-letters/{letter['partition']}/{letter['offset']}"
        assert shop.api.get(place).json["value_text"] == "{no json"
        assert shop.api.get("/v1/dead-letters/0/999").status == 404
        asked = {"reason": "broken_json", "dry_run": True}
        tried = shop.api.post("/v1/dead-letters/replay", asked).json
        assert tried == {"dry_run": True, "sent": {"events.browse": 1}, "exhausted": 0, "homeless": 0}

    def test_a_time_beyond_all_calendars_is_refused(self, shop: System) -> None:
        assert shop.api.post("/v1/dead-letters/replay", {"since_ms": 10**20}).status == 400
        assert shop.api.get(f"/v1/alerts?since_ms={10**20}").status == 400

    def test_one_replay_goes_on_at_a_time(self, shop: System) -> None:
        with ThreadPoolExecutor(2) as both:
            asked = [
                both.submit(shop.api.post, "/v1/dead-letters/replay", {"dry_run": True}) for _ in range(2)
            ]
        assert sorted(each.result().status for each in asked) == [200, 429]

    @pytest.mark.parametrize(
        "path",
        ["/v1/items/nix", "/v1/leaderboards/nix", "/v1/inventory/nix", "/v1/nix", "/nix", "/v1/items/i0/nix"],
    )
    def test_what_is_not_there_is_a_problem(self, shop: System, path: str) -> None:
        answer = shop.api.get(path)
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "application/problem+json"

    def test_another_method_is_a_problem(self, shop: System) -> None:
        answer = shop.api.ask("DELETE", "/v1/events")
        assert (answer.status, answer.json["fix"]) == (405, "It takes POST.")
        assert answer.headers["Allow"] == "POST"

    def test_a_file_of_the_page_is_not_sent_again_to_who_names_it_among_others(self, shop: System) -> None:
        known = shop.api.get("/").headers["ETag"]
        assert shop.api.get("/", If_None_Match=f'"other", W/{known}').status == 304

    def test_every_answer_is_guarded(self, shop: System) -> None:
        for path in ("/livez", "/v1/users/anna/slate", "/nix", "/openapi.json"):
            headers = shop.api.get(path).headers
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "Cache-Control" in headers

    def test_a_cursor_of_somebody_else_is_refused(self, shop: System) -> None:
        for cursor in ("!!!!", "%C3%BC", "a"):
            assert shop.api.get(f"/v1/items?cursor={cursor}").status == 400

    def test_a_foreign_name_is_not_answered(self, shop: System) -> None:
        assert shop.api.get("/v1/users/anna/slate", Host="evil.example").status == 421


@contextmanager
def stream(api: Api, path: str, *headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Messages of a stream, comments left out."""
    address = urlsplit(api.health() or "")
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        lines = [f"GET {path} HTTP/1.1", f"Host: {address.netloc}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        yield messages(connection)


def messages(connection: socket.socket) -> Iterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    with connection.makefile("rb") as lines:
        for line in lines:
            name, colon, value = line.decode().rstrip().partition(": ")
            if colon and name in ("event", "id"):
                fields[name] = value
            elif colon and name == "data":
                yield fields | {"data": json.loads(value)}
                fields = {}
            elif not name and colon:
                yield {"event": "ping"}


class TestStreams:
    def test_the_slate_comes_at_once_and_again_when_it_changes(self, shop: System) -> None:
        shop.send("hugo", item_id="i0")
        known = shop.slate("hugo")
        with stream(shop.api, "/v1/users/hugo/slate/stream") as found:
            first = next(each for each in found if each["event"] == "slate")
            assert (first["id"], first["data"]) == (known["slate_id"], known)
            sent = shop.send("hugo", item_id="i1")["events"][0]
            second = next(each for each in found if each["event"] == "slate")
            assert second["data"]["event_id"] == sent["event_id"]

    def test_who_has_the_slate_gets_signs_of_life_only(self, shop: System) -> None:
        known = shop.slate("hugo")
        with stream(shop.api, "/v1/users/hugo/slate/stream", f"Last-Event-ID: {known['slate_id']}") as found:
            assert next(found) == {"event": "ping"}

    def test_channels_bring_events_and_slates(self, shop: System) -> None:
        with stream(shop.api, "/v1/stream?topics=slates,events") as found:
            assert next(found) == {"event": "ping"}
            shop.send("ida", item_id="i2")
            told: dict[str, Any] = {}
            while told.keys() < {"slates", "events", "rates", "ping"}:
                each = next(found)
                told[each["event"]] = each.get("data")
        assert told["slates"]["value"]["user_id"] == "ida"
        assert told["events"]["topic"] == topics.BROWSE
        assert told["events"]["value"]["user_id"] == "ida"
        assert told["rates"]["seen"]["slates"] >= 1

    def test_an_unknown_channel_is_told(self, shop: System) -> None:
        answer = shop.api.get("/v1/stream?topics=slates,gossip")
        assert answer.status == 400
        assert "gossip" in answer.json["detail"]


class TestProcess:
    def test_a_killed_replica_goes_on_where_it_was(self, shop: System) -> None:
        with shop.another_api("killed").start() as api:
            wait_for(api.ready, "the replica", worker=api)
            api.kill()
            sent = shop.send("jane", item_id="i2")["events"][0]
            shop.slate("jane")
            api.start()
            wait_for(api.ready, "the replica", worker=api)
            assert api.get("/v1/users/jane/slate").json["event_id"] == sent["event_id"]
            taken = {k: v for k, v in api.metrics().items() if k.startswith("rillet_api_records_total")}
            assert sum(taken.values()) < 10  # not all over again: the catalogue alone has 7
            assert api.stop() == 0

    def test_tokens_and_limits_hold(self, shop: System) -> None:
        extra = {
            "RILLET_API__TOKENS": f"read:{SECRET}",
            "RILLET_API__RATE_PER_S": "0.5",
            "RILLET_API__BURST": "2",
            "RILLET_API__MAX_BODY_BYTES": "1024",
            "RILLET_API__MAX_STREAMS": "1",
        }
        with shop.another_api("guarded", **extra).start() as api:
            wait_for(api.ready, "the replica", worker=api)
            assert api.get("/v1/users/anna/slate").status == 401
            mine = {"Authorization": f"Bearer {SECRET}"}
            assert api.post("/v1/events", [], **mine).status == 403
            assert [api.get("/v1/alerts", **mine).status for _ in range(3)] == [200, 200, 429]
            assert int(api.get("/v1/alerts", **mine).headers["Retry-After"]) >= 1
            assert api.get("/readyz").status == 200
            assert SECRET not in api.log_path.read_text()

    def test_a_replica_started_without_a_broker_serves_what_it_holds(self, shop: System) -> None:
        lonely = replace(
            shop.another_api("lonely", RILLET_API__TIMEOUT_S="1"), bootstrap_servers="127.0.0.1:1"
        )
        store = Store(shop.folder / "lonely")
        store.changes().put(topics.SLATES, b"kim", Held(1, b"events.browse-0-1", b'{"n":1}')).write()
        store.close()
        with lonely.start() as api:
            wait_for(api.health, "the replica", worker=api)
            assert api.get("/livez").status == 200
            assert api.get("/v1/users/kim/slate").json == {"n": 1}
            assert api.get("/readyz").json["missing"] == ["read model caught up"]
            refused = api.post("/v1/events", shop.event("kim", item_id="i0"))
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert "The broker has not taken the events" in refused.json["detail"]
            assert api.stop() == 0

    def test_what_is_no_http_is_counted_and_not_logged(self, shop: System) -> None:
        for broken in (f"Bearer {SECRET}\x01", f"Bearer {SECRET * 1000}"):
            address = urlsplit(shop.api.health() or "")
            with socket.create_connection((address.hostname, address.port)) as connection:
                connection.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {broken}\r\n\r\n".encode())
                assert b" 400 " in connection.recv(1000)
        assert shop.api.metrics()['rillet_api_requests_total{route="none",status="400"}'] >= 2
        assert SECRET not in shop.api.log_path.read_text()

    def test_topics_of_another_number_of_partitions_end_it(self, shop: System) -> None:
        with shop.another_api("parted", RILLET_TOPICS__PARTITIONS="8").start() as api:
            assert api.process is not None
            assert api.process.wait(30) == 2
            assert (
                "api_stops exit=2: Topics of the embedded broker have 4 partitions"
                in api.log_path.read_text()
            )

    def test_it_is_refused_to_serve_others_without_tokens(self, shop: System) -> None:
        with shop.another_api("open", RILLET_API__HOST="0.0.0.0").start() as api:
            assert api.process is not None
            assert api.process.wait(30) == 2
            assert "RILLET_API__TOKENS" in api.log_path.read_text()
