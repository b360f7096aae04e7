"""What one specimen is: its particles, how they lie, and the instrument that looks at them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nanoseg_bench.synthesis import shapes
from nanoseg_bench.synthesis.imaging import HRTEM, TRANSMISSION, Fringes, Optics, Pattern
from nanoseg_bench.synthesis.layout import Layout, Template
from nanoseg_bench.synthesis.transfer import scherzer_defocus_nm

CLASSES = ("nanocube", "nanorod", "nanosphere")
OOD_CLASSES = ("triangle", "pentagon")
_MODALITY_SHARES = {"BF-TEM": 0.46, "SE-SEM": 0.27, "HAADF-STEM": 0.12, "BSE-SEM": 0.1, "DF-TEM": 0.05}
_EASY_SHARES = {"BF-TEM": 0.5, "SE-SEM": 0.3, "HAADF-STEM": 0.2}
_ARRANGEMENT_SHARES = {"dispersed": 0.38, "clusters": 0.28, "chains": 0.08, "jammed": 0.1, "packed": 0.16}
_CANVASES = ((512, 512), (640, 480), (683, 512), (640, 640), (768, 576), (768, 768), (777, 512), (1024, 768))
_EASY_CANVASES = ((384, 384), (400, 320), (420, 340))
_SEM_INFO = ("jeol", "hitachi", "zeiss", "fei")
_TYPICAL_NM = {
    "BF-TEM": (8, 120),
    "HAADF-STEM": (8, 100),
    "DF-TEM": (10, 90),
    "SE-SEM": (50, 900),
    "BSE-SEM": (60, 900),
    HRTEM: (3, 7),
}
_HRTEM_NM_PER_PX = (0.03, 0.045)
_SPACING_NM = (0.2, 0.3)
_ZONE_AXES: tuple[tuple[float, tuple[tuple[float, float], ...]], ...] = (
    (0.2, ()),
    (0.4, ((1.0, 0.0),)),
    (0.25, ((1.0, 0.0), (1.0, 70.53), (np.sqrt(3) / 2, 125.26))),
    (0.15, ((np.sqrt(3) / 2, 0.0), (np.sqrt(3) / 2, 90.0))),
)
"""Probability, and planes seen edge-on as (spacing over that of {111}, direction in degrees), of an fcc crystal: none,
one set of {111}, along [110], along [100]."""


@dataclass(frozen=True, slots=True)
class Habit:
    """The shape of one class in one specimen; lengths over the area-equivalent diameter or the side.

    Attributes:
        label: Class.
        scale: Size over the specimen's mean size.
        rounding: Edge radius over the side (polyhedra), height of the caps over the radius (rods).
        aspect: Length over width (rods, bricks), thickness over diameter (plates).
        variant: "cube"; "sphere"; "capped" or "faceted" rods; "prism"; "plate" or "bipyramid".
        tilted: Probability that a particle does not lie flat.
        irregularity: Amplitude of what makes spheres not round.
        core: Core radius over particle radius, 0 for none.
        core_contrast: See ``imaging.Body``.
    """

    label: str
    scale: float
    rounding: float
    aspect: float
    variant: str
    tilted: float
    irregularity: float
    core: float
    core_contrast: float


@dataclass(frozen=True, slots=True)
class Specimen:
    """All that the micrographs of one source group share.

    Attributes:
        identifier: Source group.
        habits: One per class.
        mean_nm: Mean area-equivalent diameter.
        dispersion: Standard deviation of its logarithm.
        diameter_px: Mean diameter at the specimen's middle magnification.
        coverage: Share of the field that particles cover.
        layout: How they lie.
        optics: Instrument and support; lengths over the mean diameter until ``magnified``.
        diffraction: Standard deviation of the logarithm of the particles' contrast.
        bands: Probability that a particle shows bend contours.
        canvas: Width and height of the field, px.
        bar_style: How the scale bar is drawn; None with an info bar.
        info_style: Style of the info bar; None without one.
        panel_letter: Whether micrographs carry one.
        easy: Few, large, clear particles.
        spacing_nm: Distance of the {111} planes (HRTEM); 0 where no lattice is resolved.
    """

    identifier: str
    habits: tuple[Habit, ...]
    mean_nm: float
    dispersion: float
    diameter_px: float
    coverage: float
    layout: Layout
    optics: Optics
    diffraction: float
    bands: float
    canvas: tuple[int, int]
    bar_style: str | None
    info_style: str | None
    panel_letter: bool
    easy: bool
    spacing_nm: float = 0.0

    @property
    def transmission(self) -> bool:
        """Whether overlapping particles are both seen in full."""
        return self.optics.modality in TRANSMISSION


def draw_specimen(
    identifier: str,
    labels: Sequence[str],
    rng: np.random.Generator,
    easy: bool = False,
    modality: str | None = None,
) -> Specimen:
    """A specimen that holds the given classes, the first one dominant.

    Args:
        identifier: Name of the source group.
        labels: Classes that any of its micrographs shows.
        rng: Source of chance.
        easy: Few, large, clear particles on a small field.
        modality: How it is looked at; drawn by default, and then never HRTEM.
    """
    if modality is None:
        modality = _pick(_EASY_SHARES if easy else _MODALITY_SHARES, rng)
    canvases = _EASY_CANVASES if easy else _CANVASES
    canvas = canvases[int(rng.integers(len(canvases)))]
    layout = _draw_layout(easy, labels, rng)
    coverage, diameter = _draw_density(canvas, layout, easy, rng)
    low, high = _TYPICAL_NM[modality]
    scanning = modality.endswith("SEM")
    habits = tuple(_draw_habit(label, modality, position, rng) for position, label in enumerate(labels))
    if easy:
        habits = tuple(replace(habit, aspect=min(habit.aspect, 3.6), tilted=0.0, core=0.0) for habit in habits)
    optics = replace(draw_optics(modality, rng, easy), reference_px=_typical_thickness(habits[0]))
    with_info = not easy and rng.random() < (0.5 if scanning else 0.08)
    info_style = ("amt" if not scanning else str(rng.choice(_SEM_INFO))) if with_info else None
    specimen = Specimen(
        identifier=identifier,
        habits=habits,
        mean_nm=_log_uniform(low, high, rng),
        dispersion=float(rng.uniform(0.03, 0.12 if easy or layout.arrangement == "packed" else 0.22)),
        diameter_px=diameter,
        coverage=coverage,
        layout=layout,
        optics=optics,
        diffraction=float(rng.uniform(0.05, 0.15) if easy else rng.choice([0.06, 0.2, 0.45]) * rng.uniform(0.7, 1.4)),
        bands=float(rng.choice([0.0, 0.1, 0.4], p=[0.5, 0.3, 0.2])) if modality in {"BF-TEM", "DF-TEM"} else 0.0,
        canvas=canvas,
        bar_style=None if with_info else _draw_bar_style(modality, rng),
        info_style=info_style,
        panel_letter=bool(rng.random() < (0.2 if with_info else 0.5)),
        easy=easy,
    )
    return _at_atomic_resolution(specimen, rng) if modality == HRTEM else specimen


def magnified(optics: Optics, diameter_px: float) -> Optics:
    """The optics at a magnification where the mean particle has this diameter."""
    return replace(
        optics,
        reference_px=optics.reference_px * diameter_px,
        rim_px=max(optics.rim_px * diameter_px, 0.8),
        roughness_px=max(optics.roughness_px * diameter_px, 2.0),
    )


def draw_template(habit: Habit, diameter_px: float, rng: np.random.Generator) -> Template:
    """One particle of this habit with the given area-equivalent diameter."""
    flat = rng.random() >= habit.tilted
    small, large = rng.normal(0, 0.03, 2), rng.uniform(-0.6, 0.6, 2)
    tilt_x, tilt_y = (small if flat else large).tolist()
    rounding = float(np.clip(habit.rounding * rng.uniform(0.85, 1.15), 0.02, 1.0))
    return _TEMPLATES[habit.variant](habit, diameter_px, rounding, (tilt_x, tilt_y), rng)


def draw_pattern(specimen: Specimen, diameter_px: float, rng: np.random.Generator) -> Pattern:
    """Bend contours of one particle, none for most."""
    banded = rng.random() < specimen.bands
    return Pattern(
        amplitude=float(rng.uniform(0.15, 0.4)) if banded else 0.0,
        period_px=float(diameter_px * rng.uniform(0.25, 0.9)),
        angle=float(rng.uniform(0, np.pi)),
        curvature=float(rng.uniform(-0.6, 0.6) / diameter_px),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def draw_lattice(specimen: Specimen, nm_per_px: float, rng: np.random.Generator) -> tuple[Fringes, ...]:
    """Lattice planes of one particle that are seen edge-on, by how the crystal happens to lie."""
    if specimen.spacing_nm == 0:
        return ()
    planes = _ZONE_AXES[int(rng.choice(len(_ZONE_AXES), p=[probability for probability, _ in _ZONE_AXES]))][1]
    turn = float(rng.uniform(0, 2 * np.pi))
    return tuple(
        Fringes(
            period_px=ratio * specimen.spacing_nm / nm_per_px,
            angle=turn + float(np.deg2rad(degrees)),
            amplitude=float(rng.uniform(0.2, 0.6)),
            phase=float(rng.uniform(0, 2 * np.pi)),
        )
        for ratio, degrees in planes
    )


def draw_contrast(specimen: Specimen, rng: np.random.Generator) -> float:
    """Factor on one particle's contrast: how it is oriented, what it is made of."""
    if specimen.optics.modality == "DF-TEM":
        return float(rng.uniform(0.55, 1.1) if rng.random() < 0.35 else rng.uniform(0.16, 0.34))
    spread = specimen.diffraction if specimen.optics.modality == "BF-TEM" else 0.3 * specimen.diffraction
    return float(np.clip(np.exp(rng.normal(0, spread)), 0.5, 2.0))


