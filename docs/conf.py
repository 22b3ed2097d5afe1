"""How Sphinx builds these pages: ``make docs``. Nothing is fetched while it does."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "connectycube"
author = "The connectycube maintainers"
version = release = version_of("connectycube")

extensions = ["myst_parser", "extension"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
smartquotes = False  # "…" and '--' stand in code as well

nitpicky = True
_ELSEWHERE = (
    *(
        "AbstractContextManager",
        "Any",
        "Callable",
        "Collection",
        "Coroutine",
        "ExitStack",
        "Future",
        "Generator",
    ),
    *(
        "IO",
        "Iterable",
        "Iterator",
        "Literal",
        "Mapping",
        "NoReturn",
        "PathLike",
        "Self",
        "Sequence",
        "date",
        "datetime",
        "deque",
    ),
    *(r"builtins\.\w+", r"threading\.\w+", r"tkinter\.\w+", r"pytest\.\w+"),
    *("Flask", "HttpRequest", "HttpResponse", "Model", "Task"),
    *("Event", "Function", "Handler", "Item", "Result", "Sent", "Dict"),  # type variables
)
"""Names of annotations that are no entries here: those of Python and of frameworks, and type variables."""
nitpick_ignore_regex = [(r"py:.*", "|".join(_ELSEWHERE))]
nitpick_ignore = [("py:meth", "from_dict")]  # of any model

add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "github-dark"  # the usual one underlines the names of modules
html_title = f"connectycube {version}"
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {"navigation_with_keys": True}
