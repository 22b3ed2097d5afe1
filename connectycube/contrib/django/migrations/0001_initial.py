"""The tables of the models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

import connectycube.contrib.django.models


class Migration(migrations.Migration):
    initial: ClassVar[bool | None] = True

    dependencies: ClassVar[Sequence[tuple[str, str]]] = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar[Sequence[Operation]] = [
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("bot", models.CharField(db_index=True, max_length=100)),
                ("signal", models.CharField(max_length=100)),
                ("receiver", models.CharField(max_length=300)),
                (
                    "key",
                    models.CharField(
                        help_text="Tells apart the events and receivers.",
                        max_length=64,
                        unique=True,
                    ),
                ),
                ("event", models.JSONField(help_text="The event, as its to_dict() says.")),
                ("error", models.TextField()),
                ("attempts", models.PositiveIntegerField(default=1)),
                ("at", models.DateTimeField(auto_now=True)),
                (
                    "is_marked",
                    models.BooleanField(
                        default=False,
                        help_text="The listener runs the handler again within 5 seconds.",
                        verbose_name="run again",
                    ),
                ),
            ],
            options={
                "verbose_name": "dead letter",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Lease",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="What it is for, such as a bot.", max_length=150, unique=True
                    ),
                ),
                (
                    "holder",
                    models.CharField(
                        blank=True, help_text="Machine, process and a random part.", max_length=200
                    ),
                ),
                ("until", models.DateTimeField(help_text="By the database's clock.")),
                (
                    "fencing",
                    models.BigIntegerField(default=0, help_text="Grows with each new holder."),
                ),
            ],
            options={
                "db_table": "connectycube_listener",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="OutgoingMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("bot", models.CharField(default="default", max_length=100)),
                (
                    "to_user",
                    models.BigIntegerField(
                        blank=True, help_text="A user's id at the service.", null=True
                    ),
                ),
                (
                    "to_dialog",
                    models.CharField(
                        blank=True, help_text="Or the id of a dialog.", max_length=100
                    ),
                ),
                ("body", models.TextField(blank=True)),
                ("custom", models.JSONField(blank=True, default=dict)),
                (
                    "message_id",
                    models.CharField(
                        default=connectycube.contrib.django.models.new_message_id,
                        editable=False,
                        help_text="Never changes.",
                        max_length=24,
                        unique=True,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("failed", "Failed")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0, editable=False)),
                ("error", models.TextField(blank=True, editable=False)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("sent_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "verbose_name": "outgoing message",
                "ordering": ["id"],
                "indexes": [
                    models.Index(fields=["bot", "state", "id"], name="connectycube_outgoing")
                ],
            },
        ),
        migrations.CreateModel(
            name="ChatAccount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "uid",
                    models.CharField(
                        help_text="The primary key of the user of Django, for the service.",
                        max_length=100,
                        unique=True,
                    ),
                ),
                (
                    "chat_id",
                    models.BigIntegerField(
                        blank=True,
                        help_text="The user's id at the service.",
                        null=True,
                        unique=True,
                    ),
                ),
                (
                    "fields_sent",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="The fields of the user as the service has them.",
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("changed", models.DateTimeField(auto_now=True)),
                (
                    "user",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="chat_account",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "chat account",
                "ordering": ["id"],
            },
        ),
    ]
