"""``--tiles``, the same for all verbs that look at micrographs."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanoseg_bench.inference.tiles import Tiles


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """Offer to look at large micrographs in tiles."""
    parser.add_argument(
        "--tiles",
        type=_tiles,
        default="auto",
        metavar="auto|off|N",
        help="look at a micrograph in overlapping tiles, too: where its particles would be too small to be seen, "
        "never, or N along its longer side (default: %(default)s)",
    )


def _tiles(word: str) -> "Tiles":
    words: dict[str, Tiles] = {"auto": "auto", "off": "off"}
    if word in words:
        return words[word]
    if not word.isdecimal() or int(word) < 2:
        raise argparse.ArgumentTypeError(f"{word!r}: give auto, off, or a number of tiles from 2 on")
    return int(word)
