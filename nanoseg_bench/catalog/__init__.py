"""Data sets: a card for each under ``datasets/``, and how the real ones are read."""
