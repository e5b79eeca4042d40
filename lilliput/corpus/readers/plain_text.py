"""Text files: one document, or several divided by lines `<|endoftext|>`."""

from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.readers.encodings import decode, repair
from lilliput.corpus.readers.records import Counts, Malformed, Records
from lilliput.corpus.readers.source import Source, Span
from lilliput.corpus.readers.streams import open_span

DOCUMENT_SEPARATOR = "<|endoftext|>"
MAX_DOCUMENT_BYTES = 1 << 30
_SEPARATOR = DOCUMENT_SEPARATOR.encode()


def read_text(span: Span, source: Source, counts: Counts) -> Records:
    """The documents of a text file that begin in the span.

    A document begins after its separator line (the first one at the start of the file) and belongs
    to the span that holds this line's start.
    """
    with open_span(span, counts, source.encoding) as opened:
        stream, position = opened.stream, 0
        inside = opened.first
        if not opened.first:
            position = len(stream.readline())
        elif stream.peek(3).startswith(b"\xef\xbb\xbf"):
            position = len(stream.read(3))
        lines: list[bytes] = []
        held = 0
        for line in stream:
            separates = _SEPARATOR in line and line.strip() == _SEPARATOR
            if not opened.owns(position) and (separates or not inside):
                break
            position += len(line)
            if separates:
                if inside:
                    yield from _document(lines, span, source, counts)
                lines, held, inside = [], 0, True
            elif inside and held <= MAX_DOCUMENT_BYTES:
                lines.append(line)
                held += len(line)
                if held > MAX_DOCUMENT_BYTES:
                    lines = []
                    yield Malformed(
                        "too_long",
                        span.location,
                        f"a document of more than {MAX_DOCUMENT_BYTES:,} bytes; "
                        f"put lines {DOCUMENT_SEPARATOR} between documents",
                    )
        if inside:
            yield from _document(lines, span, source, counts)


def _document(lines: list[bytes], span: Span, source: Source, counts: Counts) -> Records:
    text = decode(b"".join(lines), counts).replace("\r\n", "\n").strip("\n")
    text = repair(text, counts, mojibake=source.mojibake)
    if text:
        yield Document(document_id(text), text, span.name)
