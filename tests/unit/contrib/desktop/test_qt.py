"""``qt_post`` without Qt."""

from __future__ import annotations

import sys

import pytest

from connectycube.contrib.desktop import qt_post


def test_without_qt_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PySide6", None)
    monkeypatch.delitem(sys.modules, "PySide6.QtCore", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'connectycube\[desktop\]'"):
        qt_post()
