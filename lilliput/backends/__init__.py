"""Other runtimes that write a model's text behind our engine's interface, where they are faster."""

from lilliput.backends.choose import NAMES, BackendName, Measured, measure, with_backend

__all__ = ["NAMES", "BackendName", "Measured", "measure", "with_backend"]
