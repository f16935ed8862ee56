"""The report as a page: what the file contains, and what a browser shows of it (PO-66 to PO-70)."""

import ctypes
import gc
import io
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import jsonschema
import numpy as np
import pytest
import report_scenes

import tenure

SCHEMA = pathlib.Path(__file__).parents[3] / "docs" / "report.schema.json"
CHROMIUM = shutil.which("chromium")
LARGEST_PAGE = 1_500_000


def saved(path):
    """Saves a page of what the process has now, and returns its snapshot."""
    tenure.report(io.StringIO()).save(path)
    return snapshot_of(path.read_text("utf-8"))


def snapshot_of(page):
    (text,) = re.findall(r'<script type="application/json" id="snapshot">(.*?)</script>', page, re.DOTALL)
    snapshot = json.loads(text)
    jsonschema.validate(snapshot, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)
    return snapshot


@pytest.fixture
def scene():
    scene = report_scenes.handover()
    yield scene
    scene.close()
    gc.collect()


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as driver:
        # Its sandbox does not work for root, who runs tests in containers.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """`opened(path, **options)`: the page in a browser of its own. Its errors, dialogs and requests are failures."""
    contexts = []

    def open_page(path, **options):
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        page = context.new_page()
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: None if request.url == path.as_uri() else wrong.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("h1")
        contexts.append((context, wrong))
        return page

    yield open_page
    for context, wrong in contexts:
        context.close()
        assert not wrong, wrong


