"""Sphinx's configuration of the documentation site. `cargo xtask site` runs it on the pages that stage.py collected."""

import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

project = "Tenure"
version = release = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))["package"]["version"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
extensions = ["myst_parser", "links"]

# Anchors of headings as code hosts make them, because pages link them.
myst_heading_anchors = 4
myst_enable_extensions = ["fieldlist"]
# Contents of blocks have their language, and a block without one is text.
highlight_language = "text"
c_maximum_signature_line_length = 68
smartquotes = False

html_theme = "furo"
html_title = f"Tenure {version}"
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_copy_source = False
# The site begins at docs/index.html, so that links between pages are those of the repository.
html_additional_pages = {"index": "start.html"}
templates_path = [str(HERE / "templates")]
html_show_sphinx = False
html_show_copyright = False
