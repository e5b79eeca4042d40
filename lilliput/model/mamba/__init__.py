"""Mamba: a trunk without attention, whose memory of the past has one size."""
