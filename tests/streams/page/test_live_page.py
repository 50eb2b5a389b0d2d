"""The page in a real Chromium, over a running shop."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from api_process import System
from chaos import wait_for
from confluent_kafka import Producer
from playwright.sync_api import Browser, BrowserContext, Page, expect

from schemas import topics

VIEWS = {
    "now": "Now",
    "user": "A user",
    "catalogue": "Catalogue",
    "learning": "Learning",
    "data": "Data",
    "operations": "Operations",
}
WAIT_MS = 30_000
EVIL = '<img src=x onerror="document.title=1">'

expect.set_options(timeout=WAIT_MS)


class Tab:
    """A tab, and what its console complained of."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.complaints: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: object) -> None:
        if message.type in ("error", "warning"):  # type: ignore[attr-defined]
            self.complaints.append(message.text)  # type: ignore[attr-defined]

    def open(self, view: str) -> Page:
        self.page.goto(f"{self.address}/#/{view}")
        expect(self.page.locator("h1")).to_have_text(VIEWS[view.split("/")[0].split("?")[0]])
        return self.page


@contextmanager
def opened(browser: Browser, address: str, **how: object) -> Iterator[Tab]:
    context: BrowserContext = browser.new_context(**how)  # type: ignore[arg-type]
    try:
        yield Tab(context.new_page(), address)
    finally:
        context.close()


@pytest.fixture
def tab(browser: Browser, system: System) -> Iterator[Tab]:
    """A fresh tab on the running shop; whatever its console says is a failure."""
    with opened(browser, str(system.api.health())) as tab:
        yield tab
        assert tab.complaints == []


def known_user(tab: Tab) -> str:
    tab.open("user")
    tab.page.locator(".chips a").first.click()
    expect(tab.page.locator(".slate li").first).to_be_visible()
    return tab.page.url.rpartition("/")[2]


def test_events_and_slates_flow_with_their_rates_latency_and_lag(tab):
    page = tab.open("now")
    expect(page.locator(".badge")).to_have_text("Live")
    expect(page.locator(".tail li").nth(5)).to_be_visible()
    expect(page.locator(".tile", has_text="Latency, p99")).to_contain_text(re.compile(r"\d+ m?s"))
    expect(page.locator(".tile", has_text="Ranked by")).to_contain_text("listwise")
    expect(page.get_by_label("Time from an event to its slate").locator("canvas")).to_be_visible()
    expect(page.get_by_label("Events a second by topic").locator("b").first).to_have_text(
        re.compile(r"^[1-9\.][\d.]*$")
    )


def test_the_flow_moves_and_stands_still_while_paused(tab):
    page = tab.open("now")
    canvas = page.locator(".flow canvas")
    expect(page.locator(".tail li").first).to_be_visible()
    picture = "canvas => canvas.toDataURL()"
    first = canvas.evaluate(picture)
    wait_for(lambda: canvas.evaluate(picture) != first, "a dot that moves", timeout_s=30)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".badge")).to_have_text("Paused")
    stopped, newest = canvas.evaluate(picture), page.locator(".tail").inner_text()
    page.wait_for_function("new Promise(done => setTimeout(() => done(true), 1500))")
    assert (canvas.evaluate(picture), page.locator(".tail").inner_text()) == (stopped, newest)
    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: page.locator(".tail").inner_text() != newest, "newer records", timeout_s=30)


def test_a_users_events_interest_and_slate_are_shown_with_reasons(tab):
    user = known_user(tab)
    page = tab.page
    expect(page.get_by_label("User id")).to_have_value(user)
    expect(page.locator(".timeline li").first).to_be_visible()
    expect(page.locator(".interest table").first).to_contain_text("15 min")
    expect(page.locator(".slate li small").first).to_contain_text("%")
    expect(page.locator(".pairs")).to_contain_text("Impressions")


def test_an_imagined_event_changes_the_slate_beside_the_one_that_is(tab):
    known_user(tab)
    page = tab.page
    page.get_by_label("Item id").fill("i00003")
    page.get_by_label("content", exact=True).fill("0")
    page.get_by_role("button", name="Compare").click()
    now, imagined = page.get_by_label("As it is"), page.get_by_label("As it would be")
    expect(imagined.locator("li").first).to_be_visible()
    items = "section => [...section.querySelectorAll('a')].map(link => link.title)"
    assert now.evaluate(items) != imagined.evaluate(items)
    expect(imagined.locator(".moved", has_text=re.compile("new|▲|▼")).first).to_be_visible()
    page.get_by_role("button", name="As it is").click()
    expect(imagined).to_have_count(0)


