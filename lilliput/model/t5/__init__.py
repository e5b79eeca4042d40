"""T5: an encoder that reads and a decoder that writes."""
