"""The documentation site is built without a warning, holds what it must, and fetches nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reference_pages import PAGES

ROOT = Path(__file__).parents[2]

# Links that lead nowhere, and by what a warning names each.
DEAD = {
    "[gone](gone.md)": "gone.md",
    "[no such section](running.md#no-such-section)": "no-such-section",
    "[no such hook](reference/hooks.md#mritk_nothing)": "mritk_nothing",
}


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of ``root`` strictly."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


class Fetched(HTMLParser):
    """The addresses that a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what ``tag`` fetches."""
        given = dict(attrs)
        self.addresses += [given[key] or "" for key in ("src", "srcset", "data") if key in given]
        if tag == "link":
            self.addresses.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built once."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_has_a_page_for_each_document_and_for_the_reference(site):
    written = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    for page in [*map(str, written), *PAGES]:
        assert (site / page).with_suffix(".html").is_file()
    assert "mritk_trial_finish" in (site / "reference" / "hooks.html").read_text("utf-8")
    assert not list(site.rglob("*.py"))
    assert not list(site.rglob("*.pyc"))


@pytest.mark.slow
def test_the_search_finds_hooks_options_and_fields(site):
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    for word in ("mritk_epoch_end", "checkpoint-minutes", "pretrained_on", "MRITK_OFFLINE"):
        assert word in index


@pytest.mark.slow
def test_nothing_is_fetched_from_a_network_while_reading(site):
    for page in site.rglob("*.html"):
        parser = Fetched()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.addresses
        assert not [a for a in parser.addresses if re.match(r"(https?:)?//", a)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text("utf-8"))


@pytest.fixture(scope="module")
def refused(tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """The build of a copy with three dead links, and a page that the navigation leaves out.

    Of the pages it has the headings, to which the reference leads: the rest takes time to render.
    """
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    for page in (folder / "docs").rglob("*.md"):
        lines = page.read_text(encoding="utf-8").splitlines()
        page.write_text("\n\n".join(line for line in lines if line.startswith("#")) + "\n")
    with (folder / "docs" / "metrics.md").open("a", encoding="utf-8") as page:
        page.writelines(f"\n{link}\n" for link in DEAD)
    (folder / "docs" / "lost.md").write_text("# Lost\n")
    return build(folder, folder / "site")


def warnings(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What stops a strict build: each warning, with the lines that go on."""
    return re.findall(r"^WARNING.*(?:\n {2,}.*)*", done.stderr, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("told", DEAD.values())
def test_a_dead_link_stops_the_build(refused, told):
    """The rules of ``validation`` in mkdocs.yml are in force."""
    assert refused.returncode != 0
    assert any("metrics.md" in warning and told in warning for warning in warnings(refused))


@pytest.mark.slow
def test_a_page_outside_the_navigation_stops_the_build(refused):
    assert refused.returncode != 0
    assert any("lost.md" in warning for warning in warnings(refused))


@pytest.mark.slow
def test_every_warning_stops_the_build_and_nothing_else_is_warned_of(refused):
    """So that each of what was planted would have stopped it alone."""
    said = refused.stdout + refused.stderr
    assert f"Aborted with {len(DEAD) + 1} warnings in strict mode" in said
