"""Quantities as people read them: counts, sizes, durations, rates."""

import math

_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def number(value: float, digits: int = 4) -> str:
    """A plain number: integers with thousands separators, others to `digits` significant digits.

    Very small and very large values are written with an exponent (1.2e-05).
    """
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4 or exponent >= 15:
        return f"{value:.{digits - 1}g}"
    text = f"{value:,.{max(0, digits - 1 - exponent)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def scaled(value: float, unit: str, digits: int = 3) -> str:
    """A value with a decimal prefix: scaled(3.2e12, "FLOP/s") is "3.2 TFLOP/s"."""
    if not math.isfinite(value) or value == 0:
        return f"{number(value)} {unit}"
    step = min(max(math.floor(math.log10(abs(value)) / 3), 0), len(_PREFIXES) - 1)
    shown = float(f"{value / 1000**step:.{digits}g}")
    if abs(shown) >= 1000 and step + 1 < len(_PREFIXES):
        shown, step = shown / 1000, step + 1
    return f"{number(shown, digits)} {_PREFIXES[step]}{unit}"


def large_count(value: float) -> str:
    """A count to three digits: "16,384", "98.3 million", "16.4 billion"."""
    for limit, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= limit:
            return f"{number(value / limit, 3)} {word}"
    return number(round(value)) if math.isfinite(value) else number(value)


def byte_size(value: float) -> str:
    """Bytes in decimal units: "532 B", "12.3 MB"."""
    return scaled(value, "B")


def duration(seconds: float) -> str:
    """A time span: "0:42", "1:02:03" above an hour, "2 d 3:04:05" above a day."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours}:{minutes:02}:{rest:02}" if days or hours else f"{minutes}:{rest:02}"
    return f"{days} d {clock}" if days else clock


def energy(joules: float) -> str:
    """Energy in joules, and in watt-hours from 3,600 J up: "12 J", "18.2 kJ (5.06 Wh)"."""
    text = scaled(joules, "J")
    return f"{text} ({scaled(joules / 3600, 'Wh')})" if joules >= 3600 else text


def dollars(amount: float) -> str:
    """Money: "$12.30", with four decimals below ten cents ("$0.0042")."""
    return f"${amount:,.2f}" if amount == 0 or abs(amount) >= 0.1 else f"${amount:.4f}"
