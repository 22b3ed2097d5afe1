import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.emulator.api import ROUTES
from connectycube.rest import _template
from connectycube.rest._template import template_of
from tests.support.paths import ROOT

BASE = "https://api.example.org"
WORDS = sorted(_template._WORDS)


@pytest.mark.parametrize("pattern", sorted({route.pattern for route in ROUTES}))
def test_a_path_of_the_service_has_its_template(pattern):
    path = pattern.replace("{class}", "Thing").replace("{ids}", "5f3c,5f3d").replace("{id}", "5f3c")
    assert template_of(f"{BASE}/{path}", BASE) == f"/{pattern.replace('{ids}', '{id}')}"


def test_each_word_of_a_path_in_the_source_is_known():
    folder = ROOT / "connectycube" / "rest"
    found = set()
    for path in folder.glob("[a-z]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [ast.unparse(target) for target in getattr(node, "targets", ())]
            is_path = any(
                re.fullmatch(r"path|_PATH\w*|_V2|_EVENTS|_SUBSCRIPTIONS", n) for n in names
            )
            if is_path and isinstance(node.value, ast.Tuple):
                constants = [each for each in node.value.elts if isinstance(each, ast.Constant)]
                found |= {constant.value for constant in constants}
    assert {"chat", "Dialog", "clearHistory", "v2", "subscriptions"} <= found <= set(WORDS)


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text("abz09,%-", max_size=9)), max_size=5))
def test_a_template_holds_words_of_the_api_alone(parts):
    template = template_of("/".join([BASE, *parts]), BASE)
    if parts:
        assert set(template.split("/")) <= {"", "{id}", "{class}", *WORDS}
    else:
        assert template is None


def test_what_stands_in_the_place_of_a_name_is_no_word():
    assert template_of(f"{BASE}/users/external/online", BASE) == "/users/external/{id}"
    assert template_of(f"{BASE}/data/users/multi", BASE) == "/data/{class}/multi"


def test_the_query_is_no_part_of_a_template():
    assert template_of(f"{BASE}/users/by_login?login=a/b", BASE) == "/users/by_login"


def test_another_origin_has_no_template():
    assert template_of("https://bucket.example.org/chat/Dialog", BASE) is None
    assert template_of(f"{BASE}.example.org/chat/Dialog", BASE) is None
