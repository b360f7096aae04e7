"""Weights that ship with the package, and what is said of weights that were released: data, licence, scores, limits.

``NAME.safetensors`` with ``NAME.json`` are weights as ``nsyolo.weights`` lays them out; the JSON says of the release
what ``release.Release`` holds. ``NAME.md`` is their model card. ``<set>-<hash>.known-images.npz`` has the fingerprints
of the micrographs that they have seen, see ``known_images``. ``nanoseg-bench export RUN --to release`` writes all four.
"""