def draw_optics(modality: str, rng: np.random.Generator, easy: bool = False) -> Optics:
    """Instrument, support and material at random, as plausible for the modality."""
    optics = _OPTICS[modality](rng)
    if easy:
        return replace(
            optics,
            gradient=(float(rng.uniform(0.1, 0.3)), optics.gradient[1]),
            dose=max(optics.dose, 150.0),
            absorption=max(optics.absorption, 1.2),
            blur_px=min(optics.blur_px, 1.0),
            background=optics.background if modality == "BF-TEM" else min(optics.background, 0.22),
            particle=max(optics.particle, 0.55) if modality == "SE-SEM" else optics.particle,
        )
    return optics


def _bright_field_optics(rng: np.random.Generator) -> Optics:
    metal = rng.random() < 0.65
    return replace(
        _common_optics("BF-TEM", rng),
        background=float(rng.uniform(0.55, 0.9)),
        particle=float(rng.uniform(0.02, 0.14)),
        absorption=float(rng.uniform(1.3, 4.0) if metal else rng.uniform(0.6, 1.4)),
        grain=float(rng.uniform(0.015, 0.07)),
        grain_px=float(rng.uniform(1.6, 4.5)),
        mottle=float(rng.uniform(0.005, 0.04)),
        roughness=float(rng.uniform(0.0, 0.08) if metal else rng.uniform(0.02, 0.15)),
        roughness_px=float(rng.uniform(0.02, 0.06) if rng.random() < 0.6 else rng.uniform(0.15, 0.5)),
        fringe=float(rng.uniform(0.0, 1.0)),
        blur_px=float(rng.uniform(0.5, 1.2)),
        dose=_log_uniform(120, 2000, rng),
    )


