"""First page: what was measured, how it was taken, what found the particles, and what must not be overlooked."""

from collections.abc import Iterable

from nanoseg_bench.report.report_input import ReportedImage, ReportInput
from nanoseg_bench.report.word.page import Page
from nanoseg_bench.report.word.styles import NOTE, TEXT_WIDTH_MM
from nanoseg_bench.report.word.tables import TableColumn, add_table
from nanoseg_bench.wording import counted

_LABEL_MM = 42.0
_NOT_STATED = "not stated"
_SHOWN_DIGITS = 12  # of a hash, in a table of many images
_MOST_IMAGES = 30


def write_cover(page: Page) -> None:
    """Title, facts, warnings."""
    report = page.report
    page.text("Particle size and shape", "Title")
    page.text(report.sample, "Subtitle")
    for warning in report.warnings:
        page.text(warning, NOTE)
    page.captions.table("Sample, micrographs and method.")
    columns = (TableColumn("", _LABEL_MM), TableColumn("", TEXT_WIDTH_MM - _LABEL_MM))
    add_table(
        page.document,
        columns,
        [(label, value) for label, value in facts_of(report) if value],
        description="Facts about the sample, its micrographs, the scale, the model and the software.",
        bold_first=True,
    )
    if len(report.images) > 1:
        _write_images(page)


def facts_of(report: ReportInput) -> list[tuple[str, str]]:
    """Label and value of each fact; empty values are left out of the document."""
    method, images = report.method, report.images
    acquisitions = [image.acquisition for image in images]
    edited = sum(image.edited for image in images)
    confidence = "" if method.confidence is None else f"{method.confidence:.3g} ({method.confidence_source})"
    rows = [
        ("Sample", report.sample),
        ("Operator", report.operator or _NOT_STATED),
        ("Instrument", _joined(each.instrument for each in acquisitions) or _NOT_STATED),
        ("Acceleration voltage", _joined(_kilovolts(each.voltage_kv) for each in acquisitions) or _NOT_STATED),
        ("Micrographs taken", _joined(each.taken for each in acquisitions) or _NOT_STATED),
        ("Analysed", f"{report.made:%Y-%m-%d %H:%M %Z}"),
    ]
    if len(images) == 1:
        image = images[0]
        rows += [
            ("Micrograph", f"{image.path.name}, {image.width} × {image.height} px"),
            ("SHA-256 of the file", image.sha256),
            ("Scale", scale_text(image)),
        ]
    else:
        rows.append(("Micrographs", f"{len(images)}, see the next table"))
    return [
        *rows,
        ("Model", method.model),
        ("SHA-256 of the weights", method.weights_sha256 or "none: a method without weights"),
        ("Confidence from", confidence),
        ("Which particles count", " ".join(report.filters)),
        ("Changed by hand", f"{counted(edited, 'outline')}" if edited else "no outline"),
        ("Software", ", ".join(f"{name} {version}" for name, version in method.versions.items())),
    ]


def scale_text(image: ReportedImage) -> str:
    """The scale and where it comes from."""
    if image.nm_per_px is None:
        return f"unknown: all lengths are in pixels{f' ({image.scale_source})' if image.scale_source else ''}"
    return f"{image.nm_per_px:.5g} nm/px{f', {image.scale_source}' if image.scale_source else ''}"


def _write_images(page: Page) -> None:
    images = page.report.images
    shown = images[:_MOST_IMAGES]
    more = f" The first {len(shown)} of {len(images)} are shown." if len(shown) < len(images) else ""
    page.captions.table(f"Micrographs of the sample, with the beginning of each file's SHA-256.{more}")
    numbers = page.counted.groupby("image").size()
    columns = (
        TableColumn("Micrograph", 36),
        TableColumn("Size (px)", 24, is_number=True),
        TableColumn("Particles", 22, is_number=True),
        TableColumn("Scale", 60),
        TableColumn("SHA-256", 28),
    )
    rows = [
        (
            image.path.name,
            f"{image.width} × {image.height}",
            str(int(numbers.get(image.name, 0))),
            scale_text(image),
            image.sha256[:_SHOWN_DIGITS],
        )
        for image in shown
    ]
    add_table(page.document, columns, rows, description="One row per micrograph.")


def _joined(texts: Iterable[str]) -> str:
    """Each different text once."""
    return ", ".join(dict.fromkeys(filter(None, texts)))


def _kilovolts(voltage: float | None) -> str:
    return "" if voltage is None else f"{voltage:g} kV"
