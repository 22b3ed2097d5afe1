"""A hypothesis strategy that damages JSON: at any depth, fields dropped, nulled, retyped and added."""

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**15, 10**400)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "1",
            "-0",
            "1e999",
            "9" * 5000,
            "²",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
        ]
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def damaged(draw, value):
    """Draw ``value`` with some of it damaged."""
    if isinstance(value, dict):
        result = {}
        for key, entry in value.items():
            kind = draw(st.sampled_from(("keep", "keep", "deeper", "drop", "null", "retype")))
            if kind == "keep":
                result[key] = entry
            elif kind == "deeper":
                result[key] = draw(damaged(entry))
            elif kind == "null":
                result[key] = None
            elif kind == "retype":
                result[key] = draw(JSON)
        for key in draw(st.lists(st.text(max_size=8), max_size=2)):
            result.setdefault(key, draw(JSON))
        return result
    if isinstance(value, list):
        return [draw(damaged(entry)) for entry in value] + draw(st.lists(JSON, max_size=2))
    return draw(JSON)
