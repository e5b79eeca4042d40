"""Web archives for tests, by the letter of ISO 28500."""

import gzip
from collections.abc import Sequence


def warc_record(kind: str, content: bytes, **headers: str) -> bytes:
    lines = ["WARC/1.0", f"WARC-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content + b"\r\n\r\n"


def warc_records(texts: Sequence[str]) -> list[bytes]:
    """Records of a WET file: its description, then a conversion for each text."""
    return [
        warc_record("warcinfo", b"software: test\r\n", Content_Type="application/warc-fields"),
        *(
            warc_record(
                "conversion",
                text.encode(),
                WARC_Record_ID=f"<urn:uuid:{number}>",
                WARC_Target_URI=f"http://example.org/{number}",
                WARC_Date="2026-01-02T03:04:05Z",
                Content_Type="text/plain",
            )
            for number, text in enumerate(texts)
        ),
    ]


def gzipped_records(records: Sequence[bytes]) -> bytes:
    """A gzip member a record, as crawls are stored."""
    return b"".join(gzip.compress(record, mtime=0) for record in records)
