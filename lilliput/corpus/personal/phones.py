# ruff: noqa: E501 (patterns and tables)
"""Phone numbers: E.164 with its calling codes, and the national forms of the EU, UK and US."""

import re
from collections.abc import Iterator, Mapping

from lilliput.corpus.personal.finding import Finding, Windows, matches

# Fewest and most digits of a national number (ITU-T E.129 national numbering plans).
_NATIONAL_LENGTHS: Mapping[str, tuple[int, int]] = {
    "1": (10, 10), "30": (10, 10), "31": (9, 9), "32": (8, 9), "33": (9, 9), "34": (9, 9),
    "351": (9, 9), "352": (6, 11), "353": (7, 9), "356": (8, 8), "357": (8, 8), "358": (6, 11),
    "359": (8, 9), "36": (8, 9), "370": (8, 8), "371": (8, 8), "372": (7, 8), "385": (8, 9),
    "386": (8, 8), "39": (8, 11), "40": (9, 9), "41": (9, 9), "420": (9, 9), "421": (9, 9),
    "43": (7, 13), "44": (9, 10), "45": (8, 8), "46": (7, 9), "47": (8, 8), "48": (9, 9),
    "49": (7, 12), "7": (10, 10), "61": (9, 9), "81": (9, 10), "86": (10, 11), "91": (10, 10),
}  # fmt: skip
# The other codes that the ITU has given out, by E.164's list.
_OTHER_CODES = frozenset(
    [str(code) for first, last in (
        (20, 20), (27, 27), (51, 58), (60, 60), (62, 66), (82, 82), (84, 84), (90, 90), (92, 95), (98, 98),
        (211, 213), (216, 216), (218, 218), (220, 258), (260, 269), (290, 291), (297, 299), (350, 350),
        (354, 355), (373, 378), (380, 383), (387, 387), (389, 389), (423, 423), (500, 509), (590, 599),
        (670, 670), (672, 692), (800, 800), (808, 808), (850, 856), (870, 870), (880, 883), (886, 886),
        (960, 968), (970, 977), (992, 996), (998, 998))
     for code in range(first, last + 1)]
)  # fmt: skip

_GAP = r"[ .\-/()\u00a0\u2009\u202f\u2010-\u2013]"
_EXTENSION = r"(?:,? ?(?:[Ee]xt\.?|x|extension|dw) ?\d{1,5}(?!\w))?"
_INTERNATIONAL = re.compile(
    rf"(?<![\w+])(?<![0-9][.,/:+\-])(?:\+ ?|(?<![0-9] )00)\(?[1-9](?:{_GAP}{{0,3}}[0-9]){{6,15}}(?!\w){_EXTENSION}"
)
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.+/#=])(?<![0-9][\-/ ])(?:\+?1[ .\-])?(?:\([2-9][0-9]{2}\)[ \-]?|[2-9][0-9]{2}[ .\-])[2-9][0-9]{2}[ .\-]?"
    rf"[0-9]{{4}}(?![\w/]|[.\-][0-9]){_EXTENSION}",
)
# A leading zero (the trunk prefix), then groups.
_TRUNK = re.compile(
    rf"(?<![\w.+/#=,:\-])(?<![0-9] )\(?0[1-9][0-9]{{0,4}}\)?(?:{_GAP}{{1,3}}[0-9]{{2,8}}){{1,5}}(?![\w/]|[.,\-:][0-9])"
    r"(?!(?<=[ \-][0-9]{4})[ \-][0-9]{4}(?![0-9]))"
)
_MOBILE_BRITISH = re.compile(r"(?<![\w.+/#=\-])07[0-9]{9}(?![\w/]|[.\-][0-9])")
_ANY = re.compile(rf"(?<![\w.,#=])\(?[0-9](?:{_GAP}{{0,2}}[0-9]){{5,13}}(?!\w|[.,:][0-9])")
_DATE = re.compile(
    r"\(?(?:[0-3]?[0-9][./\- ][01]?[0-9][./\- ](?:19|20)?[0-9]{2}|(?:19|20)[0-9]{2}[./\-][01]?[0-9][./\-][0-3]?[0-9])"
    r"(?![.\-/ ]?[0-9])|[0-9]{3}-[0-9]{2}-[0-9]{4}\Z"
)

# A row of single digits, a decimal, a span of years: none of these is how a number is grouped.
_NO_GROUPS = re.compile(
    r"(?<![0-9])[0-9][^0-9][0-9](?![0-9])|[^0-9][0-9]\Z|(?<![0-9])(?:19|20)[0-9]{2} ?[\-–] ?(?:19|20)[0-9]{2}\Z"
)
_LETTERS_FOLLOW = re.compile(r"-[A-Z]")  # 1-800-577-TIPS

_PHONE_WORDS = re.compile(
    r"(?:(?<![^\W\d_])(?:(?:tele?)?(?:phone|fono|fone|fon|foon|fax)\w*|t[eé]l(?:[eé](?:f|ph)\w*)?|number(?: is)?|tlf\w?|tfno|ph|mob(?:ile|iel|iltel\w*)?|mobil\w*|"
    r"cell(?:phone|ulare)?|handy(?:nummer)?|call|calling|dial|text|sms|whats ?app|ring|contact|hotline|landline|numéro|num|"
    r"portable|gsm|puh(?:elin\w*|\.)?|puhelin|móvil|telemóvel|cellulare|kom(?:órk\w*|\.)|mobitel|tālr\w*|"
    r"τηλ\w*|κιν\w*|тел\w*|моб\w*|fón\w*|guthán|número|nummer|reach (?:me|him|her|us)|numărul)(?!\w)"
    r"[^0-9\n]{0,22}|(?<![^\W\d_])[tmfp][.:]{1,2} ?\(?)\Z",
    re.IGNORECASE,
)
_NO_PHONE_WORDS = re.compile(
    r"(?<!\w)(?:isbn|issn|ean|upc|order|invoice|bestell\w*|item|lot|row|timestamp|version|page|ref\w*|serial|case|article|ticket|tracking|code|sku|part|model|"
    r"account|acct|vat|pin|otp|build)(?!\w)[^0-9\n]{0,12}\Z",
    re.IGNORECASE,
)

