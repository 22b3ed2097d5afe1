from __future__ import annotations

import pytest

from connectycube.contrib.common.extras import extra


@pytest.mark.parametrize("module", ["celery", "celery.schedules"])
def test_the_extra_that_brings_a_missing_library_is_named(module):
    with pytest.raises(ModuleNotFoundError) as raised, extra("celery", "celery"):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    told = "is missing: pip install 'connectycube[celery]', or '.[celery]' in a clone"
    assert str(raised.value) == f"{module} {told}"
    assert raised.value.name == module


@pytest.mark.parametrize("module", ["kombu", "celery_types", None])
def test_what_a_library_itself_lacks_is_raised_as_it_is(module):
    error = ModuleNotFoundError("something of its own", name=module)
    with pytest.raises(ModuleNotFoundError) as raised, extra("celery", "celery"):
        raise error
    assert raised.value is error


def test_other_errors_pass():
    with pytest.raises(ImportError, match="another"), extra("celery", "celery"):
        raise ImportError("another")
