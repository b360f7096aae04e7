"""What an instrument or an author wrote onto a micrograph: information bars, scale bars, lettering.

Preparation makes ignore regions of it, evaluation may excuse what lies on it, and use leaves it out of sizes and
counts. Only what is surely written is a mark: a missed letter is one particle too many on a picture where a person sees
it, a particle taken for a letter is one too few where nobody looks.
"""

from nanoseg_bench.marks.mark import BANNER, BAR, BOX, KINDS, TEXT, Mark, Marks

__all__ = ["BANNER", "BAR", "BOX", "KINDS", "TEXT", "Mark", "Marks"]
