"""The page that is committed is the one that its sources build, and needs nothing but itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from live_page import PAGE

SOURCES = ("package.json", "tsconfig.json", "build.mjs", "src")


def run(*command: str, folder: Path = PAGE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=170)


def test_the_committed_page_is_what_the_sources_build(node_modules, tmp_path):
    for name in SOURCES:
        source = PAGE / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / "node_modules").symlink_to(node_modules)
    built = run("npm", "run", "--silent", "build", folder=tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    same = (tmp_path / "dist/index.html").read_bytes() == (PAGE / "dist/index.html").read_bytes()
    assert same, "run: make page"


def test_the_sources_are_typed_formatted_and_without_findings(node_modules):
    checked = run("npm", "run", "--silent", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_parsing_quantiles_and_curves_are_right(node_modules, tmp_path):
    test = Path(__file__).with_name("pure.test.ts")
    bundle = tmp_path / "pure.mjs"
    built = run(
        str(node_modules / ".bin/esbuild"),
        str(test),
        "--bundle",
        "--platform=node",
        "--format=esm",
        f"--outfile={bundle}",
    )
    assert built.returncode == 0, built.stderr
    tested = run("node", "--test", str(bundle))
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    "pattern", [r"<(script|img|iframe)[^>]*\ssrc=", r"<link[^>]*href=\"(?!data:)", r"@import", r"\beval\("]
)
def test_the_page_fetches_nothing_and_evaluates_nothing(pattern):
    assert not re.search(pattern, (PAGE / "dist/index.html").read_text())


def test_the_lock_file_names_no_host():
    assert "resolved" not in (PAGE / "package-lock.json").read_text()
