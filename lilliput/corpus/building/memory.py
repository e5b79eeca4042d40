"""How a memory limit is kept: it sets how many workers there are and when orders spill to disk.

It changes no byte of the corpus. A piece is worked on in batches of a few megabytes, whatever its
size; what corpus-wide stages compare stays in memory-mapped files.
"""

import os
from dataclasses import dataclass

from lilliput.errors import UserError
from lilliput.quantities import byte_size

PROCESS_BYTES = 150_000_000
"""A Python process with Arrow and NumPy, before it has read anything."""
WORKER_BYTES = 350_000_000
"""What a worker needs beside: a window of records, batches on their way, a stage's tables."""
SMALL_INPUT_BYTES = 24 << 20
"""Below this much input, starting worker processes takes longer than the work."""
_MOST_BUCKET_BYTES = 512 << 20
_BUCKETS_IN_MEMORY = 4


@dataclass(frozen=True)
class Allowance:
    """What a build may use. One worker means that this process works."""

    workers: int
    bucket_bytes: int


def allowance(memory: int | None, workers: int | None, input_bytes: int) -> Allowance:
    """Workers (all cores, or as many as asked for) and buckets that fit into `memory` bytes.

    Raises UserError if not even one worker fits.
    """
    asked = workers or (1 if input_bytes < SMALL_INPUT_BYTES else os.cpu_count() or 1)
    if memory is None:
        return Allowance(asked, _MOST_BUCKET_BYTES)
    least = PROCESS_BYTES + WORKER_BYTES
    if memory < least:
        raise UserError(
            f"memory: {byte_size(memory)} is too little; {byte_size(least)} is the least"
        )
    # Several workers are processes of their own beside this one.
    fitting = (memory - PROCESS_BYTES) // (PROCESS_BYTES + WORKER_BYTES)
    bucket = min(_MOST_BUCKET_BYTES, (memory - PROCESS_BYTES) // _BUCKETS_IN_MEMORY)
    return Allowance(max(1, min(asked, fitting)), bucket)
