"""The names of attributes and metrics are those of OpenTelemetry's conventions, or begin with our own."""

from __future__ import annotations

import importlib
import pkgutil

import opentelemetry.semconv._incubating.attributes as incubating_attributes
import opentelemetry.semconv._incubating.metrics as incubating_metrics
import opentelemetry.semconv.attributes as stable_attributes
import opentelemetry.semconv.metrics as stable_metrics
import pytest

from connectycube.contrib.opentelemetry import names


def texts_of(*packages):
    """The values of the constants of all modules of these packages, by their names."""
    found = {}
    for package in packages:
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            constants = vars(importlib.import_module(module.name))
            found |= {name: value for name, value in constants.items() if type(value) is str}
    return found


@pytest.mark.parametrize(("name", "value"), names.ATTRIBUTES.items())
def test_an_attribute_is_of_the_conventions_or_ours(name, value):
    if not value.startswith(names.OURS):
        assert texts_of(stable_attributes, incubating_attributes)[name] == value


@pytest.mark.parametrize(("name", "value"), names.METRICS.items())
def test_a_metric_is_of_the_conventions_or_ours(name, value):
    if not value.startswith(names.OURS):
        assert texts_of(stable_metrics, incubating_metrics)[name] == value


def test_the_two_tables_hold_all_names():
    constants = {
        name: value
        for name, value in vars(names).items()
        if name.isupper() and type(value) is str and "." in value and name != "OURS"
    }
    assert constants == {**names.ATTRIBUTES, **names.METRICS}
    assert {
        "http.request.method",
        "messaging.system",
        "messaging.operation.type",
    } <= set(names.ATTRIBUTES.values())
