"""The page on watching names each attribute and each metric of OpenTelemetry, and no other."""

from __future__ import annotations

import re

from connectycube.contrib.opentelemetry import names
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
_NAME = re.compile(r"`((?:http|messaging|url|server|error|connectycube)\.[\w.]+)`")
_OF_OTHERS = {
    *("connectycube.chat", "connectycube.rest", "connectycube.relay"),  # loggers
    "connectycube.attempts",  # a tag of Sentry
}


def test_each_attribute_and_metric_is_on_the_page_and_no_other():
    known = {*names.ATTRIBUTES.values(), *names.METRICS.values()}
    assert set(_NAME.findall(PAGE)) - _OF_OTHERS == known
