"""The rules that make a national number valid, one function per number.

Each takes the number's letters and digits without separators, letters in capitals, and says
whether length, dates and check digits fit. The rules are the issuing offices' published ones;
the tests hold them against `python-stdnum`.
"""

import re

from lilliput.corpus.personal.checksums import (
    is_date,
    is_date_of_century,
    iso7064_mod11_10,
    luhn,
    verhoeff,
    weighted,
)

_SPANISH_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_IRISH_LETTERS = "WABCDEFGHIJKLMNOPQRSTUV"
_FINNISH_CHARACTERS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_OMOCODES = "LMNPQRSTUV"
_ITALIAN_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10),
            *(22, 25, 24, 23),
        ),
        strict=True,
    )
)


def austrian_svnr(number: str) -> bool:
    """Sozialversicherungsnummer: serial, check digit mod 11, birth date (month 13 up: unknown)."""
    day, month = int(number[4:6]), int(number[6:8])
    dated = month > 12 or is_date_of_century(number[8:], month, day)
    check = weighted(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    return number[0] != "0" and dated and check == int(number[3])


def belgian_rrn(number: str) -> bool:
    """Rijksregisternummer: birth date (month +20 or +40 in a bis number), complement mod 97."""
    first, check = int(number[:9]), int(number[9:])
    month, day = int(number[2:4]) % 20, int(number[4:6])
    if month > 12 or day > 31 or int(number[2:4]) >= 60 or number[6:9] == "000":
        return False
    # Nobody is born in the 2040s yet: a later year is the last century's.
    this_century = int(number[:2]) < 40 and check == 97 - (2_000_000_000 + first) % 97
    return check == 97 - first % 97 or this_century


def bulgarian_egn(number: str) -> bool:
    """EGN: birth date (month +20 for the 1800s, +40 for the 2000s), weights mod 11."""
    month = int(number[2:4])
    century = 1800 if 20 < month <= 32 else 2000 if month > 40 else 1900
    month -= {1800: 20, 1900: 0, 2000: 40}[century]
    if not is_date(century + int(number[:2]), month, int(number[4:6])):
        return False
    return weighted(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(number[9])


def croatian_oib(number: str) -> bool:
    """OIB: ISO 7064 MOD 11,10."""
    return iso7064_mod11_10(number)


def cypriot_tic(number: str) -> bool:
    """Tax identification code: eight digits and a check letter."""
    total = sum(_ITALIAN_ODD[digit] for digit in number[0:8:2]) + sum(map(int, number[1:8:2]))
    return not number.startswith("12") and number[8] == chr(65 + total % 26)


def czech_slovak_birth_number(number: str) -> bool:
    """Rodné číslo: birth date (month +50 for women, +20 more since 2004), ten digits mod 11."""
    year, month, day = int(number[:2]), int(number[2:4]) % 50, int(number[4:6])
    if len(number) == 9:
        # Nine digits were given until 1953, without a check digit.
        return year < 54 and is_date(1900 + year, month, day) and number[6:] != "000"
    century = 1900 if year >= 54 else 2000
    if month > 20 and century == 2000 and year >= 4:
        month -= 20
    if not is_date(century + year, month, day):
        return False
    whole = int(number) % 11 == 0
    return whole or (century + year < 1986 and int(number[:9]) % 11 == 10 and number[9] == "0")


def danish_cpr(number: str) -> bool:
    """CPR: a birth date; the mod 11 check has not held since 2007."""
    return is_date_of_century(number[4:6], int(number[2:4]), int(number[:2]))


def danish_cpr_checked(number: str) -> bool:
    """CPR with the mod 11 check of the numbers given before 2007."""
    return danish_cpr(number) and weighted(number, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def dutch_bsn(number: str) -> bool:
    """Burgerservicenummer: the eleven test."""
    return int(number) > 0 and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def baltic_personal_code(number: str) -> bool:
    """Estonian isikukood and Lithuanian asmens kodas: sex and century, birth date, mod 11 twice."""
    if number[0] not in "12345678":
        return False
    century = 1800 + 100 * ((int(number[0]) - 1) // 2)
    if not is_date(century + int(number[1:3]), int(number[3:5]), int(number[5:7])):
        return False
    check = weighted(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(number[10])


def finnish_hetu(number: str) -> bool:
    """Henkilötunnus with its century sign: birth date, individual number, check character."""
    if not is_date_of_century(number[4:6], int(number[2:4]), int(number[:2])):
        return False
    # The separator may be "-" or "+", so that the last four characters are counted from the end.
    individual = number[-4:-1]
    remainder = int(number[:6] + individual) % 31
    return individual >= "002" and number[-1] == _FINNISH_CHARACTERS[remainder]


def french_nir(number: str) -> bool:
    """Numéro de sécurité sociale (NIR) with its key: month, department, complement mod 97."""
    month = int(number[3:5])
    if not (1 <= month <= 12 or 20 <= month <= 42 or month >= 50):
        return False
    department = number[5:7].replace("2A", "19").replace("2B", "18")
    if not department.isdigit() or department == "00":
        return False
    digits = number[:5] + department + number[7:13]
    return 97 - int(digits) % 97 == int(number[13:])


def german_tax_number(number: str) -> bool:
    """Steuer-ID: of the first ten digits one comes twice or thrice, the others once at most."""
    counts = sorted((number[:10].count(digit) for digit in set(number[:10])), reverse=True)
    return (
        number[0] != "0"
        and counts[0] in (2, 3)
        and counts[1] == 1
        and not re.search(r"(\d)\1\1", number[:10])
        and iso7064_mod11_10(number)
    )


def german_pension_number(number: str) -> bool:
    """Rentenversicherungsnummer: area, birth date, letter, serial, cross sum mod 10."""
    day, month = int(number[2:4]), int(number[4:6])
    if not is_date_of_century(number[6:8], month, day):
        return False
    digits = f"{number[:8]}{ord(number[8]) - 64:02d}{number[9:11]}"
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    products = (int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(number[11])


def greek_amka(number: str) -> bool:
    """AMKA: birth date and Luhn's check."""
    return is_date_of_century(number[4:6], int(number[2:4]), int(number[:2])) and luhn(number)


def greek_afm(number: str) -> bool:
    """AFM: powers of two mod 11."""
    check = weighted(number, (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10
    return int(number) > 0 and check == int(number[8])


def hungarian_taj(number: str) -> bool:
    """TAJ: weights 3 and 7 mod 10."""
    return int(number) > 0 and weighted(number, (3, 7) * 4) % 10 == int(number[8])


def hungarian_tax_number(number: str) -> bool:
    """Adóazonosító jel: begins with 8, places as weights mod 11."""
    return number[0] == "8" and weighted(number, range(1, 10)) % 11 == int(number[9])


def hungarian_personal_number(number: str) -> bool:
    """Személyi azonosító: sex and century, birth date, places as weights (turned in 1997)."""
    if number[0] not in "12345678":
        return False
    if not is_date_of_century(number[1:3], int(number[3:5]), int(number[5:7])):
        return False
    check = int(number[10])
    return check in (
        weighted(number, range(1, 11)) % 11,
        weighted(number, range(10, 0, -1)) % 11,
    )


def irish_pps(number: str) -> bool:
    """PPS number: weights 8 to 2, and 9 for a second letter, mod 23 as a letter."""
    second = _IRISH_LETTERS.find(number[8]) if len(number) == 9 else 0
    total = weighted(number[:7], range(8, 1, -1)) + 9 * second
    return second >= 0 and number[7] == _IRISH_LETTERS[total % 23]


def italian_fiscal_code(number: str) -> bool:
    """Codice fiscale: day and check letter, digits perhaps written as letters (omocodia)."""
    plain = "".join(
        str(_OMOCODES.index(character))
        if place in (9, 10) and not character.isdigit()
        else character
        for place, character in enumerate(number)
    )
    day = int(plain[9:11]) % 40
    total = sum(_ITALIAN_ODD[character] for character in number[0:15:2]) + sum(
        int(character) if character.isdigit() else ord(character) - 65
        for character in number[1:15:2]
    )
    return 1 <= day <= 31 and number[15] == chr(65 + total % 26)


def latvian_personal_code(number: str) -> bool:
    """Personas kods: birth date and weights mod 11; since 2017 it begins with 32 and has none."""
    if number[:2] == "32":
        return True
    century = {"0": 1800, "1": 1900, "2": 2000}.get(number[6])
    if century is None:
        return False
    if not is_date(century + int(number[4:6]), int(number[2:4]), int(number[:2])):
        return False
    check = (1 + weighted(number, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11 % 10
    return check == int(number[10])


def luxembourg_matricule(number: str) -> bool:
    """Matricule of a person: birth date, serial, a Luhn and a Verhoeff digit over the same."""
    if not is_date(int(number[:4]) or 1, int(number[4:6]), int(number[6:8])):
        return False
    return luhn(number[:12]) and verhoeff(number[:11] + number[12])


def maltese_id(number: str) -> bool:
    """Identity card number: digits and one of eight letters, without a check."""
    return int(number[:-1]) > 0


def polish_pesel(number: str) -> bool:
    """PESEL: birth date (the month says the century) and weights 1, 3, 7, 9."""
    month = int(number[2:4])
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[month // 20]
    if not is_date(century + int(number[:2]), month % 20, int(number[4:6])):
        return False
    return weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def portuguese_nif(number: str) -> bool:
    """NIF of a person (first digit 1, 2 or 3, or 45): weights 9 to 2 mod 11."""
    if number[0] not in "123" and number[:2] != "45":
        return False
    check = 11 - weighted(number, range(9, 1, -1)) % 11
    return (0 if check > 9 else check) == int(number[8])


def romanian_cnp(number: str) -> bool:
    """CNP: sex and century, birth date, county, weights mod 11."""
    century = {"1": 1900, "2": 1900, "3": 1800, "4": 1800, "5": 2000, "6": 2000}.get(number[0])
    county = int(number[7:9])
    if number[0] == "0" or not (1 <= county <= 48 or county in (51, 52, 70, 80, 81, 82, 83)):
        return False
    month, day = int(number[3:5]), int(number[5:7])
    dated = (
        is_date(century + int(number[1:3]), month, day)
        if century
        else is_date_of_century(number[1:3], month, day)
    )
    check = weighted(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return dated and (1 if check == 10 else check) == int(number[12])


def slovenian_emso(number: str) -> bool:
    """EMŠO (and the Yugoslav JMBG): birth date with a three-digit year, weights mod 11."""
    year = int(number[4:7])
    year += 1000 if year > 800 else 2000
    if not is_date(year, int(number[2:4]), int(number[:2])):
        return False
    check = -weighted(number, (7, 6, 5, 4, 3, 2) * 2) % 11 % 10
    return check == int(number[12])


def spanish_dni(number: str) -> bool:
    """DNI and NIE: the number mod 23 as a letter; X, Y, Z stand for 0, 1, 2."""
    digits = number[:8].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return int(digits) > 0 and number[8] == _SPANISH_LETTERS[int(digits) % 23]


def swedish_personal_number(number: str) -> bool:
    """Personnummer (day +60 in a coordination number): birth date and Luhn's check."""
    number = number[-10:]
    day = int(number[4:6]) % 60
    return is_date_of_century(number[:2], int(number[2:4]), day) and luhn(number)


def british_nhs_number(number: str) -> bool:
    """NHS number: weights 10 to 2 mod 11."""
    check = 11 - weighted(number, range(10, 1, -1)) % 11
    return int(number) > 0 and (0 if check == 11 else check) == int(number[9])


def british_nino(number: str) -> bool:
    """National insurance number: a prefix in use, six digits, a suffix; it has no check."""
    return number[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def british_utr(number: str) -> bool:
    """Unique taxpayer reference: the first digit checks the nine that follow."""
    total = weighted(number[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2))
    return number[0] == "21987654321"[total % 11]


def american_ssn(number: str) -> bool:
    """Social security number: area, group and serial that the agency gives out."""
    area, group, serial = number[:3], number[3:5], number[5:]
    published = number in ("078051120", "219099999", "123456789")
    in_use = area not in ("000", "666") and area < "900"
    return in_use and group != "00" and serial != "0000" and not published


def american_itin(number: str) -> bool:
    """Individual taxpayer identification number: area 9xx, group 50-65, 70-88, 90-92, 94-99."""
    group = int(number[3:5])
    groups = 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99
    return number[0] == "9" and groups
