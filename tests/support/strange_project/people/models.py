"""Users with a UUID instead of a number, an e-mail address instead of a name."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils.translation import gettext_lazy


class PersonManager(BaseUserManager):
    """Makes them."""

    def create_user(self, email, password=None, **fields):
        """Make one."""
        person = self.model(email=email, **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person


class Person(AbstractBaseUser, PermissionsMixin):
    """A user."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(gettext_lazy("e-mail address"), unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    objects = PersonManager()
    USERNAME_FIELD = "email"

    class Meta:
        verbose_name = gettext_lazy("user")


class Note(models.Model):
    """What somebody wrote to the bot."""

    message_id = models.CharField(max_length=24, unique=True)
    author = models.UUIDField(null=True)
    text = models.TextField()
