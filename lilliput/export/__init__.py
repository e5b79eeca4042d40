"""Model → other runtimes: GGUF, ONNX, a single file for a C program."""
