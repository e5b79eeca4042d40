"""Bytes to text, whatever their encoding, and the repair of text that was decoded wrongly.

Nothing here fails: what is repaired is counted, by kind.
"""

import re

from lilliput.corpus.readers.records import Counts

REPAIRED = "repaired encodings: "
# As few bytes outside ASCII tell Western Europe's code page from others only by luck.
_BYTES_THAT_TELL = 20
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# A character that stands for the first byte of a UTF-8 sequence, before one that stands for a
# later byte, in text that was decoded as cp1252 or Latin-1.
_MOJIBAKE = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc"
    "\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)


_LEADS = tuple(chr(code) for code in range(0xC2, 0xF5))


def _misread(text: str) -> str:
    """What cp1252 makes of the UTF-8 of `text`; of bytes that it lacks, what Latin-1 does."""
    missing = b"\x81\x8d\x8f\x90\x9d"
    return "".join(
        bytes([code]).decode("latin-1" if code in missing else "cp1252") for code in text.encode()
    )


# Nine in ten are one of these, which nobody writes on purpose.
_COMMON = {_misread(mark): mark for mark in "‘’“”–—…"}


def decode(data: bytes, counts: Counts) -> str:
    """The text of `data`: UTF-8, UTF-8 with stray bytes, or the code page that it most likely is.

    Stray bytes are read as cp1252, which most of them are.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    text = data.decode("utf-8", "surrogateescape")
    strays = len(_ESCAPED_BYTE.findall(text))
    if sum(1 for character in text if character > "\x7f") > 2 * strays:
        counts[f"{REPAIRED}stray bytes"] += 1
        return _ESCAPED_BYTE.sub(_stray_byte, text)
    return _decode_code_page(data, counts)


def repair(text: str, counts: Counts, *, mojibake: bool = True) -> str:
    """`text` without NULs and, if `mojibake`, with what was decoded wrongly once set right."""
    if "\0" in text:
        counts[f"{REPAIRED}NUL"] += 1
        text = text.replace("\0", "")
    # Looking for single characters is ten times as fast as the pattern.
    if mojibake and not text.isascii() and any(lead in text for lead in _LEADS):
        repaired = text
        if "â€" in repaired:
            for misread, mark in _COMMON.items():
                repaired = repaired.replace(misread, mark)
        if _MOJIBAKE.search(repaired):
            repaired = "\n".join(_repair_line(line) for line in repaired.split("\n"))
        if repaired != text:
            counts[f"{REPAIRED}mojibake"] += 1
            text = repaired
    return text


def repair_surrogates(text: str, counts: Counts) -> str:
    """`text` with pairs of surrogates joined and halves of pairs made U+FFFD."""
    counts[f"{REPAIRED}surrogates"] += 1
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _repair_line(line: str) -> str:
    if not _MOJIBAKE.search(line):
        return line
    from ftfy import fix_encoding

    repaired: str = fix_encoding(line)
    return repaired


def _stray_byte(match: re.Match[str]) -> str:
    byte = bytes([ord(match[0]) - 0xDC00])
    return byte.decode("cp1252", "replace")


def _decode_code_page(data: bytes, counts: Counts) -> str:
    for name in (_detected(data), "cp1252", "latin-1"):
        try:
            text = data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        counts[f"{REPAIRED}{name}"] += 1
        return text
    raise AssertionError("Latin-1 decodes any bytes")


def _detected(data: bytes) -> str:
    if len(_NOT_ASCII.findall(data)) < _BYTES_THAT_TELL:
        return "cp1252"
    from resiliparse.parse.encoding import detect_encoding

    name = detect_encoding(data) or "cp1252"
    return "cp1252" if name == "utf-8" else name
