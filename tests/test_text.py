"""Text from outside: nothing in it may move a cursor, hide or reorder what is shown."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from harness.text import clean


def test_ordinary_text_stays():
    assert clean("mobilenet_v1_0.25_128 größe 10⁶ → 画像 🙂") == "mobilenet_v1_0.25_128 größe 10⁶ → 画像 🙂"


def test_control_characters_are_spelt_out():
    assert clean("a\x1b[31mred\n\u202eb\u2028\x00") == "a\\x1b[31mred\\n\\u202eb\\u2028\\x00"


def test_long_text_is_cut():
    assert clean("x" * 1000, 10) == "x" * 9 + "…"


@given(st.text(st.characters(), max_size=400))
def test_result_is_one_bounded_line_without_control_characters(text):
    shown = clean(text, 50)
    assert len(shown) <= 50
    assert not any(unicodedata.category(c)[0] == "C" for c in shown)
    assert len(shown.splitlines()) <= 1
