"""Links that no page has to write: names of the C API and ids of rows become links to their entries.

In text and in `code`, a name of the library leads to its entry in the reference, and an id such as PO-44 to its row. In blocks of C and C++
names are links too. In the reference, a name of the library without an entry is a warning, and with it the build fails.
"""

import pathlib
import re

import rows
from docutils import nodes
from sphinx import addnodes
from sphinx.domains import Domain, ObjType
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

ROOT = pathlib.Path(__file__).parents[2]
REFERENCE = "docs/reference/"
NAME = r"\b(?:tn|TN)_\w*\w\b"
ID = r"\b[A-Z]{1,2}-?\d+\b"
WORD = re.compile(f"({NAME})|({ID})")
# What Pygments makes of a name in a block.
IN_BLOCK = re.compile(r'<span class="(?:n|nf|nc|kt|cp|no|nb)">((?:tn|TN)_\w+)</span>')
# Below these, text stays as it is.
KEPT = (nodes.reference, nodes.title, nodes.literal_block, nodes.raw, nodes.comment, nodes.term)

logger = logging.getLogger(__name__)


class Rows(Domain):
    """The rows of the specification as objects, so that the search shows a row before pages that cite it."""

    name = "row"
    label = "specification"
    object_types = {"row": ObjType("row", searchprio=0)}

    def get_objects(self):
        for name, page in rows.ids(ROOT).items():
            yield name, name, "row", page, name, 0

    def merge_domaindata(self, docnames, otherdata):
        """Nothing is collected from pages."""


class RowAnchors(SphinxTransform):
    """Gives each row of the specification its id as an anchor."""

    default_priority = 500

    def apply(self):
        if not self.env.docname.startswith(rows.FOLDER + "/"):
            return
        known = {name for name, page in self.app.row_pages.items() if page == self.env.docname}
        for node in [*self.document.findall(nodes.list_item), *self.document.findall(nodes.row)]:
            first = node.astext().split(maxsplit=1)[0] if node.astext() else ""
            if first in known:
                known.remove(first)
                # A row of a table cannot be the target of a link everywhere; its first paragraph can.
                place = next(iter(node.findall(nodes.paragraph)), node)
                place["ids"].append(first)
        for name in sorted(known):
            logger.warning("row %s was not found in the page", name, location=self.env.docname)


class Links(SphinxPostTransform):
    """Makes links of names and ids."""

    default_priority = 20

    def run(self):
        document = self.document
        for literal in list(document.findall(nodes.literal)):
            # In `tn_array_t%give` the name is one of Fortran.
            match = re.match(NAME + "(?!%)", literal.astext())
            if match and not has_ancestor(literal, KEPT):
                self.replace(literal, [self.reference_to_name(match[0], [literal.deepcopy()])])
        for text in list(document.findall(nodes.Text)):
            if not has_ancestor(text, (*KEPT, nodes.literal)) and not in_signature(text):
                self.link_words(text)

    def link_words(self, text):
        parts, end = [], 0
        for match in WORD.finditer(text):
            name, row = match[1], match[2]
            made = self.reference_to_name(name, [nodes.Text(name)]) if name else self.reference_to_row(row)
            if made is not None and not isinstance(made, nodes.Text):
                parts += [nodes.Text(text[end : match.start()]), made]
                end = match.end()
        if parts:
            self.replace(text, [*parts, nodes.Text(text[end:])])

    def replace(self, node, by):
        node.parent.replace(node, [part for part in by if part is not None])

    def reference_to_name(self, name, content):
        docname = self.env.current_document.docname
        found = self.app.names.get(name)
        if name.endswith("_"):
            # A family, written by what its constants begin with: its first constant.
            found = next((place for known, place in self.app.names.items() if known.startswith(name)), None)
        if found is None:
            if docname.startswith(REFERENCE) and name not in self.app.other_names:
                logger.warning("there is no %s", name, location=docname)
            return content[0]
        page, anchor = found
        if isinstance(content[0], nodes.Text):
            content = [nodes.inline("", name, classes=["name"])]
        return make_refnode(self.app.builder, docname, page, anchor, content)

    def reference_to_row(self, name):
        page = self.app.row_pages.get(name)
        docname = self.env.current_document.docname
        if page is None:
            return None
        # A row does not link itself.
        return make_refnode(self.app.builder, docname, page, name, [nodes.inline("", name, classes=["row-id"])])


def has_ancestor(node, kinds):
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


def in_signature(node):
    return has_ancestor(node, (addnodes.desc_signature, addnodes.index))


def read_names(app, env):
    """The page and anchor of each entry of the reference, once all pages are read."""
    app.names = {}
    for name, _, _, page, anchor, _ in env.domains["c"].get_objects():
        app.names[name] = (page, anchor)
        app.names.setdefault(name.rpartition(".")[2], (page, anchor))
    return []


def link_blocks(app, page, template, context, doctree):
    """Links the names in blocks of C."""
    if "body" not in context:
        return

    def link(match):
        found = app.names.get(match[1])
        if found is None:
            return match[0]
        target = app.builder.get_relative_uri(page, found[0]) + "#" + found[1]
        return f'<a class="in-block" href="{target}">{match[0]}</a>'

    context["body"] = IN_BLOCK.sub(link, context["body"])


def setup(app):
    app.row_pages = rows.ids(ROOT)
    app.names = {}
    # Comments of the header name what kernels include, which has no entry.
    app.other_names = set(re.findall(NAME, (ROOT / "include/tenure_kernel.cuh").read_text("utf-8")))
    # What a program defines.
    app.other_names |= set(re.findall(r"(?:#ifdef |defined\()(TN_\w+)", (ROOT / "include/tenure.h").read_text("utf-8")))
    app.add_domain(Rows)
    app.add_transform(RowAnchors)
    app.add_post_transform(Links)
    # Unlike the check of consistency, this comes also if no page was read again.
    app.connect("env-updated", read_names)
    app.connect("html-page-context", link_blocks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