def test_an_imagined_purchase_is_at_the_price_of_the_catalogue(tab):
    known_user(tab)
    page = tab.page
    page.get_by_role("combobox", name="Event", exact=True).select_option("purchase")
    page.get_by_label("Item id").fill("i00003")
    with page.expect_request("**/what-if") as asked:
        page.get_by_role("button", name="Compare").click()
    assert asked.value.post_data_json["events"] == [{"lines": [{"item_id": "i00003"}]}]
    expect(page.get_by_label("As it would be").locator("li").first).to_be_visible()


def test_a_leaderboard_leads_to_an_item_and_what_goes_with_it(tab):
    page = tab.open("catalogue")
    board = page.locator(".ranked li")
    expect(board.first).to_be_visible()
    page.get_by_role("combobox", name="Of", exact=True).select_option(index=1)
    expect(page).to_have_url(re.compile("catalogue/board/"))
    expect(board.first).to_be_visible()
    page.locator(".ranked .item").first.click()
    expect(page.get_by_label("Goes with it")).to_be_visible()
    expect(page.locator(".pairs")).to_contain_text("category")


def test_models_are_compared_over_time_by_a_figure_of_choice(tab):
    page = tab.open("learning")
    roles = page.get_by_label("Mean kept NDCG@10 in this window")
    expect(roles).to_contain_text("listwise")
    expect(roles).to_contain_text("serves")
    page.get_by_role("combobox", name="Figure", exact=True).select_option("log_loss")
    expect(page).to_have_url(re.compile("figure=log_loss"))
    expect(page.get_by_label("log loss by model").locator("canvas")).to_be_visible()


def test_a_cell_of_the_quality_map_opens_its_windows_and_evidence(tab):
    page = tab.open("data")
    page.locator(".heat .cell").first.click()
    windows = page.get_by_label("Windows of this check, newest first")
    expect(windows.locator("tbody tr").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"data/events\."))


def test_what_data_is_worth_has_intervals(tab):
    page = tab.open("data")
    expect(page.get_by_label("Worth", exact=True).locator("tr").first).to_contain_text("±")
    page.get_by_role("combobox", name="By", exact=True).select_option("source")
    expect(page.get_by_label("Worth", exact=True)).to_contain_text("browse")


def test_a_dead_letter_shows_its_bytes_and_is_sent_again_after_a_dry_try(tab):
    page = tab.open("data")
    letters = page.get_by_label("Dead letters, newest first")
    letters.locator("button").first.click()
    expect(page.locator(".letter pre")).not_to_be_empty()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("combobox", name="Refused for", exact=True).select_option(index=1)
    page.get_by_role("button", name="What would be sent again?").click()
    expect(page.get_by_text("Would send")).to_be_visible()
    page.get_by_role("button", name=re.compile(r"Send \d+ again")).click()
    expect(page.get_by_text(re.compile(r"^Sent \d+ to events\."))).to_be_visible()


def test_what_was_tried_dry_is_what_is_sent(tab):
    page = tab.open("data")
    page.get_by_role("button", name="What would be sent again?").click()
    again = page.get_by_role("button", name=re.compile(r"Send \d+ again"))
    expect(again).to_be_visible()
    page.get_by_role("combobox", name="Refused for", exact=True).select_option(index=1)
    expect(again).to_have_count(0)


def test_an_event_that_makes_no_sense_does_not_break_the_view(tab, system):
    page = tab.open("now")
    expect(page.locator(".tail li").first).to_be_visible()
    producer = Producer({"bootstrap.servers": system.servers})
    for n, fields in enumerate(({"lines": 5}, {"lines": [None]}, {"item_ids": {}, "kind": []})):
        user = f"senseless-{n}"

        def seen(user: str = user, fields: dict[str, object] = fields) -> bool:
            producer.produce(topics.PURCHASE, json.dumps({"user_id": user, **fields}), user.encode())
            assert producer.flush(30) == 0
            return page.locator(".tail a", has_text=user).count() > 0

        wait_for(seen, "it among the newest", timeout_s=30)
    expect(page.locator(".tail a", has_text="senseless")).to_have_count(0)  # others come after them


def test_a_slate_that_came_during_a_pause_is_shown_after_it(tab, system):
    user = "paused-upon"
    system.send(user, item_id="i00001")
    before = system.slate(user)
    wait_for(lambda: system.api.get(f"/v1/users/{user}/state").status == 200, "the user")
    page = tab.open(f"user/{user}")
    expect(page.locator(".slate > li > a").first).to_be_visible()

    def shown() -> list[str]:
        return page.locator(".slate > li > a").evaluate_all("links => links.map(link => link.title)")

    def of_api() -> list[str]:
        return [item["item_id"] for item in system.slate(user)["items"]]

    page.get_by_role("button", name="Pause").click()
    stopped = shown()
    for item in before["items"][:3]:
        system.send(user, item_id=item["item_id"])
    wait_for(lambda: of_api() != stopped, "another slate")
    assert shown() == stopped
    page.get_by_role("button", name="Resume").click()
    wait_for(lambda: shown() == of_api(), "the newest slate", timeout_s=30)


