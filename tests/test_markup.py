"""Markup by construction."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from magma_ros.markup import Markup, breakable, element, join


class Reader(HTMLParser):
    """What a browser makes of it: elements and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@given(st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    """Between tags and in attributes, no text is ever read as markup."""
    reader = Reader(element("p", text, title=text))
    assert reader.elements == [("p", {"title": text})]
    assert reader.text == text


def test_only_markup_is_put_in_as_it_is() -> None:
    """Elements nest; lists are unpacked, None is left out."""
    expected = '<p class="a">1 &lt; 2<b>3</b><br></p>'
    assert element("p", "1 < 2", None, [element("b", 3), element("br")], class_="a") == expected
    assert join(["<", Markup("<i>")]) == "&lt;<i>"


def test_attributes_can_be_left_out_or_bare() -> None:
    """None and False leave one out, True gives it without a value, and underscores are hyphens."""
    assert element("a", hidden=True, title=None, open=False, text_anchor="end") == '<a hidden text-anchor="end"></a>'


def test_halves_of_characters_can_be_written_to_a_file() -> None:
    """JSON may carry lone surrogates; a page may not."""
    assert element("p", "a\ud800b").encode() == b"<p>a?b</p>"


def test_long_names_may_go_on_in_the_next_line() -> None:
    """At each underscore, which stays, and without any the name is as it was."""
    assert breakable("pick_up_<it>") == "pick<wbr>_up<wbr>_&lt;it&gt;"
    assert breakable("pick") == "pick"
