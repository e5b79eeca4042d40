"""GGUF, llama.cpp's format: files written and read."""

from lilliput.export.gguf.read import GgufImport, read_gguf
from lilliput.export.gguf.write import GgufExport, write_gguf

__all__ = ["GgufExport", "GgufImport", "read_gguf", "write_gguf"]
