"""How Sphinx builds the documentation: `make docs`. Needs the `docs` extra; fetches nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from lossdsl import __version__

sys.path.insert(0, str(Path(__file__).resolve().parent))
import generate

generate.main()

project = "lossdsl"
author = "the lossdsl authors"
version = release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "lossdsl"
html_copy_source = False
# headings are link targets, so that [text](page.md#heading) is checked by the strict build
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks are run by the test suite and keep their output
default_role = "literal"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
