"""Hypothesis strategies for what XML can and cannot carry."""

from __future__ import annotations

from hypothesis import strategies as st

LEGAL = st.one_of(
    st.sampled_from("\t\n\r \u0085\u00a0\u2028\ufeff\ufffd\U0010ffff<>&\"'`]=;"),
    st.characters(min_codepoint=0x20, max_codepoint=0xD7FF),
    st.characters(min_codepoint=0xE000, max_codepoint=0xFFFD),
    st.characters(min_codepoint=0x10000, max_codepoint=0x10FFFF),
)
"""Every character that XML 1.0 allows (its Char production), the awkward ones often."""

FORBIDDEN = st.one_of(
    st.sampled_from([chr(code) for code in range(0x20) if chr(code) not in "\t\n\r"]),
    st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"]),
    st.sampled_from("\ufffe\uffff"),
)
"""Every character that it does not."""

texts = st.text(LEGAL, max_size=40)
