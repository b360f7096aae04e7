"""Annotation files and the one in-memory model they all become."""
