"""Reading a text of a fixed form, step by step."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magma_ros.errors import MarkTextError
from magma_ros.text_reader import TextReader, shown


def fault(message: str) -> str:
    """A pattern of exactly `message`."""
    return f"^{re.escape(message)}$"


def test_a_text_is_read_from_its_beginning_to_its_end() -> None:
    """What was read is behind; what comes next decides."""
    reader = TextReader("Mark 12, Mark 3")
    reader.expect("Mark ")
    assert reader.integer(1, 99) == 12
    assert not reader.is_at_end()
    reader.expect(", Mark ")
    assert reader.integer(1, 99) == 3
    assert reader.is_at_end()
    reader.expect_end()


@pytest.mark.parametrize("text", ["", " ", "\n\t  "])
def test_nothing_but_white_space_is_at_its_end(text: str) -> None:
    """It has no word and no number, and ends well."""
    reader = TextReader(text)
    assert reader.is_at_end()
    reader.expect_end()
    assert not reader.skip("a")
    with pytest.raises(MarkTextError, match=r"expected a whole number from 0 to 9, got the end of the text$"):
        reader.integer(0, 9)


def test_white_space_counts_inside_of_a_text_alone() -> None:
    """Around it, it is nothing; between two words it is a letter like any other."""
    reader = TextReader(" \n a b\n\n")
    reader.expect("a")
    assert not reader.skip("b")
    reader.expect(" b")
    reader.expect_end()


def test_a_skipped_word_is_behind_only_if_it_was_there() -> None:
    """A word that does not come next, or only begins to, leaves the reader where it was."""
    reader = TextReader("abc")
    assert [reader.skip(word) for word in ("b", "abcd", "ab", "ab", "c")] == [False, False, True, False, True]
    assert reader.is_at_end()


def test_a_fault_names_its_place_in_the_text_as_it_came() -> None:
    """Characters are counted from 0, those of the white space before the text included."""
    reader = TextReader("  [1,x]")
    reader.expect("[1,")
    with pytest.raises(MarkTextError, match=fault("character 5: expected a whole number from 0 to 9, got 'x]'")):
        reader.integer(0, 9)
    with pytest.raises(MarkTextError, match=fault("character 5: expected ']', got 'x]'")):
        reader.expect("]")
    with pytest.raises(MarkTextError, match=fault("character 5: expected the end of the text, got 'x]'")):
        reader.expect_end()
    reader.expect("x]")
    with pytest.raises(MarkTextError, match=fault("character 7: expected 'y', got the end of the text")):
        reader.expect("y")


@pytest.mark.parametrize("text", ["-3", "0", "7", "255"])
def test_a_number_may_be_the_lowest_and_the_highest(text: str) -> None:
    """Both ends of the range are in it."""
    number = int(text)
    for lowest, highest in ((number, number), (-3, 255)):
        reader = TextReader(text)
        assert reader.integer(lowest, highest) == number
        reader.expect_end()


@pytest.mark.parametrize("text", ["-4", "256", "-0", "+7", "- 3", "x", ",7", "٣", "²", "1234567890", "-123456789"])
def test_what_is_no_such_number_is_refused_and_not_passed(text: str) -> None:
    """Just outside of the range, other signs and digits, too many digits: the reader stays in front of it."""
    reader = TextReader(text)
    with pytest.raises(MarkTextError, match=r"^character 0: expected a whole number from -3 to 255, got "):
        reader.integer(-3, 255)
    reader.expect(text)
    reader.expect_end()


def test_no_number_is_longer_than_nine_characters() -> None:
    """The sign is one of them; a longer one is refused, whatever the range."""
    wide = -(10**12), 10**12
    for text in ("999999999", "-99999999"):
        assert TextReader(text).integer(*wide) == int(text)
    for text in ("1000000000", "-100000000", "9" * 100_000):
        with pytest.raises(MarkTextError, match="expected a whole number"):
            TextReader(text).integer(*wide)


def test_a_zero_in_front_is_a_number_by_itself() -> None:
    """Of '07' the 0 is read and the 7 is left, so that whatever has to follow is missing."""
    reader = TextReader("07]")
    assert reader.integer(0, 9) == 0
    with pytest.raises(MarkTextError, match=fault("character 1: expected ']', got '7]'")):
        reader.expect("]")


def test_a_number_that_was_there_before_is_refused() -> None:
    """The message lists those that are taken, in order; another one is read."""
    reader = TextReader("4,5")
    with pytest.raises(MarkTextError, match=fault("character 0: expected a number other than [1, 4], got '4,5'")):
        reader.integer(1, 9, unlike={4, 1})
    assert reader.integer(1, 9, unlike={5}) == 4


@settings(max_examples=50)
@given(st.lists(st.integers(-99_999_999, 999_999_999), max_size=5), st.sampled_from(["", " ", "\n "]))
def test_written_numbers_are_read_back(numbers: list[int], space: str) -> None:
    """A list that `str` wrote gives the same numbers."""
    reader = TextReader(space + "".join(f"{number};" for number in numbers) + space)
    found = []
    while not reader.is_at_end():
        found.append(reader.integer(-(10**9), 10**9))
        reader.expect(";")
    assert numbers == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "''"), ("it's", '"it\'s"'), ("a\nb", r"'a\nb'"), ("x" * 24, f"'{'x' * 24}'"), ("x" * 25, f"'{'x' * 24}…'")],
)
def test_of_a_long_text_the_beginning_is_shown(text: str, expected: str) -> None:
    """24 characters are shown whole, of more the first 24; what cannot be printed is escaped."""
    assert shown(text) == expected
