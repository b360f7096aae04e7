"""Fonts for texts of any script in matplotlib's charts: class names and titles come from the users."""

from matplotlib.font_manager import fontManager, get_font

OWN = "DejaVu Sans"
"""Comes with matplotlib, so it is the same everywhere."""


def families_for(text: str) -> list[str]:
    """Font families for a text: matplotlib's own, and the first installed one with the letters that it lacks.

    The second is missing where no installed font has all of them; matplotlib then draws boxes.
    """
    lacking = set(map(ord, text)) - set(get_font(fontManager.findfont(OWN)).get_charmap()) - {ord("\n")}
    families = [OWN]
    if lacking:
        # The font of last resort draws every letter as a box.
        installed = (entry for entry in fontManager.ttflist if not entry.name.startswith("Last Resort"))
        families += next(([each.name] for each in installed if lacking <= set(get_font(each.fname).get_charmap())), [])
    return families
