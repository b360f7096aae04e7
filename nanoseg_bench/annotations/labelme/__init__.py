"""LabelMe JSON: the format that users annotate in, and that the embedded data set is written in."""
