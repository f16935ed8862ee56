"""The rows of docs/spec: which there are, and the page that lists them by id."""

import re
from itertools import groupby

# As tests/repository/rows.rs reads them: a list item that begins with a bold id, or a line of a table whose first cell begins with one.
ROW = re.compile(r"^(?:- \*\*([A-Z]+-?\d+)\*\*|\| *([A-Z]+-?\d+)(?: \(not there yet\))? *\|)")
FOLDER = "docs/spec"


def spec_pages(root):
    return sorted(path for path in (root / FOLDER).glob("*.md") if path.name != "README.md")


def prefixes(root):
    """What each prefix is about, from the table of the README."""
    text = (root / FOLDER / "README.md").read_text("utf-8")
    table = text[text.index("\n## Prefixes") :]
    return {cells[1].strip(): cells[3].strip() for line in table.splitlines() if len(cells := line.split("|")) > 4}


def ids(root):
    """The page of each id, without its ending, in the order of the specification."""
    known = prefixes(root)
    found = {}
    for page in spec_pages(root):
        for line in page.read_text("utf-8").splitlines():
            match = ROW.match(line)
            if match and (name := match[1] or match[2]).rstrip("0123456789").rstrip("-") in known:
                found[name] = f"{FOLDER}/{page.stem}"
    return found


def list_of_pages(root):
    """The side bar's entries below the README of the specification."""
    entries = "\n".join(f"/{FOLDER}/{page.stem}" for page in spec_pages(root))
    return f"\n```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{entries}\n```\n"


def pages(root):
    """The page that lists all ids. Sphinx makes a link of each."""
    subjects = prefixes(root)
    text = ["# Rows by id\n\nEach id leads to its row. The search finds an id too.\n"]
    for prefix, names in groupby(ids(root), key=lambda name: re.match("[A-Z]+", name)[0]):
        text.append(f"\n## {prefix}: {subjects[prefix]}\n\n{' '.join(names)}\n")
    return {f"{FOLDER}/rows.md": "".join(text)}
