# ruff: noqa: E501 (one row a number)
"""National identification numbers of the 27 countries of the EU, the United Kingdom and the US.

A number is found where its form fits and its validator agrees, and, unless the form says enough
by itself, where a word of its language stands near that says what it is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from lilliput.corpus.personal import national_checks as check
from lilliput.corpus.personal.finding import (
    LEFT,
    RIGHT,
    Finding,
    Windows,
    has_context,
    matches,
    word_pattern,
)

# Words of English that fit every country's number.
_COMMON = (
    r"(?:national|personal|citizen)[ -]?(?:id\w*|identi\w+|insurance|security|number|code)",
    r"(?:tax|fiscal)[ -]?(?:id\w*|payer|number|code|ref\w*)",
    r"tin",
    r"social (?:security|insurance)",
    r"(?:id|identity)(?: card)?(?: number| no\.?)",
)


@dataclass(frozen=True, slots=True)
class NationalNumber:
    """One number: its form as a pattern, its validator, and what must stand near it.

    `alone` is the pattern of the forms that are found without a context word; None: none is.
    """

    country: str
    name: str
    form: str
    valid: Callable[[str], bool]
    context: Sequence[str]
    alone: str | None = None

    @property
    def label(self) -> str:
        return f"{self.country} {self.name}"


_ANY = r".*"
_11_DIGITS = r"\d{11}"
_13_DIGITS = r"\d{13}"

NATIONAL_NUMBERS: Sequence[NationalNumber] = (
    NationalNumber("AT", "SVNR", r"\d{4}[ -]?\d{6}", check.austrian_svnr,
                   (r"sv-?nr\.?", r"sv-nummer", r"sozialversicherungs\w*", r"versicherungs\w*")),
    NationalNumber("BE", "RRN", r"\d\d\.?\d\d\.?\d\d[ -]?\d{3}\.?\d\d", check.belgian_rrn,
                   (r"rijksregister\w*", r"insz", r"niss", r"registre national", r"rrn",
                    r"num[ée]ro national", r"nationalregister\w*"),
                   r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d"),
    NationalNumber("BG", "EGN", r"\d{10}", check.bulgarian_egn, (r"егн", r"egn", r"единен граждански")),
    NationalNumber("CY", "TIC", r"\d{8}[A-Z]", check.cypriot_tic, (r"tic", r"αφτ", r"φορολογικ\w*")),
    NationalNumber("CZ/SK", "rodné číslo", r"\d{6}/?\d{3,4}", check.czech_slovak_birth_number,
                   (r"rodn[éeáa]h?o? (?:č[íi]sl[oa]|cisl[oa])", r"r\. ?č\.?", r"rč", r"birth number"),
                   r"\d{6}/\d{4}"),
    NationalNumber("DE", "Steuer-ID", r"\d\d ?\d{3} ?\d{3} ?\d{3}", check.german_tax_number,
                   (r"steuer\w*", r"steuer-?(?:id\w*|nummer)", r"idnr\.?", r"identifikationsnummer",
                    r"tin"),
                   r"\d\d \d{3} \d{3} \d{3}"),
    NationalNumber("DE", "RVNR", r"\d\d ?\d{6} ?[A-Z] ?\d{3}", check.german_pension_number,
                   (r"rentenversicherungs\w*", r"sozialversicherungs\w*", r"rvnr", r"sv-?nummer"), _ANY),
    NationalNumber("DK", "CPR", r"\d{6}[- ]?\d{4}", check.danish_cpr,
                   (r"cpr(?:[- ]?(?:nr|nummer)\w*)?\.?", r"personnummer\w*", r"cpr-nr\.?")),
    NationalNumber("DK", "CPR", r"\d{6}-\d{4}", check.danish_cpr_checked, (r"cpr",), _ANY),
    NationalNumber("EE/LT", "personal code", _11_DIGITS, check.baltic_personal_code,
                   (r"isikuko\w+", r"asmens kod\w+", r"a\. ?k\.?", r"ik")),
    NationalNumber("ES", "DNI", r"(?:\d{8}|[XYZ][ -]?\d{7}|\d{2}\.\d{3}\.\d{3})[ -]?[A-Z]", check.spanish_dni,
                   (r"dni", r"nif", r"nie", r"d\.n\.i\.?"), _ANY),
    NationalNumber("FI", "HETU", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", check.finnish_hetu,
                   (r"hetu\w*", r"henkilötunnu\w+"), _ANY),
    NationalNumber("FR", "NIR", r"[123478] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d", check.french_nir,
                   (r"s[ée]curit[ée] sociale", r"nir", r"n[°o] ?ss", r"insee"), _ANY),
    NationalNumber("GB", "NINO", r"[A-CEGHJ-PRSTW-Z][A-CEGHJ-NPRSTW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]",
                   check.british_nino, (r"ni(?:no)?", r"national insurance"), _ANY),
    NationalNumber("GB", "NHS number", r"\d{3}[ -]?\d{3}[ -]?\d{4}", check.british_nhs_number,
                   (r"nhs(?: (?:number|no\.?))?",)),
    NationalNumber("GB", "UTR", r"\d{5} ?\d{5}", check.british_utr,
                   (r"utr", r"taxpayer reference")),
    NationalNumber("GR", "AMKA", _11_DIGITS, check.greek_amka, (r"αμκα", r"amka", r"α\.μ\.κ\.α\.?")),
    NationalNumber("GR", "AFM", r"\d{9}", check.greek_afm, (r"αφμ", r"afm", r"α\.φ\.μ\.?")),
    NationalNumber("HR", "OIB", _11_DIGITS, check.croatian_oib,
                   (r"oib", r"osobni identifikacijski")),
    NationalNumber("HU", "TAJ", r"\d{3}[ -]?\d{3}[ -]?\d{3}", check.hungarian_taj,
                   (r"taj(?:[ -]?sz[áa]m\w*)?", r"társadalombiztosítási")),
    NationalNumber("HU", "tax number", r"8\d{9}", check.hungarian_tax_number,
                   (r"adóazonosító\w*", r"adoazonosito\w*", r"adószám\w*")),
    NationalNumber("HU", "personal number", r"[1-8][ -]?\d{6}[ -]?\d{4}", check.hungarian_personal_number,
                   (r"személyi (?:szám\w*|azonosító\w*)", r"szemelyi szam\w*"),
                   r"\d-\d{6}-\d{4}"),
    NationalNumber("IE", "PPS", r"\d{7}[ ]?[A-W][A-IW]?", check.irish_pps,
                   (r"ppsn?", r"pps (?:no\.?|number)", r"personal public service")),
    NationalNumber("IT", "codice fiscale",
                   r"[A-Za-z]{6} ?[0-9LMNP-Vlmnp-v]{2}[A-EHLMPR-Ta-ehlmpr-t][0-9LMNP-Vlmnp-v]{2} ?"
                   r"[A-Za-z][0-9LMNP-Vlmnp-v]{3}[A-Za-z]",
                   check.italian_fiscal_code, (r"codice fiscale", r"c\.? ?f\.?", r"cod\. ?fisc\.?"), _ANY),
    NationalNumber("LU", "matricule", r"\d{4} ?\d{4} ?\d{5}", check.luxembourg_matricule,
                   (r"matricule", r"sozialversécherung\w*"), _ANY),
    NationalNumber("LV", "personas kods", r"\d{6}-?\d{5}", check.latvian_personal_code,
                   (r"personas kod\w+", r"p\. ?k\.?"), r"(?!32)\d{6}-\d{5}"),
    NationalNumber("MT", "ID card", r"\d{6,7} ?\(?[MGAPLHBZ]\)?", check.maltese_id,
                   (r"karta tal-identit[àa]", r"id card", r"identity card", r"i\.d\. (?:card )?no\.?")),
    NationalNumber("NL", "BSN", r"\d{9}|\d{4}\.\d\d\.\d{3}|\d{3}[ -]\d{3}[ -]\d{3}", check.dutch_bsn,
                   (r"bsn(?:[- ]?(?:nr|nummer))?\.?", r"burgerservicenummer", r"sofi-?nummer")),
    NationalNumber("PL", "PESEL", _11_DIGITS, check.polish_pesel, (r"pesel\w*",)),
    NationalNumber("PT", "NIF", r"\d{3}[ .]?\d{3}[ .]?\d{3}", check.portuguese_nif,
                   (r"nif", r"contribuinte", r"identifica[çc][ãa]o fiscal", r"n[úu]mero fiscal")),
    NationalNumber("RO", "CNP", _13_DIGITS, check.romanian_cnp,
                   (r"cnp", r"cod(?:ul)? numeric personal")),
    NationalNumber("SE", "personnummer", r"(?:19|20)?\d{6}[-+]?\d{4}", check.swedish_personal_number,
                   (r"personnummer\w*", r"pers\.? ?nr\.?", r"p-?nr\.?", r"samordningsnummer",
                    r"social security"),
                   r"(?:19|20)?\d{6}[-+]\d{4}"),
    NationalNumber("SI", "EMŠO", _13_DIGITS, check.slovenian_emso,
                   (r"em[šs]o", r"jmbg", r"enotna matična"), r"\d{7}5\d{5}"),
    NationalNumber("US", "SSN", r"\d{3}-\d\d-\d{4}|\d{3} \d\d \d{4}|\d{9}", check.american_ssn,
                   (r"ssn\w*", r"ss ?(?:#|no\.?|num\w*)", r"soc(?:ial)?\.? ?sec(?:urity)?"), r"\d{3}-\d\d-\d{4}"),
    NationalNumber("US", "ITIN", r"9\d\d-\d\d-\d{4}|9\d\d \d\d \d{4}|9\d{8}", check.american_itin,
                   (r"itin", r"taxpayer"), r"9\d\d-\d\d-\d{4}"),
)  # fmt: skip

# Seven characters or more with single separators: shorter is none of these numbers.
_LONG = re.compile(r"[0-9](?:[ .\-/+(]?[0-9A-Za-z]){6}")
_SEPARATORS = str.maketrans("", "", " -+./()")
COUNTRIES = sorted({code for row in NATIONAL_NUMBERS for code in row.country.split("/")})


def compact(number: str) -> str:
    """The number's letters and digits in capitals, as the validators take them."""
    return number.translate(_SEPARATORS).upper()


