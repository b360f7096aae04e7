"""Tags of TIFFs into which the programs of microscopes write how they took a micrograph, scale and all."""

from typing import TYPE_CHECKING

from nanoseg_bench.images.named_values import plain_text

if TYPE_CHECKING:
    import tifffile

FEI_SFEG, FEI_HELIOS, FEI_TITAN, ZEISS, TESCAN = 34680, 34682, 34683, 34118, 50431


def tag_text(page: "tifffile.TiffPage", code: int, encoding: str = "ascii") -> str:
    """The text of a TIFF's tag, which may be stored as bytes; empty where there is none."""
    stored = page.tags.valueof(code)
    return plain_text(stored, encoding) if isinstance(stored, bytes) else str(stored or "")
