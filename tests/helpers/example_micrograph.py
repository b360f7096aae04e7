"""Renders the micrograph that comes with the page: ``python tests/helpers/example_micrograph.py`` writes it anew."""

from pathlib import Path

import numpy as np
from PIL import Image

import nanoseg_bench
from nanoseg_bench.synthesis.scene import RenderedMicrograph, render_micrograph
from nanoseg_bench.synthesis.specimen import draw_specimen

FILE = Path(nanoseg_bench.__file__).parent / "webapp" / "example" / "example.png"
SEED = 22


def render(seed: int = SEED) -> RenderedMicrograph:
    """Spheres and some rods on a support, in the scanning electron microscope."""
    rng = np.random.default_rng(seed)
    specimen = draw_specimen("example", ("nanosphere", "nanorod"), rng, modality="SE-SEM")
    return render_micrograph(specimen, ("nanosphere", "nanorod"), rng)


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    Image.fromarray(render().pixels).save(FILE, optimize=True)
