"""Draws the pictures of docs/seeing.md: screenshots.py FOLDER. `cargo xtask page --screenshots` runs it with the installed package."""

import io
import os
import pathlib
import shutil
import sys
import tempfile

from playwright.sync_api import sync_playwright

import tenure

SCENES = pathlib.Path(__file__).parents[1] / "bindings" / "python" / "tests" / "report_scenes.py"
CHROMIUM = shutil.which("chromium")


def scenes():
    """The scenes under a name of their own: call sites in the pictures have no path of this machine."""
    names = {"__file__": str(SCENES), "__name__": "scenes"}
    exec(compile(SCENES.read_text(), "handover.py", "exec"), names)
    return names


def main(folder):
    if CHROMIUM is None:
        sys.exit("Chromium is not installed; on Debian: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    scene = scenes()["handover"]()
    with tempfile.TemporaryDirectory() as beside, sync_playwright() as driver:
        path = pathlib.Path(beside) / "memory.html"
        tenure.report(io.StringIO()).save(path)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])

        def opened(width, height, scheme):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(path.as_uri())
            page.wait_for_selector("h1")
            return page

        opened(1180, 720, "light").screenshot(path=folder / "overview.png")
        # As high as the largest part, so that nothing lies over it.
        page = opened(1180, 1200, "light")
        page.locator("#map").screenshot(path=folder / "map.png")
        page.locator("#detail").screenshot(path=folder / "holders.png")
        opened(1180, 720, "dark").screenshot(path=folder / "dark.png")
        opened(390, 780, "light").screenshot(path=folder / "phone.png")
        browser.close()
    scene.close()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
