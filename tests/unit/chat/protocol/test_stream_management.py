"""The counts of stanzas, which start again at 0 after 2^32 - 1. (XEP-0198, section 4.)"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectycube.chat.protocol.stream_management import MODULUS, is_before

TOP = MODULUS - 1


@pytest.mark.parametrize(
    ("count", "other"), [(0, 1), (TOP, 0), (TOP, 1), (TOP - 1, TOP), (0, 2**31 - 1)]
)
def test_an_earlier_count_is_before_a_later_one(count, other):
    assert is_before(count, other)
    assert not is_before(other, count)


@given(count=st.integers(0, TOP), steps=st.integers(1, 2**31 - 1))
def test_the_order_holds_where_a_count_starts_again(count, steps):
    later = (count + steps) % MODULUS
    assert is_before(count, later)
    assert not is_before(later, count)


@pytest.mark.parametrize(("count", "other"), [(0, 2**31), (2**31, 0)])
def test_of_two_counts_half_the_range_apart_none_is_before_the_other(count, other):
    assert not is_before(count, other)


@given(count=st.integers(0, TOP))
def test_no_count_is_before_itself(count):
    assert not is_before(count, count)