def test_a_tab_in_the_background_leaves_its_connections_to_others(tab, system):
    known_user(tab)
    page = tab.page

    def n_streams() -> int:
        return system.api.get("/v1/system").json["n_streams"]

    wait_for(lambda: n_streams() == 2, "both streams")
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.away, configurable: true})")
    seen = "away => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(seen, True)
    wait_for(lambda: n_streams() == 0, "no stream")
    page.evaluate(seen, False)
    wait_for(lambda: n_streams() == 2, "both streams again")
    expect(page.locator(".badge")).to_have_text("Live")


def test_what_is_older_than_the_window_goes_while_the_page_is_open(tab):
    tab.page.add_init_script("const now = Date.now; Date.now = () => now() + (window.aheadMs ?? 0)")
    page = tab.open("data")
    expect(page.locator(".heat .cell").first).to_be_visible()
    page.evaluate("window.aheadMs = 16 * 60_000")
    expect(page.get_by_text("No source has been checked in this window.")).to_be_visible()


def test_a_clock_that_is_ahead_makes_nothing_quiet(tab):
    tab.page.add_init_script("const now = Date.now; Date.now = () => now() + 60_000")
    page = tab.open("now")
    expect(page.locator(".tail li").nth(5)).to_be_visible()
    expect(page.locator(".badge")).to_have_text("Live")


def test_the_heading_is_focused_where_a_link_is_gone_with_what_was_there(tab):
    page = tab.open("catalogue")
    page.locator(".ranked .item").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Goes with it")).to_be_visible()
    expect(page.locator("h1")).to_be_focused()


def test_an_address_that_names_nothing_leads_to_what_is_there(browser, system):
    with opened(browser, str(system.api.health())) as tab:
        for address in ("constructor", "now?window=constructor"):
            tab.page.goto("about:blank")
            tab.page.goto(f"{tab.address}/#/{address}")
            expect(tab.page.locator("h1")).to_have_text("Now")
            expect(tab.page.get_by_role("combobox", name="Window", exact=True)).to_have_value("15m")
        assert tab.complaints == []
        expect(tab.open("catalogue").locator(".ranked li").first).to_be_visible()
        tab.open("catalogue/board/none")
        expect(tab.page.get_by_role("alert")).to_be_visible()
        expect(tab.page.locator(".ranked")).to_have_count(0)  # not that of the board before


def test_workers_partitions_and_the_api_itself_are_told_of(tab):
    page = tab.open("operations")
    expect(page.locator(".worker")).to_contain_text("ready")
    expect(page.locator(".worker")).to_contain_text("MiB")
    expect(page.get_by_label("Partitions", exact=True).locator("tbody tr")).to_have_count(16)
    expect(page.get_by_label("The API")).to_contain_text("caught up")
    expect(page.get_by_label("Topics of the read model")).to_contain_text("recommendations.user")


def test_the_time_window_is_in_the_address_and_stays_from_view_to_view(tab):
    page = tab.open("now")
    page.get_by_role("combobox", name="Window", exact=True).select_option("1h")
    page.get_by_role("link", name="Learning").click()
    expect(page).to_have_url(re.compile(r"#/learning\?window=1h$"))
    page.reload()
    expect(page.get_by_role("combobox", name="Window", exact=True)).to_have_value("1h")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Now")


def test_the_page_is_walked_by_keyboard(tab):
    page = tab.open("now")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_be_focused()
    page.reload()
    page.keyboard.press("Tab")
    for name in ("Window", "Pause", "Colours", "Token", "Now", "A user"):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.closest('label, button, a').innerText")
        assert focused.startswith(name)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("A user")
    expect(page.locator("h1")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("User id")).to_be_focused()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_accessible_in_light_and_dark(tab, node_modules, view):
    if view == "user":
        known_user(tab)
    page = tab.page if view == "user" else tab.open(view)
    expect(page.locator(".loading")).to_have_count(0)
    page.evaluate((node_modules / "axe-core/axe.min.js").read_text())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [
            (each["id"], each["nodes"][0]["html"], each["nodes"][0]["failureSummary"])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert told == [], scheme


def test_no_view_is_wider_than_a_phone(browser, system):
    how = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with opened(browser, str(system.api.health()), **how) as tab:
        for view in VIEWS:
            page = known_user(tab) and tab.page if view == "user" else tab.open(view)
            expect(page.locator(".loading")).to_have_count(0)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, view
        assert tab.complaints == []


def test_what_comes_from_data_is_text_and_never_markup(tab, system):
    item = {"item_id": EVIL, "category": EVIL, "brand": EVIL, "price": 5.0}
    system.send(EVIL, **item)
    system.send(EVIL, query=EVIL)
    wait_for(lambda: system.api.get(f"/v1/users/{quote(EVIL, safe='')}/state").status == 200, "the user")
    page = tab.open("user")
    page.get_by_label("User id").fill(EVIL)
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".timeline li").first).to_contain_text(EVIL)
    expect(page.locator(".interest")).to_contain_text(EVIL)
    tab.open("now")
    assert page.locator("main img").count() == 0
    assert page.title() == "Now · Rillet"


