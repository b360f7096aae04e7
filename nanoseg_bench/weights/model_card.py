"""The model card of released weights: a Markdown text, made of what stands in their JSON and of nothing else."""

import textwrap
from collections.abc import Sequence

from nanoseg_bench.metrics.table import in_order
from nanoseg_bench.weights.release import Judged, Release

SCORES = tuple(in_order(lambda shown: shown.card))
"""Metrics that a model card shows, as the CSV files have them: shares, not percent."""

_WIDTH = 120

_LIMITS = (
    "Blurred or indistinct outlines, above all of particles that touch or overlap: masks get worse quickly. Defocus "
    "and charging, which take edges away, do the same.",
    "Weak contrast, such as dark-field TEM: particles are missed. Lattice fringes (HRTEM): expect failure.",
    "Shapes that the training data do not show are found with lower confidence; a lower --confidence finds more of "
    "them, and more that is none.",
    "Other microscopes, detectors, magnifications or materials than in the training data: nothing above says how good "
    "it is there. Look at the overlays, and annotate a few micrographs of your own to measure it.",
)
"""Section 3.4 of the NSYOLO paper, in short."""

_PAPER = "https://doi.org/10.55092/aimat20260006"


def model_card(release: Release, *, model: str, classes: Sequence[str], canvas: int, weights_sha256: str) -> str:
    """The card.

    Args:
        release: What is said of the weights.
        model: Id of the network.
        classes: That it tells apart.
        canvas: Side of its input, px.
        weights_sha256: Of the file.
    """
    data = release.trained_on
    parts = [
        f"# {release.title} ({release.name}), trained on {data.title or data.set_name}",
        _wrap(
            f"Instance segmentation of nanoparticles in SEM and TEM micrographs. Network `{model}`, input {canvas} px, "
            f"classes: {', '.join(classes)}. Parameters in half precision. This card is generated from "
            f"`{release.name}.json`."
        ),
        f"    nanoseg-bench predict my_images --model {release.name}.safetensors",
        "## Data",
        _data(release),
        "## Training",
        _training(release, weights_sha256),
        "## How good it is",
        _wrap(
            "Measured with these very weights, on images that it has not seen; masks in pixels of the original images. "
            "AP50–95 is the average precision of masks over IoU 0.50 to 0.95. "
            "In brackets the 95 % interval over source groups. Precision, recall, F1, counts and sizes at confidence "
            f"{release.confidence:.3g}, {_source(release)}. Evaluator {release.evaluator}."
        ),
        *(_scores(judged) for judged in release.judged),
        "## Limits",
        _wrap(
            f"Where NSYOLO was found to fail, or is expected to, by its authors ({_PAPER}, section 3.4), on data of "
            "their own:"
        ),
        "\n".join(_item(limit) for limit in _LIMITS),
        _wrap(
            f"Scores on micrographs that it was trained on flatter it: `{release.known_images}` holds their "
            "fingerprints, and `prepare` and `run` warn where a set of yours shows them."
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _data(release: Release) -> str:
    data = release.trained_on
    lines = [
        f"Prepared set `{data.set_name}` (content hash {data.set_hash}): {data.train} micrographs with "
        f"{data.particles} particles to train on, {data.val} to choose the operating point.",
        f"Source: {data.source}" if data.source else "",
        f"Licence of the data: {data.licence or 'not stated: the data set has no card'}.",
        f"Please cite: {data.citation}" if data.citation else "",
    ]
    return "\n".join(_item(line) for line in lines if line)


def _training(release: Release, weights_sha256: str) -> str:
    seed = "unseeded" if release.seed is None else f"seed {release.seed}"
    hours = f", {release.core_hours:.1f} core hours" if release.core_hours is not None else ""
    start = f"from {release.initial_weights}" if release.initial_weights else "from scratch"
    if release.initial_training:
        start += f" (trained on {release.initial_training})"
    commit = f", commit {release.commit}" if release.commit else ""
    lines = (
        f"Run `{release.run}`: preset {release.preset}, {seed}, {start}, {release.images_seen} images seen{hours}. The "
        "recipe stands in the JSON.",
        f"nanoseg-bench {release.package}{commit}; judged {release.finished}.",
        f"SHA-256 of the weights: `{weights_sha256}`.",
    )
    return "\n".join(_item(line) for line in lines)


def _source(release: Release) -> str:
    return {"val": "chosen on val", "default": "the default, since val could not decide"}.get(
        release.confidence_source, release.confidence_source
    )


def _scores(judged: Judged) -> str:
    lines = [f"### {judged.eval_set} ({judged.images} images)", "", "| | |", "|---|---|"]
    for metric in SCORES:
        value, low, high = (judged.scores.get(f"{metric.name}{end}") for end in ("", "_lo", "_hi"))
        if value is None:
            continue
        digits = metric.digits_unscaled
        interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if low is not None and high is not None else ""
        name = f"{metric.in_words} (relative)" if metric.unit == "%" else metric.in_words
        lines.append(f"| {name} | {value:.{digits}f}{interval} |")
    return "\n".join(lines)


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return _wrap(f"- {text}", "  ")
