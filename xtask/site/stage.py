"""Collects the pages of the documentation site: stage.py FOLDER.

Each page has the path in FOLDER that it has in the repository, so links between pages hold. The pages of the reference and the list of the
rows are written here. Files that have not changed keep their times, so that Sphinx reads only what is new.
"""

import json
import pathlib
import posixpath
import re
import sys
import tomllib

import reference
import rows

ROOT = pathlib.Path(__file__).parents[2]
NAVIGATION = pathlib.Path(__file__).with_name("navigation.toml")
# Links to these files lead to a page of the site that has their contents.
STANDS_FOR = {
    "README.md": "docs/index.md",
    "docs": "docs/index.md",
    "docs/spec": "docs/spec/README.md",
    "include/tenure.h": "docs/reference/index.md",
    "abi/api.json": "docs/reference/index.md",
}
CODE = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
# The README of a folder of other sources is not a page.
NO_PAGES = {"bindings/python/tests/standins/README.md", "tests/header_tools/README.md"}


class Stage:
    """Writes below a folder, and at the end removes what was not written."""

    def __init__(self, folder):
        self.folder, self.written = folder, set()

    def write(self, path, contents):
        file = self.folder / path
        self.written.add(file)
        if file.exists() and file.read_bytes() == contents:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents)

    def remove_others(self):
        for file in self.folder.rglob("*"):
            if file.is_file() and file not in self.written:
                file.unlink()


def listed(navigation, made):
    """The pages of each part. A name without a page is an error, a pattern without one is not."""
    parts = []
    for part in navigation["part"]:
        pages = []
        for name in part["pages"]:
            if "*" in name:
                found = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(name))
            elif name in made or (ROOT / name).is_file():
                found = [name]
            else:
                sys.exit(f"{NAVIGATION.name} has {name}, which is not there")
            pages += [page for page in found if page not in NO_PAGES]
        parts.append((part["title"], pages))
    return parts


def relinked(page, text, pages, files):
    """The text of a page with links that hold on the site. Names in `files` what it needs beside the pages."""

    def link(match):
        mark, label, target = match.groups()
        path, _, anchor = target.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return match[0]
        folder = posixpath.dirname(page)
        path = posixpath.normpath(posixpath.join(folder, path))
        readme = posixpath.join(path, "README.md")
        path = STANDS_FOR.get(path) or (readme if readme in pages else path)
        if path in pages:
            there = posixpath.relpath(path, folder or ".") + (f"#{anchor}" if anchor else "")
            return f"[{label}]({there})"
        if not (ROOT / path).exists():
            sys.exit(f"{page} links {path}, which is not there")
        if mark:
            files.add(path)
            return match[0]
        # Other files of the sources are not on the site.
        return label

    parts = CODE.split(text)
    # A label may have code in it, so code is set aside while links are looked for.
    kept = parts[1::2]
    marked = parts[0] + "".join(f"\0{number}\0{part}" for number, part in enumerate(parts[2::2]))
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], LINK.sub(link, marked))


def navigation_of(parts):
    """The side bar, as lists that Sphinx reads at the end of the start page."""
    text = []
    for title, pages in parts:
        entries = "\n".join("/" + page.removesuffix(".md") for page in pages)
        # Sphinx copies this much of the tree for each page; the two lists below a page of these parts are two levels down.
        text.append(f"\n```{{toctree}}\n:hidden:\n:maxdepth: 2\n:caption: {title}\n\n{entries}\n```\n")
    return "".join(text)


def main(folder):
    stage = Stage(folder)
    description = json.loads((ROOT / "abi/api.json").read_text("utf-8"))
    made = reference.pages(ROOT, description) | rows.pages(ROOT)
    navigation = tomllib.loads(NAVIGATION.read_text("utf-8"))
    parts = listed(navigation, made)
    start = navigation["start"]
    documents = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    reached = {page for _, pages in parts for page in pages} | {start} | made.keys()
    lost = {page for page in documents - reached if not page.startswith(f"{rows.FOLDER}/")}
    if lost:
        sys.exit(f"in no part of {NAVIGATION.name}: {', '.join(sorted(lost))}")
    pages = documents | made.keys() | reached
    files = set()
    for page in sorted(pages - made.keys()):
        text = relinked(page, (ROOT / page).read_text("utf-8"), pages, files)
        if page == start:
            text += navigation_of(parts)
        elif page == "docs/spec/README.md":
            text += rows.list_of_pages(ROOT)
        stage.write(page, text.encode())
    for page, text in made.items():
        stage.write(page, text.encode())
    for file in files:
        stage.write(file, (ROOT / file).read_bytes())
    stage.remove_others()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
