"""How a memory limit is kept: it sets how many workers there are and when orders spill to disk.

It changes no byte of the corpus. A piece is worked on in batches of a few megabytes, whatever its
size; what corpus-wide stages compare stays in memory-mapped files.
"""

import os
from dataclasses import dataclass

from lilliput.errors import UserError
from lilliput.quantities import byte_size

LEAST_BYTES = 1_000_000_000
"""One process that finds near-copies in 0.7 GB of text and shuffles it comes to 0.9 GB."""
PARENT_BYTES = 400_000_000
"""This process, where others work: mostly what a corpus-wide stage sorts at a time."""
WORKER_BYTES = 500_000_000
"""A worker: Python with Arrow and NumPy, a window of records, batches, a stage's tables."""
SMALL_INPUT_BYTES = 24 << 20
"""Below this much input, starting worker processes takes longer than the work."""
_MOST_BUCKET_BYTES = 512 << 20
_BUCKETS_IN_MEMORY = 6


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
    if memory < LEAST_BYTES:
        shown, needed = byte_size(memory), byte_size(LEAST_BYTES)
        raise UserError(f"memory: {shown} is too little; {needed} is the least")
    fitting = (memory - PARENT_BYTES) // WORKER_BYTES
    bucket = min(_MOST_BUCKET_BYTES, (memory - PARENT_BYTES) // _BUCKETS_IN_MEMORY)
    return Allowance(max(1, min(asked, fitting)), bucket)