def _dark_field_optics(rng: np.random.Generator) -> Optics:
    return replace(
        _common_optics("DF-TEM", rng),
        background=float(rng.uniform(0.05, 0.12)),
        particle=float(rng.uniform(0.8, 1.0)),
        grain=float(rng.uniform(0.08, 0.2)),
        grain_px=float(rng.uniform(1.6, 3.5)),
        mottle=float(rng.uniform(0.02, 0.1)),
        blur_px=float(rng.uniform(0.6, 1.2)),
        dose=_log_uniform(60, 300, rng),
    )


def _annular_optics(rng: np.random.Generator) -> Optics:
    return replace(
        _common_optics("HAADF-STEM", rng),
        background=float(rng.uniform(0.03, 0.2)),
        particle=float(rng.uniform(0.5, 0.85)),
        absorption=float(rng.uniform(0.5, 2.0)),
        grain=float(rng.uniform(0.05, 0.2)),
        grain_px=float(rng.uniform(2, 5)),
        mottle=float(rng.uniform(0.02, 0.1)),
        roughness=float(rng.uniform(0.0, 0.1)),
        roughness_px=float(rng.uniform(0.04, 0.12)),
        blur_px=float(rng.uniform(0.6, 1.4)),
        dose=_log_uniform(60, 500, rng),
        scan_noise=float(rng.uniform(0, 0.012)),
    )


