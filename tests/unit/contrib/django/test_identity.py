"""The site as identity provider: who gets a token, how long it is good, and what a refusal says."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth import get_user_model
from django.core import signing
from django.test import Client

from connectycube.contrib.django import identity_token
from connectycube.contrib.django.models import ChatAccount
from connectycube.errors import ArgumentTypeError, ArgumentValueError

pytestmark = pytest.mark.usefixtures("database", "locmem")


@pytest.fixture
def ann():
    return get_user_model().objects.create_user("ann", first_name="Ann", last_name="Lee")


def ask(token, method="get", **options):
    client = Client(enforce_csrf_checks=True)
    return getattr(client, method)("/chat/identity/", {"token": token} if token else {}, **options)


def test_the_service_learns_who_a_token_belongs_to(ann):
    answer = ask(identity_token(ann))
    assert answer.status_code == 200
    assert answer.json() == {"uid": str(ann.pk), "full_name": "Ann Lee"}
    assert "no-store" in answer["Cache-Control"]


def fields_of(user):
    return {"full_name": user.first_name, "email": None}


def test_the_setting_says_which_fields_the_service_gets(ann, setting):
    setting({"APP_ID": 1, "AUTH_KEY": "k", "USERS": {"FIELDS": f"{__name__}.fields_of"}})
    assert ask(identity_token(ann)).json() == {"uid": str(ann.pk), "full_name": "Ann"}
    setting({"APP_ID": 1, "AUTH_KEY": "k", "USERS": {"FIELDS": lambda user: "Ann"}})
    with pytest.raises(ArgumentValueError, match="FIELDS'] must return a dictionary, not str"):
        ask(identity_token(ann))


def test_every_refusal_is_the_same(ann, monkeypatch):
    good = identity_token(ann)
    stranger = identity_token(get_user_model().objects.create_user("gone"))
    get_user_model().objects.filter(username="gone").delete()
    of_another_use = signing.TimestampSigner().sign(str(ann.pk))
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 61)
        old = identity_token(ann)
    refused = [
        ask(token) for token in ("", "x", good[:-1], f"2{good}", stranger, of_another_use, old)
    ]
    get_user_model().objects.update(is_active=False)
    refused.append(ask(good))
    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.content for answer in refused}) == 1


def test_a_token_is_good_as_long_as_the_setting_says(ann, setting, monkeypatch):
    setting({"APP_ID": 1, "AUTH_KEY": "k", "IDENTITY": {"MAX_AGE": 5}})
    token, now = identity_token(ann), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 4)
    assert ask(token).status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + 7)
    assert ask(token).status_code == 401


def test_the_provider_answers_get_alone(ann):
    assert ask(identity_token(ann), "post").status_code == 405


def test_who_cannot_log_in_gets_no_token(ann):
    for user, error in ((3, ArgumentTypeError), (get_user_model()(), ArgumentValueError)):
        with pytest.raises(error, match="user"):
            identity_token(user)
    ann.is_active = False
    with pytest.raises(ArgumentValueError, match="user is not active"):
        identity_token(ann)


def test_a_user_who_is_gone_is_known_only_for_the_deletion_of_the_account(ann):
    token, pk = identity_token(ann), str(ann.pk)
    ChatAccount.objects.create(user=ann, uid=pk, chat_id=5)
    ann.delete()
    assert ask(token).json() == {"uid": pk}
