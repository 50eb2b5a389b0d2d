"""The live page in Chromium: how large it is, how soon it is there, and how many updates a second it draws.

    PYTHONPATH=tests/support python tests/bench/page.py --seconds 10

Starts are loads of the real page from the API, nothing cached, beside a broker, a worker and a simulated shop. Updates
are records of that shop, noted down and then fed to the page's own stream reader at a fixed rate by the tab itself: the
API sends a page 30 a second at most. A frame is lost where two are further apart than one and a half of the usual.
"""

import argparse
import gzip
import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from api_process import System
from bench_result import quantiles, write
from live_page import CHROMIUM, FLAGS, PAGE, running_shop
from playwright.sync_api import Browser, Page, sync_playwright

RATES = (0, 30, 100, 300, 1_000, 3_000)
RECORDED_S = 20.0
N_STARTS = 20
CHANNELS = "slates,events,dead-letters"

NOTE_MARKS = """
globalThis.marks = {};
const note = () => {
  if (document.querySelector("h1")) marks.shown_ms ??= performance.now();
  if (document.querySelector(".badge.good")) marks.live_ms ??= performance.now();
};
new MutationObserver(note).observe(document, {subtree: true, childList: true, attributes: true});
"""

FEED = """
const feed = %s, perSecond = %d, real = fetch;
globalThis.fetch = async (path, how) =>
  String(path).startsWith("/v1/stream") ? new Response(stream()) : real(path, how);
function stream() {
  const encoder = new TextEncoder();
  let sent = 0, began = performance.now();
  return new ReadableStream({start: (out) => setInterval(() => {
    const due = Math.floor((performance.now() - began) * perSecond / 1000);
    for (; sent < due; sent++) {
      const offset = '"offset":' + sent;
      out.enqueue(encoder.encode(feed[sent %% feed.length].replace(/"offset":\\d+/, offset) + "\\n\\n"));
    }
  }, 8)});
}
"""

FRAMES = """
(seconds) => new Promise((done) => {
  const at = [];
  const frame = (now) => {
    at.push(now);
    now - at[0] < 1000 * seconds ? requestAnimationFrame(frame) : done(at);
  };
  requestAnimationFrame(frame);
})
"""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=10.0, help="of each rate")
    seconds = options.parse_args().seconds
    with (
        tempfile.TemporaryDirectory() as folder,
        running_shop(Path(folder)) as system,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        recorded = record(system)
        figures = {
            "chromium": browser.version,
            "bundle": sizes(),
            "start": starts(browser, str(system.api.health())),
            "updates": [
                updates(browser, str(system.api.health()), recorded, rate, seconds) for rate in RATES
            ],
        }
        browser.close()
    write("page", figures)


def sizes() -> dict[str, int]:
    """Bytes as committed and as sent packed."""
    page = (PAGE / "dist" / "index.html").read_bytes()
    return {"raw_bytes": len(page), "gzip_bytes": len(gzip.compress(page, 9))}


def record(system: System) -> list[str]:
    """Messages of the stream, as they were sent."""
    found: list[str] = []
    until = time.monotonic() + RECORDED_S
    address = f"{system.api.health()}/v1/stream?topics={CHANNELS}&max_per_s=50"
    with urllib.request.urlopen(address, timeout=30) as lines:
        message = ""
        while time.monotonic() < until:
            line = lines.readline().decode()
            message += line
            if line == "\n":
                found += [message.strip()] if message.startswith("event:") else []
                message = ""
    return found


def starts(browser: Browser, address: str) -> dict[str, Any]:
    """Milliseconds from the request of the page to its view, which answers to clicks, and to its first records."""
    marks = [start(browser, address) for _ in range(N_STARTS)]
    return {
        name: quantiles([each[name] for each in marks], "ms")
        for name in ("painted_ms", "shown_ms", "live_ms")
    }


def start(browser: Browser, address: str) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(NOTE_MARKS)
    page.goto(f"{address}/#/now")
    page.wait_for_function("() => marks.live_ms")
    found: dict[str, float] = page.evaluate(
        "({...marks, painted_ms: performance.getEntriesByName('first-contentful-paint')[0].startTime})"
    )
    context.close()
    return found


def updates(browser: Browser, address: str, recorded: list[str], rate: int, seconds: float) -> dict[str, Any]:
    """Frames while so many records a second come."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.add_init_script(FEED % (json.dumps(recorded), rate))
    page.goto(f"{address}/#/now")
    page.wait_for_selector(".tail li" if rate else ".tail", state="attached")
    found = {"records_per_s": rate, **frames(page, seconds)}
    context.close()
    return found


def frames(page: Page, seconds: float) -> dict[str, Any]:
    gaps = np.diff(page.evaluate(FRAMES, seconds))
    usual = float(np.median(gaps))
    lost = np.maximum(0.0, np.round(gaps / usual) - 1.0).sum()
    return {
        "frames_per_s": round(len(gaps) / seconds, 1),
        "lost_share": round(float(lost / (lost + len(gaps))), 4),
        **quantiles(gaps.tolist(), "ms"),
    }


if __name__ == "__main__":
    main()
