"""``connectycube relay`` and ``connectycube worker``: wrong arguments are one clear sentence."""

from __future__ import annotations

import pytest

from connectycube.cli import main


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["worker", "shop"], "write MODULE:WORKER, such as shop.chat:worker, not 'shop'"),
        (["worker", "no_such_module:worker"], "there is no module no_such_module"),
        (["worker", "json:worker"], "module json has no worker"),
        (["worker", "json:loads"], "json:loads is a function, and no Worker"),
        (["relay", "--url", "ftp://host", "status"], "url must begin with redis://"),
        (["relay", "status"], "--url is missing, and CONNECTYCUBE_RELAY_URL is not set"),
    ],
)
def test_wrong_arguments_name_themselves(words, sentence, capsys, monkeypatch):
    monkeypatch.delenv("CONNECTYCUBE_RELAY_URL", raising=False)
    assert main(words) == 1
    assert sentence in capsys.readouterr().err
