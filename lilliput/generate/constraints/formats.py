"""The string formats of JSON Schema that can be enforced, as regular expressions.

llguidance's own are kept where they are exact. Its dates allow 29 February in every year and
second 60 in every minute, and its host names have no total length: these are our own.
"""

_MONTHS = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_FOURTHS = r"(?:0[48]|[2468][048]|[13579][26])"
_YEAR = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_LEAP_DAY = rf"(?:[0-9]{{2}}{_FOURTHS}|(?:{_FOURTHS})00)-02-29"
DATE = rf"(?:{_YEAR}-{_MONTHS}|{_LEAP_DAY})"
TIME = (
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_LABEL = r"[a-zA-Z0-9](?:-?[a-zA-Z0-9]){0,31}"  # two hyphens are kept for Punycode

PATTERNS = {
    "date": rf"^{DATE}$",
    "time": rf"^{TIME}$",
    "date-time": rf"^{DATE}T{TIME}$",
    "hostname": rf"^{_LABEL}(?:\.{_LABEL}){{0,2}}$",
}
"""Formats that we write as a `pattern`."""

OF_LLGUIDANCE = frozenset({"duration", "email", "ipv4", "ipv6", "uri", "uuid"})
"""Formats that llguidance enforces exactly."""

KNOWN = sorted({*PATTERNS, *OF_LLGUIDANCE})