def test_the_page_says_that_it_is_cut_off_and_comes_back_by_itself(browser, system):
    with opened(browser, str(system.api.health())) as tab:
        page = tab.open("now")
        expect(page.locator(".badge")).to_have_text("Live")
        system.api.stop()
        expect(page.locator(".badge")).to_have_text("Cut off, trying again")
        system.api.start()
        wait_for(system.api.ready, "the API", worker=system.api)
        expect(page.locator(".badge")).to_have_text("Live")
        newest = page.locator(".tail").inner_text()
        wait_for(lambda: page.locator(".tail").inner_text() != newest, "newer records", timeout_s=30)


def test_a_token_is_asked_for_and_kept_for_the_tab_only(browser, system):
    tokens = "read:correct-horse-battery admin:staple-of-the-trade"
    with system.another_api("guarded", RILLET_API__TOKENS=tokens).start() as api:
        wait_for(api.ready, "the API", worker=api)
        with opened(browser, str(api.health())) as tab:
            page = tab.open("now")
            expect(page.locator(".badge")).to_have_text("No access")
            page.get_by_label("Token of the API").fill("wrong")
            page.get_by_role("button", name="Use it").click()
            expect(page.get_by_label("Token of the API")).to_be_focused()
            expect(page.get_by_role("alert")).to_have_text("The token is not known. ")
            page.get_by_label("Token of the API").fill("correct-horse-battery")
            page.get_by_role("button", name="Use it").click()
            expect(page.locator(".badge")).to_have_text("Live")
            page.reload()
            expect(page.locator(".badge")).to_have_text("Live")
            page.route("**/v1/**", lambda route: route.fulfill(status=401, json={"detail": "Gone."}))
            page.reload()
            expect(page.locator(".badge")).to_have_text("No access")
            expect(page.get_by_role("alert")).to_have_text("Gone. ")
            page.unroute("**/v1/**")
            page.get_by_label("Token of the API").fill("correct-horse-battery")  # the same again
            page.get_by_role("button", name="Use it").click()
            expect(page.locator(".badge")).to_have_text("Live")
            stored = page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href]")
            assert "correct-horse-battery" not in json.dumps(stored)
            tab.open("data")
            page.get_by_role("button", name="What would be sent again?").click()
            expect(page.get_by_role("alert")).to_contain_text("admin")


def test_an_empty_system_says_what_is_missing_in_every_view(browser, empty):
    with opened(browser, empty) as tab:
        expect(tab.open("now").locator(".badge")).to_have_text("Connected, nothing yet")
        expect(tab.page.get_by_text("No alerts in this window.")).to_be_visible()
        expect(tab.open("user").get_by_text("Nobody yet.")).to_be_visible()
        expect(tab.open("catalogue").get_by_text("No leaderboard has been published yet.")).to_be_visible()
        expect(tab.open("learning").get_by_text("No model has reported")).to_be_visible()
        expect(tab.open("data").get_by_text("No source has been checked")).to_be_visible()
        expect(tab.open("operations").locator(".worker")).to_contain_text("not ready")
        assert tab.complaints == []


def test_how_long_it_has_been_quiet_is_seen_and_not_told_anew_every_second(browser, empty):
    with opened(browser, empty) as tab:
        tab.page.add_init_script("const now = Date.now; Date.now = () => now() + (window.aheadMs ?? 0)")
        page = tab.open("now")
        event = {"event_id": "e", "user_id": "u", "item_id": "i", "time_ms": time.time_ns() // 1_000_000}
        expect(page.locator(".badge")).to_have_text("Connected, nothing yet")
        assert page.request.post(f"{empty}/v1/events", data=event).status == 202
        expect(page.locator(".badge")).to_have_text("Live")
        page.evaluate("window.aheadMs = 20_000")
        expect(page.locator(".badge")).to_have_text(re.compile(r"^Quiet for \d+ s$"))
        assert page.locator(".badge").aria_snapshot() == "- status: Quiet"


def test_the_page_asks_nobody_but_its_own_address(tab):
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    for view in VIEWS:
        tab.open(view)
    assert {url.split("/v1/")[0].split("/#")[0] for url in asked if not url.startswith("data:")} <= {
        tab.address,
        f"{tab.address}/",
    }
