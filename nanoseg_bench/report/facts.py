"""What is known of an analysis, as a list: the sample, how it was taken, what found the particles."""

from collections.abc import Callable, Sequence
from typing import Any

from nanoseg_bench.images import Acquisition
from nanoseg_bench.report.by_hand import hand_work
from nanoseg_bench.report.report_input import ReportedImage, ReportInput
from nanoseg_bench.wording import counted, shortened

_NOT_STATED = "not stated"
_MOST_FACTS = 3  # of many micrographs that differ


def facts_of(report: ReportInput) -> list[tuple[str, str]]:
    """Label and value of each fact; empty values are left out of a document."""
    method, images = report.method, report.images
    acquisitions = [image.acquisition for image in images]
    work = hand_work(report.particles)
    confidence = "" if method.confidence is None else f"{method.confidence:.3g} ({method.confidence_source})"
    weights = changed = ""
    if not method.annotated:
        weights = method.weights_sha256 or "none: a method without weights"
        changed = f"{counted(work.total, 'outline')}: a person {work.sentence}" if work.total else "no outline"
    rows = [
        ("Sample", report.sample),
        ("Operator", report.operator or _NOT_STATED),
        ("Instrument", _stated(acquisitions, "instrument")),
        ("Acceleration voltage", _stated(acquisitions, "voltage_kv", lambda voltage: f"{voltage:g} kV")),
        ("Micrographs taken", _stated(acquisitions, "taken")),
        ("Analysed", f"{report.made:%Y-%m-%d %H:%M %Z}"),
    ]
    if len(images) == 1:
        image = images[0]
        rows += [
            ("Micrograph", f"{image.shown_name}, {image.width} × {image.height} px"),
            ("SHA-256 of the file", image.sha256),
            ("Scale", scale_text(image)),
        ]
    else:
        rows.append(("Micrographs", f"{len(images)}, in a table of their own"))
    return [
        *rows,
        ("Outlines" if method.annotated else "Model", method.model),
        ("SHA-256 of the weights", weights),
        ("Confidence from", confidence),
        ("Which particles count", " ".join(report.filters)),
        ("Changed by hand", changed),
        ("Software", ", ".join(f"{name} {version}" for name, version in method.versions.items())),
    ]


def scale_text(image: ReportedImage) -> str:
    """The scale and where it comes from."""
    if image.nm_per_px is None:
        return f"unknown: all lengths are in pixels{f' ({image.scale_source})' if image.scale_source else ''}"
    return f"{image.nm_per_px:.5g} nm/px{f', {image.scale_source}' if image.scale_source else ''}"


def _stated(acquisitions: Sequence[Acquisition], name: str, shown: Callable[[Any], str] = str) -> str:
    """Each different value of an attribute once, with where it was read; what the user said stands alone."""
    texts: dict[str, None] = {}
    for each in acquisitions:
        value, source = getattr(each, name), each.sources.get(name)
        if value:
            texts[f"{shown(value)}, read from {source}" if source else shown(value)] = None
    return shortened(list(texts), _MOST_FACTS, between="; ") or _NOT_STATED
