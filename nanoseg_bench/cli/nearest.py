"""What a misspelt path was probably meant to be."""

from pathlib import Path

from nanoseg_bench.wording import nearest


def nearest_path(path: Path) -> Path | None:
    """A path that exists and differs from a missing one in the spelling of its parts; None where none is near."""
    found = Path(path.anchor)
    for part in path.parts[1:] if path.anchor else path.parts:
        step = found / part
        if not step.exists():
            wanted = Path(part)
            try:
                beside = sorted(found.iterdir(), key=lambda each: (each.suffix == wanted.suffix, each.name))
            except OSError:
                return None
            # Endings are too much alike to tell names apart; of two names that differ in nothing else, the same counts.
            names = {each.stem: each.name for each in beside}
            near = nearest(wanted.stem, names)
            if near is None:
                return None
            step = found / names[near]
        found = step
    return found
