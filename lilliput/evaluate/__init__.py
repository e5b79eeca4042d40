"""Model → measures."""

from lilliput.evaluate.bits_per_byte import TextMeasure, bits_per_byte

__all__ = ["TextMeasure", "bits_per_byte"]
