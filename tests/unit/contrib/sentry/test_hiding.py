"""What is hidden of a report, whatever shape its parts have."""

from __future__ import annotations

import pytest

from connectycube.contrib.sentry.hiding import hide_frames, hide_queries

HOSTS = {"api.example.org"}


def frame(module):
    return {"module": module, "vars": {"a": "1"}}


@pytest.mark.parametrize(
    ("module", "is_hidden"),
    [
        ("connectycube.rest._api", True),
        ("connectycube", True),
        ("urllib3.connectionpool", True),
        ("connectycubes", False),
        ("shop.handlers", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("part", ["exception", "threads"])
def test_frames_of_the_package_and_below_lose_their_variables(part, module, is_hidden):
    frames = [frame(module), frame("shop")]
    hide_frames({part: {"values": [{"stacktrace": {"frames": frames}}]}})
    assert ["vars" in each for each in frames] == [not is_hidden, True]


@pytest.mark.parametrize(
    ("url", "is_hidden"),
    [
        ("https://api.example.org/users", True),
        ("https://other.example.org/users", False),
        (5, False),
    ],
)
@pytest.mark.parametrize("name", ["http.query", "url.query", "url.full", "http.fragment"])
def test_queries_of_the_packages_requests_are_masked(name, url, is_hidden):
    crumb = {"data": {"url": url, name: "login=anna"}}
    span = {"data": {"url": url, name: "login=anna"}}
    hide_queries({"breadcrumbs": {"values": [crumb]}, "spans": [span]}, HOSTS)
    expected = "[Filtered]" if is_hidden else "login=anna"
    assert [part["data"][name] for part in (crumb, span)] == [expected, expected]


@pytest.mark.parametrize("odd", [None, 5, "text", [], {}, {"values": 5}, {"values": [5, {}]}])
def test_a_part_of_another_shape_is_left_alone(odd):
    event = {"exception": odd, "threads": odd, "breadcrumbs": odd, "spans": odd}
    hide_frames(event)
    hide_queries(event, HOSTS)
    assert event == {"exception": odd, "threads": odd, "breadcrumbs": odd, "spans": odd}