# PO-66: one file that loads nothing, and contains the snapshot of the report
def test_the_page_is_one_file_with_the_snapshot(tmp_path, scene):
    found = tenure.report(io.StringIO())
    assert isinstance(found, dict) and found["schema"] == 1 and "save(" in repr(found)
    path = tmp_path / "memory.html"
    path.write_text("old")
    found.save(path)
    page = path.read_text("utf-8")
    assert page.startswith("<!doctype html>") and len(page) < LARGEST_PAGE
    assert "default-src 'none'" in page and not re.search(r'\b(src|href)="?https?:', page)
    snapshot = snapshot_of(page)
    assert {s["address"] for s in snapshot["stores"]} == {s["address"] for s in found["stores"]}
    assert [p["id"] for p in snapshot["pools"]] == [p["id"] for p in found["pools"]]
    found.save(str(tmp_path / "memory.json"))
    assert json.loads((tmp_path / "memory.json").read_text()) == found
    with pytest.raises(ValueError, match="memory.txt"):
        found.save(tmp_path / "memory.txt")
    with pytest.raises(FileNotFoundError):
        found.save(tmp_path / "none" / "memory.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["memory.html", "memory.json"]


# PO-66: what was found stays what it was
def test_a_report_is_saved_as_of_its_call(tmp_path):
    x = tenure.zeros(100, name="gone soon")
    found = tenure.report(io.StringIO())
    x.release()
    found.save(tmp_path / "page.html")
    assert "gone soon" in (tmp_path / "page.html").read_text() and "gone soon" not in json.dumps(tenure.snapshot())


# PO-69: the map is exact: runs add up to their segments, and cells to the live blocks of their span
def test_the_map_adds_up(scene):
    letters = set()
    snapshot = tenure.snapshot()
    for pool in snapshot["pools"]:
        live = dict.fromkeys((c["name"] for c in pool["clients"]), 0)
        for segment in pool["segments"]:
            runs = segment["map"]
            assert sum(r["bytes"] for r in runs) == segment["bytes"]
            assert sum(r.get("spans", 1) for r in runs) == segment["spans"]
            assert sum(r.get("live", 0) for r in runs) == segment["live_blocks"]
            for run in runs:
                for client, size in run.get("clients", {}).items():
                    live[client] += size
                if "cells" in run:
                    cells = [(c, int(n or 1)) for c, n in re.findall(r"([.a-z])(\d*)", run["cells"])]
                    assert sum(n for _, n in cells) == run["blocks"]
                    assert sum(n for c, n in cells if c != ".") == run["live"]
                    letters |= {c for c, _ in cells}
        # NumPy's small temporaries come and go between the parts of the report, but not from these pools.
        if pool["name"] == "handover":
            assert live == {c["name"]: c["live_bytes"] for c in pool["clients"]}
    assert {".", "c"} <= letters, "free blocks and NumPy's"


# PO-69: large raw blocks have their call site, and arrays their age and part
def test_holders_say_what_they_have(scene):
    pool, kernel = scene.kept[0], scene.kept[2]
    snapshot = tenure.snapshot()
    (mine,) = [p for p in snapshot["pools"] if p["name"] == pool.name]
    (store,) = [s for s in snapshot["stores"] if any(h["name"] == "K" for h in s["holders"])]
    assert mine["id"] == store["pool"] and 0 <= time.time_ns() - store["time_ns"] < 3600e9
    holders = {(h["kind"], h["name"]): h for h in store["holders"]}
    small = tenure.zeros(10, name="small")
    (other,) = [s for s in tenure.snapshot()["stores"] if any(h["name"] == "small" for h in s["holders"])]
    assert other["time_ns"] == 0, "no clock is read for a small array"
    del small
    whole, part = holders["handle", "K"], holders["handle", "rows of K"]
    assert (whole["dtype"], whole["shape"], whole["offset"], whole["extent_bytes"]) == ("float64", [1500, 1500], 0, 18_000_000)
    assert (part["shape"], part["offset"], part["extent_bytes"]) == ([300, 1500], 1_200_000, 3_600_000)
    assert {"guard_read", "export_shared"} <= {h["kind"] for h in store["holders"] if h.get("of") == whole["id"]}
    assert set(whole["why"]) == {w.name.lower() for w in tenure.Why if w in kernel.why_not()}
    (promise,) = [h for s in snapshot["stores"] for h in s["holders"] if h["kind"] == "promise"]
    (given,) = [h for s in snapshot["stores"] for h in s["holders"] if h["id"] == promise["of"]]
    assert given["name"] == "Y" and "given" in given["why"]


# PO-67: whatever the process holds, the page is small, and what it leaves out is added up
def test_many_arrays_make_a_small_page(tmp_path):
    pool = tenure.Pool(name="many")
    large = [tenure.zeros(100_000 + i, "uint8", pool=pool) for i in range(300)]
    small = [tenure.zeros(10, "uint8", pool=pool) for _ in range(30_000)]
    views = [large[0][i:] for i in range(3000)]
    snapshot = saved(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < LARGEST_PAGE
    assert len(snapshot["stores"]) <= 1000 and sum(len(s["holders"]) for s in snapshot["stores"]) <= 5000
    mine = [s for s in snapshot["stores"] if s["pool"] == pool.stats().serial]
    assert {s["bytes"] for s in mine} >= {100_000 + i for i in range(300)}, "the largest are listed"
    (first,) = [s for s in mine if s["bytes"] == 100_000]
    assert len(first["holders"]) + first["more_holders"] == 3001
    everything = tenure.snapshot()["stores"]
    for what in (lambda s: 1, lambda s: s["bytes"]):
        left = sum(g["blocks"] if what({"bytes": 0}) else g["bytes"] for g in snapshot["more_stores"])
        assert sum(map(what, snapshot["stores"])) + left == sum(map(what, everything))
    assert all(g["client"] == "arrays" for g in snapshot["more_stores"])
    del large, small, views, everything


def nodes(page):
    return page.evaluate("document.querySelectorAll('*').length")


# PO-67: a heap of a million blocks
def test_a_million_blocks_open_at_once(tmp_path, opened):
    scene = report_scenes.million_blocks()
    path = tmp_path / "page.html"
    start = time.perf_counter()
    snapshot = saved(path)
    wrote = time.perf_counter() - start
    (pool,) = [p for p in snapshot["pools"] if p["name"] == "heap"]
    assert pool["stats"]["live_blocks"] >= 1_000_000
    assert sum(len(s["map"]) for p in snapshot["pools"] for s in p["segments"]) < 6000
    assert path.stat().st_size < LARGEST_PAGE
    start = time.perf_counter()
    page = opened(path)
    print(f"written in {wrote:.2f} s, {path.stat().st_size >> 10} KiB, opened in {time.perf_counter() - start:.2f} s")
    assert nodes(page) < 3000
    assert "in use" in page.inner_text("h1")
    assert page.inner_text(".answer .link") == "numpy"
    scene.close()
    gc.collect()


# PO-68: names are text, wherever they are shown, also those that look like the end of the script
def test_markup_in_names_is_text(tmp_path, opened):
    names = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "<!--<script>",
        "\u2028\u2029&amp;'\"` ${alert(3)}",
        "]]></style><svg onload=alert(4)>",
    ]
    pool = tenure.Pool(name="<b>pool</b>")
    arrays = [tenure.zeros(100_000 - i, name=name, pool=pool) for i, name in enumerate(names)]
    shown = [n[:63] for n in names]
    path = tmp_path / "page.html"
    snapshot = saved(path)
    assert {h["name"] for s in snapshot["stores"] for h in s["holders"]} >= set(shown)
    text = path.read_text("utf-8")
    assert "alert(1)</script>" not in text and "\u2028" not in text and "<b>pool" not in text
    page = opened(path)
    listed = page.eval_on_selector_all(".holders b", "found => found.map(b => b.textContent)")
    assert listed[: len(shown)] == shown
    for name in shown:
        page.fill("input[type=search]", name)
        page.click(".table .body .row")
        assert page.locator("#detail h3").text_content().startswith(name)
    assert page.locator("main script, main img, main b b").count() == 0
    assert "<b>pool</b>" in page.locator(".poollist b").all_text_contents()
    del arrays


# PO-70: the first screen answers what holds most
def test_the_first_screen_answers(tmp_path, opened, scene):
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path)
    answer = page.locator(".answer")
    assert answer.bounding_box()["y"] < 300
    assert answer.locator("button").text_content() == "K" and "report_scenes.py:" in answer.text_content()
    assert "1\u00a0export" in answer.text_content() and "being read" in answer.text_content()
    assert page.locator(".holders .row").first.locator("b").text_content() == "K"
    assert page.locator(".holders .row").nth(1).bounding_box()["y"] < 900


