"""From annotated micrographs to a prepared set: split, audited, letterboxed, augmented, written."""