# Ranges that regulators keep for films and examples: nobody's numbers.
RESERVED_NUMBERS = re.compile(
    r"(?:1?[2-9][0-9]{2}55501[0-9]{2}|"  # North America: 555-0100 to 555-0199
    r"(?:44|0)(?:1632960|7700900|2079460|1134960|1144960|1154960|1164960|1174960|1184960|1214960|1314960|1414960|1514960|"
    r"1614960|1914980|2896496|2920180|8081570|9098790|3069990)[0-9]{1,4}|"  # Ofcom
    r"(?:33|0)(?:19900|26191|35301|46571|53649|63998)[0-9]{2,4}|"  # Arcep
    r"(?:49|0)(?:3023125|6990009|4066969|2214710|8999998)[0-9]{1,5}|(?:49|0)17139200[0-9]{2}|"  # Bundesnetzagentur
    r"(?:46|0)(?:31390060|4062800|846500|9803192|701740)[0-9]{2,3}|"  # PTS
    r"999[0-9]{4,12})"  # no country has the code 999
)
_NOTHING_BUT_DIGITS = str.maketrans("", "", " .-/()\u00a0\u2009\u202f\u2010\u2011\u2012\u2013+")


def phone_digits(text: str) -> str:
    """The digits of a phone number as written, without "+", "00", "(0)" and any extension."""
    text = re.split(r"(?:,? ?(?:[Ee]xt|x|dw))", text, maxsplit=1)[0]
    digits = text.replace("(0)", "").translate(_NOTHING_BUT_DIGITS).strip()
    return digits[2:] if digits.startswith("00") else digits


def find_phones(text: str, windows: Windows) -> Iterator[Finding]:
    """Phone numbers; numbers reserved for examples are left alone."""
    for match in matches(_INTERNATIONAL, text, windows):
        end = _international_end(text, match)
        # Digits alone behind "00" are as often an article's number.
        plain = text[match.start() : end].isdigit()
        if end and not (
            plain and not _PHONE_WORDS.search(text[max(0, match.start() - 40) : match.start()])
        ):
            yield Finding(match.start(), end, "phone", "international")
    for pattern, label in ((_NORTH_AMERICAN, "North American"), (_MOBILE_BRITISH, "British")):
        for match in matches(pattern, text, windows):
            # Three numbers with spaces between may be a row of a table.
            spaced = label == "North American" and not re.search(r"[.()\-]", match.group())
            digits = phone_digits(match.group())
            if (
                not spaced
                and _is_free(match.group(), digits)
                and not _is_other(text, match.start())
            ):
                yield Finding(*match.span(), "phone", label)
    for match in matches(_TRUNK, text, windows):
        digits = phone_digits(match.group())
        if (
            9 <= len(digits) <= 12
            and _is_free(match.group(), digits)
            and not _is_other(text, match.start())
        ):
            yield Finding(*match.span(), "phone", "national")
    for match in matches(_ANY, text, windows):
        digits = phone_digits(match.group())
        before = text[max(0, match.start() - 40) : match.start()]
        if (
            6 <= len(digits) <= 12
            and _PHONE_WORDS.search(before)
            and not _is_other(text, match.start())
            and _is_free(match.group(), digits)
            and not _NO_GROUPS.search(match.group())
            and not _LETTERS_FOLLOW.match(text, match.end())
        ):
            yield Finding(*match.span(), "phone", "by context")


def _is_other(text: str, start: int) -> bool:
    """Whether the words before say that the number is an order's, an article's or the like."""
    return bool(_NO_PHONE_WORDS.search(text[max(0, start - 40) : start]))


def _is_free(written: str, digits: str) -> bool:
    """Whether this may be somebody's number: not a date, not reserved, not one digit repeated."""
    return (
        not _DATE.match(written) and len(set(digits)) > 1 and not RESERVED_NUMBERS.fullmatch(digits)
    )


def _international_end(text: str, match: re.Match[str]) -> int:
    """Where the number ends: whole groups only, as many as its country's numbers have; or 0."""
    end = match.end()
    while end > match.start() + 7:
        digits = phone_digits(text[match.start() : end])
        if _is_valid(digits):
            return 0 if RESERVED_NUMBERS.fullmatch(digits) else end
        # The last group may be another number: "+44 20 7946 0018 2024".
        shorter = re.search(rf"{_GAP}+[^ ]*\Z", text[match.start() : end])
        if shorter is None:
            return 0
        end = match.start() + shorter.start()
    return 0


def _is_valid(digits: str) -> bool:
    for width in (1, 2, 3):
        lengths = _NATIONAL_LENGTHS.get(digits[:width])
        if lengths:
            return lengths[0] <= len(digits) - width <= lengths[1]
    return (digits[:2] in _OTHER_CODES or digits[:3] in _OTHER_CODES) and 8 <= len(digits) <= 15