def _secondary_electron_optics(rng: np.random.Generator) -> Optics:
    return replace(
        _common_optics("SE-SEM", rng),
        background=float(rng.uniform(0.1, 0.38)),
        particle=float(rng.uniform(0.42, 0.62)),
        grain=float(rng.uniform(0.01, 0.08)),
        grain_px=float(rng.uniform(2, 6)),
        mottle=float(rng.uniform(0.01, 0.08)),
        roughness=float(rng.uniform(0.01, 0.08)),
        roughness_px=float(rng.uniform(0.03, 0.3)),
        edge=float(rng.uniform(0.15, 0.8)),
        rim=float(rng.uniform(0.0, 0.5)),
        shading=float(rng.uniform(0.0, 0.45)),
        halo=float(rng.uniform(0.0, 0.5)),
        blur_px=float(rng.uniform(0.6, 1.5)),
        dose=_log_uniform(40, 500, rng),
        scan_noise=float(rng.uniform(0, 0.012)),
    )


def _backscattered_optics(rng: np.random.Generator) -> Optics:
    return replace(
        _common_optics("BSE-SEM", rng),
        background=float(rng.uniform(0.06, 0.25)),
        particle=float(rng.uniform(0.6, 0.9)),
        absorption=float(rng.uniform(1.5, 4.0)),
        grain=float(rng.uniform(0.01, 0.06)),
        grain_px=float(rng.uniform(2, 6)),
        mottle=float(rng.uniform(0.01, 0.06)),
        roughness=float(rng.uniform(0.01, 0.05)),
        roughness_px=float(rng.uniform(0.03, 0.3)),
        edge=float(rng.uniform(0.0, 0.12)),
        rim=float(rng.uniform(0.0, 0.1)),
        blur_px=float(rng.uniform(0.7, 1.5)),
        dose=_log_uniform(30, 200, rng),
        scan_noise=float(rng.uniform(0, 0.012)),
    )


def _high_resolution_optics(rng: np.random.Generator) -> Optics:
    return replace(
        _common_optics(HRTEM, rng),
        background=float(rng.uniform(0.42, 0.58)),
        particle=0.0,
        absorption=float(rng.uniform(0.08, 0.25)),
        grain=float(rng.uniform(0.1, 0.2)),
        blur_px=float(rng.uniform(0.5, 0.8)),
        dose=_log_uniform(60, 400, rng),
        defocus_nm=scherzer_defocus_nm() * float(rng.uniform(0.8, 1.8)),
    )


def _at_atomic_resolution(specimen: Specimen, rng: np.random.Generator) -> Specimen:
    """Enlarge until lattice planes are several pixels apart."""
    return replace(
        specimen,
        diameter_px=specimen.mean_nm / float(rng.uniform(*_HRTEM_NM_PER_PX)),
        spacing_nm=float(rng.uniform(*_SPACING_NM)),
    )


def _common_optics(modality: str, rng: np.random.Generator) -> Optics:
    return Optics(
        modality=modality,
        background=0.5,
        particle=0.5,
        absorption=1.0,
        reference_px=1.0,
        gradient=(float(rng.uniform(0, 0.15)), float(rng.uniform(0, 2 * np.pi))),
        vignette=float(rng.uniform(0, 0.2)),
        grain=0.0,
        grain_px=2.0,
        mottle=0.0,
        mottle_px=float(rng.uniform(25, 120)),
        roughness=0.0,
        roughness_px=0.05,
        edge=0.0,
        rim=0.0,
        rim_px=float(rng.uniform(0.02, 0.07)),
        shading=0.0,
        detector_angle=float(rng.uniform(0, 2 * np.pi)),
        halo=0.0,
        fringe=0.0,
        fringe_px=float(rng.uniform(1.5, 4)),
        blur_px=0.8,
        dose=200.0,
        noise_px=float(rng.choice([0.0, 0.7, 1.0])),
        scan_noise=0.0,
        gamma=float(rng.uniform(0.85, 1.15)),
    )


