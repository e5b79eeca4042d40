"""Check digits that more than one kind of number uses. Each takes a string of decimal digits."""

from collections.abc import Sequence
from datetime import date

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# Verhoeff's scheme (1969): the dihedral group of order ten and its permutation's powers.
_DIHEDRAL = tuple(
    tuple(
        ((a + b) % 5 if b < 5 else 5 + (a + b) % 5)
        if a < 5
        else (5 + (a - b) % 5 if b < 5 else (a - b) % 5)
        for b in range(10)
    )
    for a in range(10)
)
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of the digits, each by its weight; what is longer than the weights is not counted."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def luhn(digits: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1): the last digit makes the sum a multiple of ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += _DOUBLED[value] if place % 2 else value
    return total % 10 == 0


def iso7064_mod11_10(digits: str) -> bool:
    """ISO/IEC 7064 MOD 11,10 (German tax number, Croatian OIB)."""
    check = 5
    for digit in digits:
        check = ((check or 10) * 2 % 11 + int(digit)) % 10
    return check == 1


def iso7064_mod97_10(text: str) -> bool:
    """ISO/IEC 7064 MOD 97-10 over digits and capital letters (A = 10): the remainder is 1."""
    return int("".join(str(int(character, 36)) for character in text)) % 97 == 1


def verhoeff(digits: str) -> bool:
    """Verhoeff's check over digits that end in the check digit."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = _PERMUTATION[value]
        check = _DIHEDRAL[check][value]
    return check == 0


def is_date(year: int, month: int, day: int) -> bool:
    """Whether the calendar has this day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def is_date_of_century(two_digit_year: str, month: int, day: int) -> bool:
    """Whether the day exists in 19yy or in 20yy."""
    year = int(two_digit_year)
    return is_date(1900 + year, month, day) or is_date(2000 + year, month, day)
