"""ONNX: a graph with key-value inputs, in float32 or with 4-bit weights."""

from lilliput.export.onnx.write import OnnxExport, write_onnx

__all__ = ["OnnxExport", "write_onnx"]
