"""Benchmark and serve instance segmentation of nanoparticles in SEM/TEM micrographs."""

__version__ = "0.1.0"
