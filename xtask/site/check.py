"""Checks the built documentation site: check.py FOLDER.

The reference has every symbol and constant, and the names in every language of a binding; links lead to pages and anchors of the site; no page
loads anything from elsewhere; in a browser the search finds names and rows from local files, and no page is wider than a phone.
"""

import os
import pathlib
import re
import shutil
import sys
import urllib.parse
from html.parser import HTMLParser

import bindings
import rows
from playwright.sync_api import sync_playwright
from sphinx.util.inventory import InventoryFile

ROOT = pathlib.Path(__file__).parents[2]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
# What is searched for, and the page and anchor of the first result.
SEARCHES = {
    "tn_array_give": "docs/reference/promise.html#c.tn_array_give",
    "TN_ERR_POISONED": "docs/reference/library.html#c.TN_ERR_POISONED",
    "PO-44": "docs/spec/pools.html#PO-44",
    "X12": "docs/spec/arrays.html#X12",
}
# Attributes that load something, and `a`, which only leads there.
LOADS = {("img", "src"), ("script", "src"), ("link", "href"), ("source", "srcset"), ("iframe", "src")}
# What reaches out of the screen and does not lie in a block or table that scrolls by itself. The width of the document does not tell: the
# theme cuts what is too wide.
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && e.checkVisibility({ visibilityProperty: true }))
    .filter((e) => !e.closest("pre, .table-wrapper, .sidebar-drawer, .toc-drawer"))
    .map((e) => `<${e.localName}> ${e.textContent.trim().slice(0, 60)}`).slice(0, 3)"""


class Page(HTMLParser):
    """The anchors of a page, and where it leads."""

    def __init__(self, file):
        super().__init__()
        self.anchors, self.links, self.loads, self.double = set(), set(), set(), set()
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                if value in self.anchors:
                    self.double.add(value)
                self.anchors.add(value)
            elif tag == "a" and name == "href" and value:
                self.links.add(value)
            elif (tag, name) in LOADS and value:
                self.loads.add(value)


def entries(folder):
    """The names of the reference, as its index has them for other sites."""
    with (folder / "objects.inv").open("rb") as stream:
        inventory = InventoryFile.load(stream, "", lambda *parts: "/".join(parts))
    return {name for kind, names in inventory.items() if kind.startswith("c:") for name in names}


def is_complete(folder):
    """Every exported symbol, constant, type and macro has an entry; no entry is of something else."""
    headers = [(ROOT / "include" / name).read_text("utf-8") for name in ("tenure.h", "tenure_bindings.h")]
    code = re.sub(r"/\*.*?\*/", "", "".join(headers), flags=re.DOTALL)
    declared = set(re.findall(r"\b(?:tn|TN)_\w+", code)) - {"TN_ENUM", "TN_POINTER", "TN_STATIC_CHECKS"}
    symbols = set((ROOT / "abi/symbols.txt").read_text("utf-8").split())
    found = {name for name in entries(folder) if "." not in name}
    yield from (f"the reference has no entry of {name}" for name in sorted((declared | symbols) - found))
    yield from (f"the reference has {name}, which the headers have not" for name in sorted(found - declared))


def names_every_language():
    """Each folder of a binding is read, and its names are found. The preload library has no names of its own."""
    folders = {path.parent.name for path in (ROOT / "bindings").glob("*/README.md")} - {"malloc"}
    yield from (f"bindings/{folder}: xtask/site/bindings.py does not read it" for folder in sorted(folders - bindings.READERS.keys()))
    languages = {language for language, _ in bindings.READERS.values()}
    for function in ("tn_array_give", "tn_take"):
        missing = languages - bindings.names(ROOT)[function].keys()
        yield from (f"the reference has no name of {function} in {language}" for language in sorted(missing))


def has_all_rows(pages):
    for name, page in rows.ids(ROOT).items():
        if name not in pages[f"{page}.html"].anchors:
            yield f"{page}.html has no anchor {name}"


def links_hold(folder, pages):
    for name, page in pages.items():
        yield from (f"{name}: the anchor {anchor} is there twice" for anchor in sorted(page.double))
        for link in sorted(page.links | page.loads):
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loads and parts.scheme != "data":
                    yield f"{name} loads {link}"
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), urllib.parse.unquote(parts.path))) if parts.path else name
            if not (folder / path).is_file():
                yield f"{name} links {link}, which is not there"
            elif parts.fragment and path in pages and urllib.parse.unquote(parts.fragment) not in pages[path].anchors:
                yield f"{name} links {link}, an anchor that is not there"


def in_browser(folder, pages):
    chromium = shutil.which("chromium")
    with sync_playwright() as driver:
        # Its sandbox does not work for root, who runs tests in containers.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        context = browser.new_context(viewport=PHONE)
        page, wrong = context.new_page(), []
        page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url))
        # From local files the search shows results without their first lines, which it cannot fetch.
        page.on("pageerror", lambda error: None if "Failed to fetch" in str(error) else wrong.append(str(error)))
        # The page at the top leads to another one at once.
        for name in pages.keys() - {"index.html"}:
            page.goto((folder / name).as_uri())
            for wide in page.evaluate(TOO_WIDE):
                yield f"{name} on a phone of {PHONE['width']} pixels: {wide}"
        for query, expected in SEARCHES.items():
            page.set_viewport_size(DESKTOP)
            page.goto((folder / "docs/index.html").as_uri())
            page.fill(".sidebar-search", query)
            page.press(".sidebar-search", "Enter")
            page.wait_for_selector("#search-results ul.search li a", timeout=20_000)
            first = page.locator("#search-results ul.search li a").first
            target = urllib.parse.urljoin(page.url, first.get_attribute("href"))
            if urllib.parse.urlsplit(target)._replace(query="").geturl() != (folder / "x").as_uri()[:-1] + expected:
                yield f"the search for {query} finds {target} first"
            first.click()
            page.wait_for_selector("h1")
            if not page.evaluate("document.getElementById(decodeURIComponent(location.hash.slice(1))) !== null"):
                yield f"the result for {query} does not lead to its entry"
        browser.close()
    yield from sorted(set(wrong))


def main(folder):
    pages = {str(path.relative_to(folder)): Page(path) for path in sorted(folder.rglob("*.html"))}
    wrong = [*is_complete(folder), *names_every_language(), *has_all_rows(pages), *links_hold(folder, pages)]
    wrong += in_browser(folder, pages)
    if wrong:
        sys.exit("\n".join(wrong))
    links = sum(len(page.links) for page in pages.values())
    print(f"{len(pages)} pages, {links} links, {len(entries(folder))} entries of the reference, {len(rows.ids(ROOT))} rows")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
