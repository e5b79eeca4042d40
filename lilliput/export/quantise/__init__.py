"""Post-training quantisation into our own packed model folders; docs/quantise.md."""

from lilliput.export.quantise.write import Choice, QuantisedFolder, write_quantised

__all__ = ["Choice", "QuantisedFolder", "write_quantised"]
