"""Masks: enough of a finding to recognise its form, never its value. For reports and logs."""

from collections.abc import Sequence

from lilliput.corpus.personal.finding import Finding

_SHOWN = 24


def mask(value: str, kind: str) -> str:
    """A value's form: "j…@a….org" for an address; else digits as •, letters as ×, marks kept.

    Names, addresses, keys and credentials show their length only.
    """
    if kind == "email" and "@" in value:
        local, _, domain = value.rpartition("@")
        ending = domain.rpartition(".")[2]
        return f"{local[:1]}…@{domain[:1]}….{ending}"
    if kind in ("name", "address", "key", "url_credentials"):
        return f"({len(value)} characters)"
    shape = "".join(
        "•" if c.isdigit() else "×" if c.isalpha() else c if c.isprintable() else " "
        for c in value[:_SHOWN]
    )
    return shape + ("…" if len(value) > _SHOWN else "")


def masked(text: str, findings: Sequence[Finding]) -> str:
    """The text with every finding masked: what a report may show of a document."""
    pieces, place = [], 0
    for one in findings:
        pieces += [
            text[place : one.start],
            f"[{one.kind}: {mask(text[one.start : one.end], one.kind)}]",
        ]
        place = one.end
    return "".join((*pieces, text[place:]))
