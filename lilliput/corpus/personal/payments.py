# ruff: noqa: E501 (patterns)
"""Numbers that money moves by: IBANs, payment cards, cryptocurrency addresses."""

import hashlib
import re
from collections.abc import Iterator, Mapping

from lilliput.corpus.personal.checksums import iso7064_mod97_10, luhn
from lilliput.corpus.personal.finding import (
    LEFT,
    RIGHT,
    Finding,
    Windows,
    has_context,
    matches,
    word_pattern,
)

# ISO 13616's registry: the length of each country's IBAN.
IBAN_LENGTHS: Mapping[str, int] = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST",
        26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip

_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])"
)
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")

_CARD = re.compile(
    LEFT + r"(?:[0-9]{12,19}|[0-9]{4}([ \-])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{3})?"
    r"|[0-9]{4}([ \-])[0-9]{6}\2[0-9]{4,5})" + RIGHT
)
# ISO/IEC 7812's first digits: issuer, first and last prefix, lengths.
_ISSUERS = (
    ("Visa", "4", "4", (13, 16, 19)),
    ("Mastercard", "51", "55", (16,)),
    ("Mastercard", "2221", "2720", (16,)),
    ("American Express", "34", "34", (15,)),
    ("American Express", "37", "37", (15,)),
    ("Discover", "6011", "6011", (16, 19)),
    ("Discover", "644", "659", (16, 19)),
    ("Diners Club", "300", "305", (14, 16)),
    ("Diners Club", "36", "36", (14,)),
    ("Diners Club", "38", "39", (14, 16)),
    ("JCB", "3528", "3589", (16, 19)),
    ("UnionPay", "62", "62", (16, 17, 18, 19)),
    ("Maestro", "5018", "5038", (12, 16, 19)),
    ("Maestro", "5893", "5893", (12, 16, 19)),
    ("Maestro", "6304", "6304", (12, 16, 19)),
    ("Maestro", "6759", "6763", (12, 16, 19)),
    ("Mir", "2200", "2204", (16,)),
    ("Troy", "9792", "9792", (16,)),
)
_CARD_WORDS = word_pattern(
    (r"(?:credit|debit|bank|payment)? ?cards?(?: number| no\.?)?", r"visa", r"master ?card", r"amex",
     r"american express", r"maestro", r"cc(?:n|#)?", r"kreditkarte\w*", r"kartennummer", r"carte",
     r"tarjeta", r"carta", r"cart[ãa]o", r"kart[yąa]", r"kort(?:nummer)?", r"kaart(?:nummer)?")
)  # fmt: skip

_BITCOIN = re.compile(r"[13][1-9A-HJ-NP-Za-km-z]{25,34}(?![0-9A-Za-z])")
_BECH32 = re.compile(r"(?<![0-9A-Za-z])bc1[02-9ac-hj-np-z]{11,71}(?![0-9A-Za-z])", re.IGNORECASE)
_ETHEREUM = re.compile(r"(?<![0-9A-Za-z])0x[0-9a-fA-F]{40}(?![0-9A-Za-z])")
_BASE58 = {c: n for n, c in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def find_ibans(text: str, windows: Windows) -> Iterator[Finding]:
    """IBANs of a country in the registry, of its length, with the right check digits."""
    for begin in matches(_IBAN_START, text, windows):
        length = IBAN_LENGTHS.get(begin.group()[:2].upper())
        match = _IBAN.match(text, begin.start()) if length else None
        if match is None or length is None:
            continue
        end = _end_of(text, begin.start(), length)
        if end and not text[end : end + 1].isalnum():
            number = "".join(filter(str.isalnum, text[begin.start() : end])).upper()
            if iso7064_mod97_10(number[4:] + number[:4]):
                yield Finding(begin.start(), end, "iban", number[:2])


def _end_of(text: str, start: int, length: int) -> int:
    """Where so many letters and digits from `start` end, single spaces and hyphens between; or 0."""
    seen, place, gap = 0, start, 0
    while seen < length and place < len(text):
        character = text[place]
        if character.isascii() and character.isalnum():
            seen, gap = seen + 1, 0
        elif character in " -" and not gap:
            gap = 1
        else:
            return 0
        place += 1
    return place if seen == length else 0


def card_issuer(number: str) -> str | None:
    """The issuer whose range the digits lie in, if length and Luhn's check fit too."""
    for issuer, first, last, lengths in _ISSUERS:
        if len(number) in lengths and first <= number[: len(first)] <= last:
            return issuer if luhn(number) else None
    return None


def find_cards(text: str, windows: Windows) -> Iterator[Finding]:
    """Payment card numbers: an issuer's range, its length, Luhn's check.

    Ungrouped numbers of other lengths than 15 and 16 need a word for a card near them.
    """
    for match in matches(_CARD, text, windows):
        number = "".join(filter(str.isdigit, match.group()))
        issuer = card_issuer(number)
        if issuer is None or len(set(number)) < 2:
            continue
        certain = len(number) in (15, 16) and (match.group() != number or issuer != "Maestro")
        if certain or has_context(_CARD_WORDS, text, *match.span()):
            yield Finding(*match.span(), "card", issuer)


def find_crypto_addresses(text: str, windows: Windows) -> Iterator[Finding]:
    """Bitcoin addresses by their checksums; Ethereum's by form."""
    for match in _BITCOIN.finditer(text):
        before = text[match.start() - 1 : match.start()]
        if not before.isalnum() and _is_base58check(match.group()):
            yield Finding(*match.span(), "crypto", "Bitcoin")
    if "bc1" in text or "BC1" in text:
        for match in _BECH32.finditer(text):
            if _is_bech32(match.group().lower()):
                yield Finding(*match.span(), "crypto", "Bitcoin")
    if "0x" in text:
        for match in _ETHEREUM.finditer(text):
            # Mostly zeros: the null address, a burn address, a contract of the protocol's own.
            if match.group().count("0") < 30:
                yield Finding(*match.span(), "crypto", "Ethereum")


def _is_base58check(address: str) -> bool:
    value = 0
    for character in address:
        value = value * 58 + _BASE58[character]
    if value >> 200:
        return False
    data = value.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


def _is_bech32(address: str) -> bool:
    """BIP 173's checksum (constant 1) or BIP 350's."""
    check = 1
    for value in (3, 3, 0, 2, 3, *(_BECH32_ALPHABET.index(c) for c in address[3:])):
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= generator if top >> place & 1 else 0
    return check in (1, 0x2BC830A3)
