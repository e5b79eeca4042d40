"""Copies inside a corpus, and between a corpus and evaluation sets: the stages that remove them."""