# PO-70: the table is searched and sorted, and draws the rows in view only
def test_the_table_is_searched_and_sorted(tmp_path, opened):
    arrays = [tenure.zeros(1000 + i, "uint8", name=f"row-{i:04}") for i in range(900)]
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path)
    total = int(page.get_attribute(".table", "aria-rowcount"))
    assert total > 900 and page.locator(".table .body .row").count() < 40 and nodes(page) < 3000

    def first(column="label"):
        return page.locator(f".table .body .row .{column}").first.text_content()

    page.fill("input[type=search]", "row-07 uint8")
    assert int(page.get_attribute(".table", "aria-rowcount")) == 101 and first() == "row-0799"
    page.click(".table .head .label button")
    assert first() == "row-0700" and page.get_attribute(".table .head .label", "aria-sort") == "ascending"
    page.click(".table .head .label button")
    assert first() == "row-0799" and page.get_attribute(".table .head .label", "aria-sort") == "descending"
    page.click(".table .head .bytes button")
    page.click(".table .head .bytes button")
    assert first() == "row-0700"
    page.fill("input[type=search]", "nothing has this name")
    assert page.locator(".table .none").is_visible()
    # Scrolling brings the last row.
    page.fill("input[type=search]", "row-")
    page.eval_on_selector(".table .body", "body => { body.scrollTop = body.scrollHeight; }")
    page.locator(".table .body .row .label", has_text="row-0899").wait_for()
    assert page.locator(".table .body .row").count() < 40
    del arrays


# PO-70: who holds the chosen array, and why it may not be overwritten, as tn_array_why_not says
def test_the_details_explain_the_holders(tmp_path, opened, scene):
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path)
    detail = page.locator("#detail")
    assert detail.locator("h3").text_content().startswith("K")
    texts = detail.locator(".graph text.first").all_text_contents()
    assert any("“K”" in t for t in texts) and any("rows of K" in t for t in texts)
    assert any(t.startswith("export, shared") for t in texts) and "being read" in texts and "lazy expression" in " ".join(texts)
    why = detail.locator(".why").text_content()
    for words in ("same bytes", "lazy expression will read it", "may still use the bytes", "being read"):
        assert words in why, why
    page.fill("input[type=search]", "Y")
    page.locator(".table .body .row", has=page.locator(".label", has_text=re.compile("^Y$"))).click()
    assert "promised to a callee" in detail.locator(".why").text_content()
    page.fill("input[type=search]", "numpy")
    page.locator(".table .body .row").first.click()
    assert "blocks of" in detail.text_content()


