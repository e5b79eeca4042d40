"""RETRO: a decoder that reads, chunk by chunk, what a database knows of a text like its own."""
