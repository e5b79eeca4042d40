"""Numbered lines of a span."""

from collections.abc import Iterator
from dataclasses import replace

from lilliput.corpus.readers.records import Counts
from lilliput.corpus.readers.source import Span
from lilliput.corpus.readers.streams import open_span


def lines_of(span: Span, counts: Counts, encoding: str | None = None) -> Iterator[bytes]:
    """The lines that begin in the span, each with its line end; without a byte order mark.

    A line belongs to the span in which the line end before it stands.
    """
    with open_span(span, counts, encoding) as opened:
        stream, position = opened.stream, 0
        if not opened.first:
            position = len(stream.readline())
            if not position:
                return
        elif stream.peek(3).startswith(b"\xef\xbb\xbf"):
            position = len(stream.read(3))
        for line in stream:
            if not opened.owns(position):
                return
            position += len(line)
            yield line


class LineNumbers:
    """Numbers of a span's lines in their file, counted only when one is asked for."""

    def __init__(self, span: Span, encoding: str | None = None) -> None:
        self._span = span
        self._encoding = encoding
        self._before: int | None = None

    def __getitem__(self, index: int) -> int:
        """The number (from 1) of the line that is number `index` (from 0) of its span."""
        if self._before is None:
            before = replace(self._span, start=0, stop=self._span.start)
            self._before = (
                sum(1 for _ in lines_of(before, Counts(), self._encoding))
                if self._span.start
                else 0
            )
        return self._before + index + 1

    def where(self, index: int) -> str:
        """The line for a message: "folder/file, line 7"."""
        return f"{self._span.location}, line {self[index]}"
