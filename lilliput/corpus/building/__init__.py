"""The build of a corpus: passes over pieces of the inputs, in workers, resumable after any kill."""