# PO-70: everything by keyboard: the order of focus, arrows in table and map, Enter chooses
def test_the_keyboard_alone(tmp_path, opened, scene):
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path)

    def focused():
        return page.evaluate("document.activeElement.outerHTML.slice(0, 300)")

    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        seen.append(focused())
        if 'class="body"' in seen[-1]:
            break
    order = ['href="#overview"', 'class="link"', 'class="row', 'type="radio"', "<canvas", 'type="search"', "<button", 'class="body"']
    at = -1
    for wanted in order:
        at = next(i for i in range(at + 1, len(seen)) if wanted in seen[i])
    label = page.locator(".table .body .row.cursor .label")
    page.keyboard.press("Home")
    first = label.text_content()
    page.keyboard.press("ArrowDown")
    second = label.text_content()
    assert first == "K" and second != first
    page.keyboard.press("Enter")
    assert page.locator("#detail h3").text_content().startswith(second)
    # By its number: earlier tests may have left several arrays without a name and without bytes.
    row = page.locator(".table .body .row.cursor")
    page.keyboard.press("End")
    last = row.get_attribute("aria-rowindex")
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowUp")
    assert row.get_attribute("aria-rowindex") != last
    page.keyboard.press("Home")
    assert label.text_content() == first
    # The map: arrows go from block to block, Enter chooses an array there, plus and Escape zoom.
    page.locator("canvas").first.focus()
    told = page.locator(".told").first
    words = set()
    for _ in range(300):
        page.keyboard.press("ArrowRight")
        words.add(told.text_content())
        if " K: " in told.text_content():
            break
    assert " K: " in told.text_content() and len(words) > 3
    page.keyboard.press("Enter")
    assert page.locator("#detail h3").text_content().startswith("K")
    page.keyboard.press("+")
    assert page.locator(".zoom button").first.is_enabled()
    page.keyboard.press("Escape")
    assert page.locator(".zoom button").first.is_disabled()
    # Search, then down into the rows.
    page.focus("input[type=search]")
    page.keyboard.type("numpy")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "numpy" in page.locator("#detail h3").text_content()


def colour(page, selector, property):
    text = page.eval_on_selector(selector, f"e => getComputedStyle(e).{property}")
    return [int(n) / 255 for n in re.findall(r"\d+", text)[:3]]


def contrast(a, b):
    def luminance(rgb):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear))

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# PO-70: both colour schemes are readable, and a phone is wide enough
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_schemes_and_widths(tmp_path, opened, scene, scheme, width):
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path, viewport={"width": width, "height": 780}, color_scheme=scheme)
    ground = colour(page, "body", "backgroundColor")
    assert (sum(ground) < 1) == (scheme == "dark")
    for selector in ("body", ".quiet", "small", ".link"):
        assert contrast(colour(page, selector, "color"), ground) >= 4.5, selector
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".answer").bounding_box()["y"] < 400
    for row in page.locator(".table .body .row").all()[:5]:
        box = row.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert row.locator(".label").is_visible() and row.locator(".bytes").is_visible()
    page.click(".holders .row >> nth=1")
    assert page.locator("#detail").is_visible()


# PO-70: the map is coloured by name, client and age; pixels, because it is a picture
def test_the_map_is_coloured(tmp_path, opened, scene):
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path)

    def colours():
        return page.eval_on_selector(
            "canvas",
            """canvas => {
                const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                const counts = {};
                for (let i = 0; i < data.length; i += 4) {
                    if (data[i + 3] > 250) {
                        const key = `${data[i]},${data[i + 1]},${data[i + 2]}`;
                        counts[key] = (counts[key] || 0) + 1;
                    }
                }
                return counts;
            }""",
        )

    def swatch(text):
        rgb = page.locator(".legend li", has_text=re.compile(f"^{re.escape(text)}$")).locator("i").evaluate(
            "e => getComputedStyle(e).backgroundColor"
        )
        return ",".join(re.findall(r"\d+", rgb)[:3])

    by_name = colours()
    whole = sum(by_name.values())
    stats = scene.kept[0].stats()
    share = scene.kept[2].nbytes / stats.reserved_bytes
    assert abs(by_name[swatch("K")] / whole - share) < 0.1, "to scale"
    page.locator(".choice input").nth(1).check(force=True)
    by_client = colours()
    assert swatch("numpy") in by_client and swatch("arrays") in by_client
    page.locator(".choice input").nth(2).check(force=True)
    assert "oldest" in page.locator(".legend").text_content()
    assert colours() != by_client


