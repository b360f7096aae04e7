"""This package's own predictions as one of the formats that can be handed in."""

OURS = "predictions"
"""What ``--from`` calls them."""

SUFFIX = ".json.gz"
