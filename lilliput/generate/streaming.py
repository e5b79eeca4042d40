"""From sampled tokens to text that can be shown at once: whole characters, no stop strings."""

import codecs
from collections.abc import Sequence


class CompletionText:
    """The text of one growing completion.

    `write` takes the bytes of a token and gives the text that is certain: a character whose bytes
    are not all there, or an end that could be the start of a stop string, waits. Bytes that are
    not UTF-8 become U+FFFD. The result does not depend on where token boundaries lie.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stop = stop
        self._waiting = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(self, token_bytes: bytes) -> str:
        """Text that became certain; sets `stopped` when a stop string is complete."""
        if self.stopped:
            return ""
        self._waiting += self._decoder.decode(token_bytes)
        # The match that ends first counts: it is the one a reader of single characters would meet.
        found = [
            (start + len(text), start)
            for text in self._stop
            if (start := self._waiting.find(text)) >= 0
        ]
        if found:
            self.stopped = True
            return self._release(min(found)[1])
        return self._release(len(self._waiting) - self._length_of_possible_stop())

    def close(self) -> str:
        """The text still waiting, once no more tokens come; half a character is left out."""
        return "" if self.stopped else self._release(len(self._waiting))

    def _release(self, count: int) -> str:
        text, self._waiting = self._waiting[:count], self._waiting[count:]
        return text

    def _length_of_possible_stop(self) -> int:
        return max(
            (
                length
                for text in self._stop
                for length in range(1, len(text))
                if self._waiting.endswith(text[:length])
            ),
            default=0,
        )
