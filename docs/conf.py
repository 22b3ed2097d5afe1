"""How Sphinx builds these pages: ``make docs``. Nothing is fetched while it does."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "connectycube"
author = "The connectycube maintainers"
version = release = version_of("connectycube")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
smartquotes = False  # "…" and '--' stand in code as well

napoleon_numpy_docstring = False

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"connectycube {version}"
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