_OPTICS: dict[str, Callable[[np.random.Generator], Optics]] = {
    "BF-TEM": _bright_field_optics,
    "DF-TEM": _dark_field_optics,
    "HAADF-STEM": _annular_optics,
    "SE-SEM": _secondary_electron_optics,
    "BSE-SEM": _backscattered_optics,
    HRTEM: _high_resolution_optics,
}


def _draw_layout(easy: bool, labels: Sequence[str], rng: np.random.Generator) -> Layout:
    shares = {"dispersed": 0.55, "clusters": 0.45} if easy else dict(_ARRANGEMENT_SHARES)
    if labels[0] in OOD_CLASSES:
        shares.pop("packed", None)
    arrangement = _pick(shares, rng)
    overlap = {"dispersed": 0.1, "clusters": 0.2, "chains": 0.1, "jammed": 0.6, "packed": 0.0}[arrangement]
    touching = arrangement != "dispersed" or easy
    return Layout(
        arrangement=arrangement,
        gap=float(rng.uniform(0.0, 0.06) if touching else rng.uniform(0.05, 0.3)),
        overlap_share=0.08 if easy else overlap * float(rng.uniform(0, 2)),
        alignment=float(rng.uniform(0.2, 0.9)),
        group_size=int(rng.integers(2, 4) if easy else rng.integers(3, 14)),
    )


def _draw_density(canvas: tuple[int, int], layout: Layout, easy: bool, rng: np.random.Generator) -> tuple[float, float]:
    """Coverage and mean diameter such that a field holds the number of particles that was drawn."""
    width, height = canvas
    low, high = {
        "dispersed": (0.04, 0.25),
        "clusters": (0.08, 0.35),
        "chains": (0.06, 0.2),
        "jammed": (0.3, 0.5),
        "packed": (0.35, 0.75),
    }[layout.arrangement]
    if easy:
        side = min(canvas)
        diameter = side * float(rng.uniform(0.16, 0.27))
        return float(rng.uniform(0.18, 0.38)), diameter
    coverage = float(rng.uniform(low, high))
    number = _log_uniform(3 if high < 0.4 else 10, 110, rng)
    diameter = np.sqrt(4 * coverage * width * height / (np.pi * number))
    return coverage, float(np.clip(diameter, 15, 220))


def _draw_bar_style(modality: str, rng: np.random.Generator) -> str:
    """Authors mostly choose an ink that can be read on the support."""
    readable = "black" if modality == "BF-TEM" else "white"
    other = "white" if readable == "black" else "black"
    kinds = {readable: 0.58, f"{readable}-bracket": 0.1, "white-box": 0.1, "black-box": 0.1, other: 0.12}
    return _pick(kinds, rng)


def _draw_habit(label: str, modality: str, position: int, rng: np.random.Generator) -> Habit:
    scale = 1.0 if position == 0 else float(rng.uniform(0.7, 1.05))
    habit = Habit(label, scale, 0.1, 1.0, "cube", float(rng.choice([0.0, 0.08, 0.2])), 0.0, 0.0, 0.0)
    if label == "nanocube":
        return replace(habit, rounding=float(rng.uniform(0.04, 0.22)), aspect=float(rng.uniform(1.0, 1.06)))
    if label == "nanosphere":
        core, core_contrast = _draw_core(modality, rng)
        irregularity = float(rng.choice([0.006, 0.015, 0.03]))
        return replace(habit, variant="sphere", irregularity=irregularity, core=core, core_contrast=core_contrast)
    if label == "nanorod":
        capped = rng.random() < 0.7
        rounding = float(rng.uniform(0.35, 1.0) if capped else rng.uniform(0.06, 0.25))
        variant = "capped" if capped else "faceted"
        return replace(habit, rounding=rounding, aspect=float(rng.uniform(2.2, 5.2)), variant=variant)
    if label == "triangle":
        return replace(
            habit, rounding=float(rng.uniform(0.03, 0.09)), aspect=float(rng.uniform(0.15, 0.4)), variant="prism"
        )
    variant = "plate" if rng.random() < 0.5 else "bipyramid"
    return replace(habit, rounding=float(rng.uniform(0.03, 0.07)), aspect=float(rng.uniform(0.3, 0.7)), variant=variant)


