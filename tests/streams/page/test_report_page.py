"""The report in a browser: it can be read by all."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser
from report_findings import gathered, late, with_assets

from streams.report.page import page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every section that there is."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    found = gathered()._replace(inventory=with_assets())
    path.write_text(page(found, [late(60.0, 0.1), late(3600.0, 0.3)]), encoding="utf-8")
    return path


def test_it_is_accessible_in_light_and_dark(browser: Browser, node_modules: Path, report: Path) -> None:
    tab = browser.new_page()
    complaints: list[str] = []
    tab.on("console", lambda said: complaints.append(said.text))
    tab.goto(report.as_uri())
    tab.evaluate((node_modules / "axe-core/axe.min.js").read_text())
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]
        assert told == [], scheme
    assert complaints == []
    tab.close()