_Row = tuple[NationalNumber, re.Pattern[str], re.Pattern[str] | None]


@cache
def _compiled(
    countries: tuple[str, ...],
) -> tuple[re.Pattern[str], list[tuple[re.Pattern[str], list[_Row]]]]:
    """A pattern for any form of these countries (all where empty); each form with its numbers."""
    by_form: dict[str, list[_Row]] = {}
    for row in NATIONAL_NUMBERS:
        if countries and not set(row.country.split("/")) & set(countries):
            continue
        alone = re.compile(row.alone) if row.alone else None
        words = word_pattern((*row.context, *_COMMON))
        by_form.setdefault(row.form, []).append((row, words, alone))
    left = rf"{LEFT}(?<!\+\d\d )"
    forms = [
        (re.compile(rf"{left}(?:{form}){RIGHT}", re.ASCII), rows) for form, rows in by_form.items()
    ]
    return re.compile(rf"{left}(?:{'|'.join(by_form)}){RIGHT}", re.ASCII), forms


def is_national_number(text: str) -> bool:
    """Whether the text as a whole has the form of some country's number and its validator agrees."""
    number = compact(text)
    return any(
        row.valid(number) for row in NATIONAL_NUMBERS if re.fullmatch(row.form, text, re.ASCII)
    )


def _narrowed(text: str, windows: Windows) -> Windows:
    """The parts of the windows around what is long enough for a national number."""
    narrowed: list[tuple[int, int]] = []
    for match in matches(_LONG, text, windows):
        start, end = max(0, match.start() - 20), min(len(text), match.end() + 28)
        if narrowed and start <= narrowed[-1][1]:
            narrowed[-1] = (narrowed[-1][0], max(end, narrowed[-1][1]))
        else:
            narrowed.append((start, end))
    return narrowed


def find_national_numbers(
    text: str, windows: Windows, countries: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """The national numbers of these countries (all where empty) near the text's digits."""
    any_form, forms = _compiled(countries)
    windows = [window for window in _narrowed(text, windows) if any_form.search(text, *window)]
    for pattern, rows in forms:
        for match in matches(pattern, text, windows):
            number = compact(match.group())
            for row, words, alone in rows:
                if not row.valid(number):
                    continue
                spoken = alone is not None and alone.fullmatch(match.group())
                if spoken or has_context(words, text, *match.span()):
                    yield Finding(*match.span(), "national_id", row.label)
                    break
