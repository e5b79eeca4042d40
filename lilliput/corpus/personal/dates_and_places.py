# ruff: noqa: E501 (patterns and tables)
"""Dates of birth and coordinates: numbers that are personal only by what is said around them."""

import re
from collections.abc import Iterator

from lilliput.corpus.personal.checksums import is_date
from lilliput.corpus.personal.finding import Finding, Windows, has_context, matches, word_pattern

_YEAR = re.compile(r"[12][09][0-9]{2}(?![0-9])")
# The first three letters of the months in the languages below, without accents' help.
_MONTHS = {
    stem: month
    for month, stems in enumerate((
        "jan gen ene sty led tam ιαν яну sij jaa sau ian oca urt",
        "feb fév fev lut úno veebr φεβ фев vel hel vas şub",
        "mar mär mrt maa brz μαρ мар ožu bře mac kov",
        "apr avr abr kwi dub huh απρ апр tra bal",
        "may mai maj mag mei maio kvě tou μαΐ μαϊ май svi geg",
        "jun jui giu cze čer kes ιουν юни lip bir",
        "jul lug lip čvc hei ιουλ юли srp lie",
        "aug aoû aou ago sie srp elo αυγ авг kol rug",
        "sep set wrz zář syy σεπ сеп ruj",
        "oct okt ott out paź říj lok οκτ окт lis spa",
        "nov lis mar νοε ное stu lap",
        "dec dez dic déc gru pro jou δεκ дек det gruo",
    ), 1)
    for stem in stems.split()
}  # fmt: skip
_WORD = r"[^\W\d_]{3,12}"
_YEARS = r"((?:19|20)[0-9]{2})"
# Each form's groups are day, month, year, in an order the name of the form says.
_DAY_MONTH_YEAR = re.compile(
    rf"(?<!\w)([0-3]?[0-9])(?:st|nd|rd|th|er|º|\.)?(?: de| of| do)? ({_WORD})\.?,?(?: de| do)? {_YEARS}(?![\w-])"
)
_MONTH_DAY_YEAR = re.compile(
    rf"(?<!\w)({_WORD})\.? ([0-3]?[0-9])(?:st|nd|rd|th)?,? {_YEARS}(?![\w-])"
)
_NUMBERS = re.compile(
    r"(?<![\w./-])([0-3]?[0-9])([./-]) ?([0-3]?[0-9])\2 ?((?:19|20)?[0-9]{2})(?![\w-]|[./][0-9])"
)
_ISO = re.compile(rf"(?<![\w./-]){_YEARS}([-/.])([01]?[0-9])\2([0-3]?[0-9])(?![\w-]|[./][0-9])")

# Most years stand alone; only one with a day's number before it, or a sign after it, can be read on.
_DAY_BEFORE = re.compile(r"[0-9][^0-9]{1,18}\Z")
_BIRTH_WORD = (
    r"(?<!\w)(?:born|b\.|birth(?:day|date)?|date of birth|d\.?o\.?b\.?|geb\.?|geboren|geburts(?:datum|tag)|geboortedatum|"
    r"né\w{0,2}|naissance|nacid[oa]|nació|nacimiento|f\. ?nac\w*\.?|nat[oa]|nascita|nascid[oa]|nasceu|nascimento|ur\.|"
    r"urodz\w*|född|födelse\w*|født|fødsels\w*|fødedato|syntyn\w*|syntymä\w*|nar(?:\.|ozen\w*|oden\w*)|născut\w*|nașteri\w*|"
    r"szül\w*|роден\w*|раждане\w*|γεννήθηκε|γεννηθε\w*|γέννησης|rođen\w*|rojen\w*|rojstva|sünd\w*|sünni\w*|dzim\w*|gim\w*)"
    r"(?!\w)"
)
_BIRTH_WORDS = re.compile(_BIRTH_WORD + r"[^0-9]{0,32}\Z", re.IGNORECASE)
_BIRTH_GATE = re.compile(_BIRTH_WORD, re.IGNORECASE)

_COORDINATES = re.compile(
    r"(?<![\w.])([+-]?[0-9]{1,2}\.[0-9]{4,10})° ?([NS]?)[,;/ ]{1,3}(?:lo?ng?\w*[\"']?[:= ]{1,2})?([+-]?[0-9]{1,3}\.[0-9]{4,10})(?![\w.])".replace(
        "° ?", "°? ?"
    ),
    re.IGNORECASE,
)
_PLACE_WORDS = word_pattern(
    (r"lat(?:itude)?", r"lo?ng?(?:itude)?", r"gps", r"coord\w*", r"koordinat\w*", r"location", r"located",
     r"position", r"standort", r"geo\w*", r"maps?")
)  # fmt: skip


def find_birth_dates(text: str, windows: Windows) -> Iterator[Finding]:
    """Dates after a word for birth, from 1900 on; dates that no calendar has are left alone."""
    last = 0
    for year in _YEAR.finditer(text):
        # The year may end a date ("3 March 1985") or begin one ("1985-03-03").
        start = max(last, year.start() - 32)
        day_before = _DAY_BEFORE.search(text, max(0, year.start() - 20), year.start())
        if not day_before and text[year.end() : year.end() + 1] not in ("-", "/", "."):
            continue
        if not _BIRTH_GATE.search(text, max(0, year.start() - 72), year.start()):
            continue
        for found in _dates(text, start, min(len(text), year.end() + 8)):
            if _is_birth(text, found):
                yield Finding(*found, "birth_date")
                last = found[1]
    # Two-digit years only where the digits stand together.
    for match in matches(_NUMBERS, text, windows):
        if _is_numeric_date(match) and _is_birth(text, match.span()):
            yield Finding(*match.span(), "birth_date")


def _is_birth(text: str, span: tuple[int, int]) -> bool:
    return bool(_BIRTH_WORDS.search(text[max(0, span[0] - 44) : span[0]]))


def _is_numeric_date(match: re.Match[str]) -> bool:
    first, second, year = int(match.group(1)), int(match.group(3)), int(match.group(4))
    year += 1900 if year < 100 else 0
    return is_date(year, second, first) or is_date(year, first, second)


def _dates(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _DAY_MONTH_YEAR.finditer(text, start, end):
        if _is_named_date(match.group(2), match.group(1), match.group(3)):
            yield match.span()
    for match in _MONTH_DAY_YEAR.finditer(text, start, end):
        if _is_named_date(match.group(1), match.group(2), match.group(3)):
            yield match.span()
    for match in _NUMBERS.finditer(text, start, end):
        if _is_numeric_date(match):
            yield match.span()
    for match in _ISO.finditer(text, start, end):
        if is_date(int(match.group(1)), int(match.group(3)), int(match.group(4))):
            yield match.span()


def _is_named_date(month: str, day: str, year: str) -> bool:
    stem = month.lower()
    number = _MONTHS.get(stem[:4]) or _MONTHS.get(stem[:3])
    # A few months share three letters (červen, červenec): any month that has the day will do.
    return number is not None and is_date(int(year), number, int(day))


def find_coordinates(text: str, windows: Windows) -> Iterator[Finding]:
    """Latitude and longitude in decimal degrees (four places or more) near a word for a place."""
    for match in matches(_COORDINATES, text, windows):
        inside = abs(float(match.group(1))) <= 90 and abs(float(match.group(3))) <= 180
        if inside and has_context(_PLACE_WORDS, text, *match.span(), before=40, after=0):
            yield Finding(*match.span(), "coordinates")
