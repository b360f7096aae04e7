"""nanosynth: micrographs of nanoparticles rendered from solids, with exact truth; the embedded default data."""
