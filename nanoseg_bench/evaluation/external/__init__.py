"""Predictions of other tools, and of other people: read in the formats they come in, and held to the same rules."""
