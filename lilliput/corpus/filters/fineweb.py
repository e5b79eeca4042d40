"""FineWeb's own rules (arXiv 2406.17557, section 3.6): lists, menus and doubled lines."""

from dataclasses import dataclass
from math import ceil, isinf

import pyarrow as pa

from lilliput.corpus.filters.characters import TERMINAL_PUNCTUATION
from lilliput.corpus.filters.validation import check_not_negative, wrong
from lilliput.corpus.stages import Dropped, Outcome, keeping, texts_of

DUPLICATED_LINES = {"code": 0.01, "paper": 0.1}


@dataclass(frozen=True)
class FineWeb:
    """Drops documents that break one of FineWeb's rules; the first in this order is named.

    Lines of white space alone do not count as lines.

    fewest_ended_lines: smallest share of lines that end with a mark that ends sentences (of any
        script).
    most_short_lines: largest share of lines of at most `short_line` characters.
    duplicated_lines: largest share of characters, line breaks aside, in lines that stood in the
        text before. Two values are published: 0.1 in the paper ("paper"), and 0.01 in the code
        that made the dataset ("code"). Either name, or a number.
    most_line_breaks: line breaks by words (in the code, not in the paper).

    An upper bound of infinity, or a lower one of 0, turns its rule off.
    """

    fewest_ended_lines: float = 0.12
    most_short_lines: float = 0.67
    short_line: int = 30
    duplicated_lines: float | str = "code"
    most_line_breaks: float = 0.3

    def __post_init__(self) -> None:
        check_not_negative(
            self, "fewest_ended_lines", "most_short_lines", "short_line", "most_line_breaks"
        )
        if isinstance(self.duplicated_lines, str):
            if self.duplicated_lines not in DUPLICATED_LINES:
                raise wrong(self, "duplicated_lines", 'must be "code", "paper" or a number')
        else:
            check_not_negative(self, "duplicated_lines")

    def __call__(self, batch: pa.RecordBatch, /) -> Outcome:
        dropped = [
            Dropped(row, *broken)
            for row, text in enumerate(texts_of(batch))
            if (broken := self._broken(text))
        ]
        return keeping(batch, dropped)

    def _broken(self, text: str) -> tuple[str, str] | None:
        lines = [line for line in text.split("\n") if line and not line.isspace()]
        if not lines:
            return "empty", ""
        share = sum([line[-1] in TERMINAL_PUNCTUATION for line in lines]) / len(lines)
        if share < self.fewest_ended_lines:
            return "fewest_ended_lines", f"{share:.1%} of the lines"
        lengths = list(map(len, lines))
        share = sum([length <= self.short_line for length in lengths]) / len(lines)
        if share > self.most_short_lines:
            return "most_short_lines", f"{share:.1%} of the lines"
        breaks = text.count("\n")
        distinct = set(lines)
        share = (sum(lengths) - sum(map(len, distinct))) / (len(text) - breaks)
        if share > self._most_duplicated:
            return "duplicated_lines", f"{share:.1%} of the characters"
        return self._broken_line_breaks(text, breaks)

    @property
    def _most_duplicated(self) -> float:
        named = self.duplicated_lines
        return DUPLICATED_LINES[named] if isinstance(named, str) else named

    def _broken_line_breaks(self, text: str, breaks: int) -> tuple[str, str] | None:
        most = self.most_line_breaks
        if isinf(most) or not breaks:
            return None
        # Words beyond those that settle it are not cut out.
        enough = ceil(breaks / most) + 1 if most else -1
        words = len(text.split(None, enough))
        if breaks / words > most:
            return "most_line_breaks", f"{breaks} in {words} words"
        return None
