from tests.support.django_setup import (  # noqa: F401
    _database_of_session,
    database,
    locmem,
    setting,
    tables,
)
