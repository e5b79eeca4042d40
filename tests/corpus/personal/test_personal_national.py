"""National numbers: examples, broken copies, python-stdnum as the judge."""

import importlib
import random
from collections.abc import Callable

import pytest

from lilliput.corpus.personal import Search, find_personal_data
from lilliput.corpus.personal import national_checks as check
from lilliput.corpus.personal.national import NATIONAL_NUMBERS, compact, is_national_number

# Examples written by hand; those of the validators that python-stdnum has are held against it.
EXAMPLES = [
    ("AT SVNR", "SVNR 1237 010180"),
    ("BE RRN", "85.07.30-033.28"),
    ("BG EGN", "ЕГН 7523169263"),
    ("CY TIC", "TIC 10259033P"),
    ("CZ/SK rodné číslo", "710319/2745"),
    ("DE Steuer-ID", "36 574 261 809"),
    ("DE RVNR", "15070649C103"),
    ("DK CPR", "211062-5629"),
    ("EE/LT personal code", "isikukood 36805280109"),
    ("EE/LT personal code", "asmens kodas 33309240064"),
    ("ES DNI", "54362315K"),
    ("ES DNI", "X2482300W"),
    ("FI HETU", "131052-308T"),
    ("FR NIR", "2 95 10 99 126 111 93"),
    ("GB NINO", "AB 12 34 56 C"),
    ("GB NHS number", "NHS number 943 476 5870"),
    ("GB UTR", "UTR 1955839661"),
    ("GR AMKA", "ΑΜΚΑ 01013099997"),
    ("GR AFM", "ΑΦΜ 094259216"),
    ("HR OIB", "OIB 33392005961"),
    ("HU TAJ", "TAJ 111 111 110"),
    ("HU tax number", "adóazonosító jel 8071592153"),
    ("HU personal number", "2-720216-1673"),
    ("IE PPS", "PPS number 6433435F"),
    ("IT codice fiscale", "RCCMNL83S18D969H"),
    ("LU matricule", "1893120105732"),
    ("LV personas kods", "161175-19997"),
    ("MT ID card", "ID card 0123456M"),
    ("NL BSN", "BSN 111222333"),
    ("PL PESEL", "PESEL 44051401359"),
    ("PT NIF", "NIF 287024008"),
    ("RO CNP", "CNP 1630615123457"),
    ("SE personnummer", "880320-0016"),
    ("SI EMŠO", "0101006500006"),
    ("US SSN", "536-90-4399"),
    ("US ITIN", "912-90-3456"),
]


@pytest.mark.parametrize(("label", "text"), EXAMPLES)
def test_published_examples_are_found(label: str, text: str) -> None:
    assert [one.label for one in find_personal_data(text)] == [label]


def test_every_number_of_the_table_has_an_example() -> None:
    assert {row.label for row in NATIONAL_NUMBERS} == {label for label, _ in EXAMPLES}


# Numbers without a check digit stay valid when a digit changes.
UNCHECKED = {"DK CPR", "GB NINO", "MT ID card", "US SSN", "US ITIN"}


@pytest.mark.parametrize(("label", "text"), [e for e in EXAMPLES if e[0] not in UNCHECKED])
def test_one_wrong_digit_is_refused(label: str, text: str) -> None:
    number = text[text.index(next(filter(str.isdigit, text))) :]
    if " " not in text:
        number = text
    last = max(place for place, character in enumerate(number) if character.isdigit())
    wrong = number[:last] + str((int(number[last]) + 1) % 10) + number[last + 1 :]
    row = next(row for row in NATIONAL_NUMBERS if row.label == label)
    assert row.valid(compact(number))
    assert not row.valid(compact(wrong))


@pytest.mark.parametrize(
    "text",
    [
        "666-12-3456",  # an area that is not given out
        "000-12-3456",
        "078-05-1120",  # printed on wallets as a sample
        "order 44051401359 shipped",  # a PESEL by its digits, but nothing says so
        "12345678A",  # wrong check letter
        "131052-308U",
        "BG 12 34 56 C",  # a prefix that is not in use
        "commit 85073003328ab",
        "1.85.07.30-033.28",
    ],
)
def test_what_is_no_number_is_left_alone(text: str) -> None:
    assert not find_personal_data(text)


def test_a_word_in_another_paragraph_says_nothing() -> None:
    assert find_personal_data("PESEL: 44051401359")
    assert not find_personal_data("PESEL is Polish.\n\n44051401359")


def test_countries_choose() -> None:
    search = Search(countries=("ES",))
    assert [one.label for one in search("54362315K and 880320-0016")] == ["ES DNI"]


def test_the_whole_text_decides_whether_it_is_a_number() -> None:
    assert is_national_number("880320-0016")
    assert not is_national_number("880320-0017")
    assert not is_national_number("880320-0016 and more")


def _digits(count: int) -> Callable[[random.Random], str]:
    return lambda r: "".join(r.choice("0123456789") for _ in range(count))


def _dated(form: str) -> Callable[[random.Random], str]:
    """y, m, d a date from 1940 to 1999 (years before the present only), n a digit."""

    def draw(r: random.Random) -> str:
        parts = {
            "y": f"{r.randint(40, 99)}",
            "m": f"{r.randint(1, 12):02d}",
            "d": f"{r.randint(1, 28):02d}",
        }
        return "".join(
            parts[c] if c in parts else r.choice("0123456789") if c == "n" else c for c in form
        )

    return draw


ORACLES = [
    (check.austrian_svnr, "at.vnr", _dated("nnnndmy")),
    (check.belgian_rrn, "be.nn", _dated("ymdnnnnn")),
    (check.bulgarian_egn, "bg.egn", _dated("ymdnnnn")),
    (check.croatian_oib, "hr.oib", _digits(11)),
    (check.dutch_bsn, "nl.bsn", _digits(9)),
    (check.baltic_personal_code, "ee.ik", _dated("3ymdnnnn")),
    (check.baltic_personal_code, "lt.asmens", _dated("4ymdnnnn")),
    (check.greek_amka, "gr.amka", _dated("dmynnnnn")),
    (check.greek_afm, "gr.vat", _digits(9)),
    (check.polish_pesel, "pl.pesel", _dated("ymdnnnnn")),
    (check.swedish_personal_number, "se.personnummer", _dated("ymd-nnnn")),
    (check.british_nhs_number, "gb.nhs", _digits(10)),
    (check.british_utr, "gb.utr", _digits(10)),
    (check.american_ssn, "us.ssn", _digits(9)),
]


@pytest.mark.parametrize(("valid", "module", "draw"), ORACLES)
def test_validators_agree_with_stdnum(
    valid: Callable[[str], bool], module: str, draw: Callable[[random.Random], str]
) -> None:
    oracle = importlib.import_module(f"stdnum.{module}")
    r = random.Random(5)
    numbers = [draw(r) for _ in range(2000)]
    assert [valid(compact(n)) for n in numbers] == [oracle.is_valid(n) for n in numbers]
