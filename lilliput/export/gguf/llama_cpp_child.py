"""llama.cpp in a process of its own: `python -m …llama_cpp_child FILE CONTEXT ROWS THREADS`.

It aborts its process on a file it cannot take, which must not be ours. Prints the address it
listens on (this machine only) and lives until its standard input is closed.
"""

import importlib
import sys


def main(path: str, context_length: int, rows: int, threads: int) -> None:
    """Serve the file, its cache in float32."""
    xllamacpp = importlib.import_module("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path = path
    settings.n_ctx = context_length * rows
    settings.n_parallel = rows
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.n_gpu_layers = 0
    settings.warmup = False
    settings.verbosity = -1
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
