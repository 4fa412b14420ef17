"""The built site: every page has its place, its links lead somewhere, and it fetches nothing from elsewhere."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ..harness import ROOT
from ..harness.documentation import DOCS


def test_every_page_has_its_place() -> None:
    settings = (ROOT / ".mkdocs.yml").read_text("utf-8")
    placed = re.findall(r"(\S+\.md)$", settings, re.M)
    assert sorted(placed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / ".mkdocs.yml", folder)
    shutil.copytree(DOCS, folder / "docs")
    shutil.copytree(ROOT / "simplysocket", folder / "simplysocket")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", ".mkdocs.yml"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "build" / "docs"


def test_the_site_fetches_nothing_from_elsewhere(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    pages = sorted(page for page in site.rglob("*.html") if page.parent.name != "adr")  # which all look alike
    assert len(pages) > 20
    pages.append(next((site / "adr").glob("*.html")))
    for each in pages:
        page.goto(each.as_uri())
        assert page.locator("h1").count() == 1, each
    page.close()
    assert {url.partition(":")[0] for url in fetched} <= {"file", "data", "blob"}


def test_the_site_shows_no_internals_as_defaults(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    for each in sorted((site / "reference").glob("*.html")):
        page.goto(each.as_uri())
        for signature in page.locator(".doc-signature").all_inner_texts():
            assert not re.search(r"codec|EMPTY|NO_BODY|PIPE_BYTES|attrs\.|msgspec|\b_[a-z]", signature), signature
        assert not any(note.is_visible() for note in page.locator(".code-host").all())
    page.close()


def test_the_links_of_the_site_lead_somewhere(site: Path) -> None:
    class Links(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.links: list[str] = []
            self.ids: set[str] = set()

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            given = dict(attributes)
            self.links += [given["href"] or ""] if "href" in given else []
            self.ids |= {given["id"] or ""} if "id" in given else set()

    found: dict[Path, Links] = {}
    for page in site.rglob("*.html"):
        found[page] = Links()
        found[page].feed(page.read_text("utf-8"))
    for page, links in found.items():
        for link in links.links:
            place, _, fragment = link.partition("#")
            is_for_a_code_host = place.startswith("../../simplysocket/")  # the site hides this note
            if not place.startswith("http") and page.name != "404.html" and not is_for_a_code_host:
                target = (page.parent / place).resolve() if place else page
                assert target.exists(), f"{page.name}: {link}"
                if fragment and not fragment.startswith("__"):
                    assert fragment in found[target].ids, f"{page.name}: {link}"


def test_make_docs_says_where_the_site_is() -> None:
    command = ["make", "--dry-run", "--no-print-directory", "docs"]  # the tests themselves run below `make test`
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"{ROOT}/build/docs/index.html" in ran.stdout.splitlines()[-1]
