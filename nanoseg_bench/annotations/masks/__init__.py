"""Mask images: instance maps, binary masks and class maps."""
