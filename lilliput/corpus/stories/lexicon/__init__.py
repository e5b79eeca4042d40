"""The words stories are made of, as tables by kind."""
