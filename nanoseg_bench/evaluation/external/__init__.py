"""Predictions of other tools, and of other people: read in the formats they come in, and held to the same rules."""

OURS = "predictions"
"""What ``--from`` calls this package's own predictions, one of the formats that can be handed in."""
