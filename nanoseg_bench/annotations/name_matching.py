"""Which micrographs the names in a user's list mean: people and spreadsheets write them in several ways."""

from collections import defaultdict
from collections.abc import Iterable

from nanoseg_bench.annotations.image_files import composed, without_suffix
from nanoseg_bench.wording import shortened


def normalised(name: str) -> str:
    """A name as it is compared: with forward slashes, composed letters (macOS writes decomposed ones), ``.tif``."""
    plain = composed(name.strip().replace("\\", "/")).removeprefix("./")
    stem = without_suffix(plain)
    return stem + plain[len(stem) :].lower()


def match_names(given: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Which micrograph each name of a user's list means, by the name as it is given; those that fit none are left out.

    A name fits a micrograph when it is the micrograph's name or its last part, with or without an image's suffix, as
    ``normalised`` says. The name as it stands wins, then the longer match.

    Args:
        given: As they stand in the list.
        names: Of all micrographs.

    Raises:
        ValueError: One fits several micrographs, or two fit one; the message says so without naming the list.
    """
    known = set(names)
    whole, last = defaultdict(set), defaultdict(set)
    for name in known:
        whole[normalised(name)].add(name)
        last[normalised(name).rsplit("/", 1)[-1]].add(name)
    meant: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in given:
        plain = normalised(name)
        spellings = (plain, without_suffix(plain))
        found = {name} if name in known else set()
        for table in (whole, last):
            for each in spellings:
                found = found or table.get(each, set())
        if len(found) > 1:
            raise ValueError(
                f"{name!r} fits {len(found)} images ({shortened(sorted(found))}); give the full name of each of them"
            )
        for micrograph in found:
            if micrograph in taken:
                raise ValueError(
                    f"{taken[micrograph]!r} and {name!r} both name the image {micrograph!r}; keep one of the two names"
                )
            taken[micrograph], meant[name] = name, micrograph
    return meant
