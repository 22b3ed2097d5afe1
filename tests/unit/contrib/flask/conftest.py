from __future__ import annotations

import pytest
from flask import Flask

from connectycube.contrib.flask import FlaskCube


@pytest.fixture
def make_app(monkeypatch, tmp_path):
    """``make_app(LOGIN=…)`` makes an application with these keys and an extension of its own."""
    for name in ("APP_ID", "AUTH_KEY", "LOGIN", "PASSWORD", "API_URL"):
        monkeypatch.delenv(f"CONNECTYCUBE_{name}", raising=False)

    def make(cube=None, testing=True, **keys):
        app = Flask("shop")
        app.testing = testing
        app.config.update({f"CONNECTYCUBE_{key}": value for key, value in keys.items()})
        (cube or FlaskCube()).init_app(app)
        return app

    return make


@pytest.fixture
def cube():
    return FlaskCube()


@pytest.fixture
def app(make_app, cube):
    """An application in a test, within its context."""
    app = make_app(cube)
    with app.app_context():
        yield app