# PO-70: the parts on copies, pools, limits and misuse
def test_copies_pools_and_misuse(tmp_path, opened):
    pool = tenure.Pool(name="narrow", max_size=8 << 20)
    with pytest.raises(tenure.OutOfMemoryError):
        tenure.zeros(64 << 20, "uint8", pool=pool)
    library = ctypes.CDLL(tenure.get_library())
    assert library.tn_pool_deallocate(ctypes.c_void_p(pool.handle), ctypes.c_void_p(4096), None) == tenure.Status.FOREIGN
    x = tenure.zeros(7 << 20, "uint8", pool=pool, name="most of it")
    for _ in range(3):
        tenure.from_buffer(np.frombuffer(bytearray(100_001), "float64", 12_000, 1))
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path)
    found = page.locator(".findings").text_content()
    assert "out of memory" in found and "wrong" in found and "where an alias would have been accepted" in found
    copies = page.locator("#copies").text_content()
    assert "test_report_page.py:" in copies and "tn_array_import_host" in copies and "the layout does not fit" in copies
    card = page.locator(".poolcard", has_text="narrow").text_content()
    for part in ("limit8\u00a0MiB", "misuse1", f"failed{pool.stats().failure_count}", "peak", "fragmentation", "arrays"):
        assert part in card, card[:900]
    x.release()


# PO-70: memory that is shared with other processes, if there is any
def test_other_processes_are_listed(tmp_path, opened):
    path = tmp_path / "page.html"
    saved(path)
    assert opened(path).locator("#processes").count() == 0

    def shown():
        saved(path)
        (row,) = opened(path).locator("#processes tbody tr").all()
        return row.locator("td").all_text_contents()

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        theirs = executor.submit(report_scenes.shared_weights).result()
        (process,) = multiprocessing.active_children()
        row = shown()
        assert row[1:] == [f"process {process.pid}", "running", "reads and writes", theirs.name]
        assert "their weights" in row[4] and float(row[0].removesuffix("\u00a0MiB")) >= 8
    assert shown()[1:3] == [f"process {process.pid}", "ended"]
    # What a process without a GPU cannot have, and states that take long to come about.
    one = {"device": "cuda:0", "address": "0x1", "bytes": 5 << 20, "pool": 0, "name": "<i>sent</i>", "importers": [12, 0, 3]}
    two = {"device": "cuda:1", "address": "0x2", "bytes": 6 << 20, "pool": 0, "name": "kept", "importers": []}
    mapped = {"address": "0x3000", "bytes": 4096, "writable": False, "process": 9, "running": None}
    text = re.sub(r'"shared_in":\[.*?\]', f'"shared_in":[{json.dumps(mapped)}]', path.read_text("utf-8"))
    path.write_text(text.replace('"shared_out":[]', f'"shared_out":{json.dumps([one, two]).replace("<", chr(92) + "u003c")}'), "utf-8")
    page = opened(path)
    rows = [row.locator("td").all_text_contents() for row in page.locator("#processes tbody tr").all()]
    assert rows == [
        ["4\u00a0KiB", "process 9", "unknown", "reads", ""],
        ["6\u00a0MiB", "kept", "cuda:1", "released", "none any more"],
        ["5\u00a0MiB", "<i>sent</i>", "cuda:0", "released", "process 12, process 3 and a message on its way"],
    ]
    assert "11\u00a0MiB were freed here" in page.locator("#processes").text_content()


# PO-70: use over time, if the snapshot has it
def test_a_timeline_is_drawn(tmp_path, opened):
    path = tmp_path / "page.html"
    saved(path)
    page = opened(path)
    assert page.locator("#timeline").count() == 0
    text = path.read_text("utf-8")
    points = [[i / 10, (50 - abs(i - 50)) << 20] for i in range(101)]
    timeline = {"events": 123, "dropped": 4, "kinds": {"allocate": 120, "free": 3, "copy": 0}, "points": points}
    path.write_text(text.replace('{"schema":1,', f'{{"schema":1,"timeline":{json.dumps(timeline)},'))
    page = opened(path)
    shown = page.locator("#timeline")
    assert "At most 50\u00a0MiB at once, 5.00\u00a0s" in shown.text_content()
    assert "120 allocate, 3 free." in shown.text_content() and "4\u00a0events are not in the log" in shown.text_content()
    line = shown.locator("path.line").bounding_box()
    assert line["width"] > 1000 and line["height"] > 150


# PO-66: a process that holds nothing
def test_an_empty_page(tmp_path, chromium):
    path = tmp_path / "page.html"
    program = f"import io, tenure; tenure.report(io.StringIO()).save({str(path)!r})"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=tmp_path)
    page = chromium.new_page()
    page.goto(path.as_uri())
    assert "in use" in page.inner_text("h1")
    assert "No array and no block is held" in page.inner_text(".answer") or page.locator(".holders .row").count() > 0
    page.close()
