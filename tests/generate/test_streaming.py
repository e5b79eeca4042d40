from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lilliput.generate.streaming import CompletionText

texts = st.text(alphabet="ab😀é\n ", max_size=25)
stops = st.lists(st.text(alphabet="ab😀é", min_size=1, max_size=4), max_size=3)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(bounds)]


def expected(text: str, stop: list[str]) -> str:
    """Reading character by character: the first stop string to be complete ends the text."""
    for end in range(1, len(text) + 1):
        found = [one for one in stop if text[:end].endswith(one)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@given(texts, stops, st.lists(st.integers(0, 100)))
def test_text_ends_before_the_first_stop_string_however_tokens_fall(
    text: str, stop: list[str], places: list[int]
) -> None:
    writer = CompletionText(stop)
    shown = ""
    for piece in cut(text.encode(), places):
        shown += writer.write(piece)
        # What was shown is never taken back, and never reaches into a stop string.
        assert expected(text, stop).startswith(shown)
    shown += writer.close()
    assert shown == expected(text, stop)
    assert writer.stopped == (shown != text)


@given(st.binary(max_size=30), st.lists(st.integers(0, 100)))
def test_any_bytes_give_the_same_text_however_tokens_fall(data: bytes, places: list[int]) -> None:
    whole, pieces = CompletionText(), CompletionText()
    text = "".join(pieces.write(piece) for piece in cut(data, places)) + pieces.close()
    assert text == whole.write(data) + whole.close()
    assert data.decode("utf-8", errors="replace").startswith(text)


def test_a_character_waits_for_its_last_byte() -> None:
    writer = CompletionText()
    data = "😀".encode()
    assert [writer.write(data[i : i + 1]) for i in range(4)] == ["", "", "", "😀"]


def test_half_a_character_at_the_end_is_left_out() -> None:
    writer = CompletionText()
    assert writer.write("a😀".encode()[:-1]) + writer.close() == "a"


def test_only_the_possible_start_of_a_stop_string_is_held_back() -> None:
    writer = CompletionText(["The end"])
    assert writer.write(b"A. The") == "A. "
    assert writer.write(b" cat") == "The cat"
    assert writer.write(b". The end. More") == ". "
    assert writer.stopped
    assert writer.write(b"after") == ""
