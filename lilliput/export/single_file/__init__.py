"""One file and one C program, for the smallest devices."""

from lilliput.export.single_file.write import SingleFileExport, write_single_file

__all__ = ["SingleFileExport", "write_single_file"]