def _typical_thickness(habit: Habit) -> float:
    """Thickness over the area-equivalent diameter of the projection."""
    if habit.label in OOD_CLASSES:
        return habit.aspect
    return float(np.sqrt(np.pi / 4 / habit.aspect)) if habit.label == "nanorod" else 1.0


def _draw_core(modality: str, rng: np.random.Generator) -> tuple[float, float]:
    """Hollow and core-shell spheres, where the modality shows them."""
    kind, size = rng.random(), float(rng.uniform(0.45, 0.85))
    if modality not in {"BF-TEM", "HAADF-STEM"} or kind < 0.72:
        return 0.0, 0.0
    return (size, -0.9) if kind < 0.86 else (0.8 * size, float(rng.uniform(1.0, 2.5)))


def _cube(
    habit: Habit, diameter: float, rounding: float, tilt: tuple[float, float], rng: np.random.Generator
) -> Template:
    side = diameter * np.sqrt(np.pi) / 2 * float(rng.uniform(1.0, habit.aspect))
    return Template(habit.label, side, side, 4, lambda angle: shapes.nanocube(side, rounding * side, tilt, angle))


def _sphere(
    habit: Habit, diameter: float, rounding: float, tilt: tuple[float, float], rng: np.random.Generator
) -> Template:
    orders = rng.choice([2, 3, 4, 5, 6, 7], 3, replace=False).tolist()
    amplitudes = (habit.irregularity * rng.uniform(0.2, 1.0, 3) / [1, 1.5, 2]).tolist()
    phases = rng.uniform(0, 2 * np.pi, 3).tolist()
    harmonics = list(zip(orders, amplitudes, phases, strict=True))
    return Template(habit.label, diameter, diameter, 0, lambda angle: shapes.nanosphere(diameter, harmonics))


def _rod(
    habit: Habit, diameter: float, rounding: float, tilt: tuple[float, float], rng: np.random.Generator
) -> Template:
    aspect = float(np.clip(habit.aspect * np.exp(rng.normal(0, 0.12)), 2.0, 6.0))
    width = diameter * np.sqrt(np.pi / 4 / aspect)
    length, lift = width * aspect, float(np.clip(tilt[0], -0.45, 0.45))
    if habit.variant == "capped":
        return Template(
            habit.label, length, width, 2, lambda angle: shapes.nanorod(length, width, rounding, lift, angle)
        )
    sides = int(rng.choice([4, 6]))
    radius = rounding * width
    return Template(
        habit.label, length, width, 2, lambda angle: shapes.faceted_rod(length, width, sides, radius, lift, angle)
    )


def _prism(
    habit: Habit, diameter: float, rounding: float, tilt: tuple[float, float], rng: np.random.Generator
) -> Template:
    side = diameter * np.sqrt(np.pi) / 3**0.25
    thickness, radius = habit.aspect * diameter, min(rounding, 0.35 * habit.aspect) * side
    return Template(
        habit.label, side, side, 3, lambda angle: shapes.triangular_prism(side, thickness, radius, tilt, angle)
    )


def _pentagon(
    habit: Habit, diameter: float, rounding: float, tilt: tuple[float, float], rng: np.random.Generator
) -> Template:
    across = 1.15 * diameter
    build = shapes.pentagonal_plate if habit.variant == "plate" else shapes.pentagonal_bipyramid
    thickness, radius = habit.aspect * diameter, rounding * across
    return Template(habit.label, across, across, 5, lambda angle: build(across, thickness, radius, tilt, angle))


_TEMPLATES: dict[str, Callable[[Habit, float, float, tuple[float, float], np.random.Generator], Template]] = {
    "cube": _cube,
    "sphere": _sphere,
    "capped": _rod,
    "faceted": _rod,
    "prism": _prism,
    "plate": _pentagon,
    "bipyramid": _pentagon,
}


def _pick(shares: dict[str, float], rng: np.random.Generator) -> str:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
