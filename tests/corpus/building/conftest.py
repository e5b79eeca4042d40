"""Inputs of several pieces, whatever their size."""

import functools

import pytest
from building_inputs import PIECE_BYTES

import lilliput.corpus.build as build_module
from lilliput.corpus import readers


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are cut into pieces of some kilobytes."""
    cut = functools.partial(readers.cut, piece_bytes=PIECE_BYTES)
    monkeypatch.setattr(build_module, "cut", cut)
