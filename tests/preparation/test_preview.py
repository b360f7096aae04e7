"""A prepared set written by hand, and its page read back with the standard library's parser."""

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
import warnings
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from annotation_files import write_coco
from PIL import Image

from nanoseg_bench.annotations.instance import Instance, Polygon
from nanoseg_bench.errors import DatasetError
from nanoseg_bench.files import write_json
from nanoseg_bench.preparation.letterbox import Letterbox
from nanoseg_bench.preparation.prepared_set import FORMAT, MANIFEST_COLUMNS, PreparedSet
from nanoseg_bench.preparation.preview import spread, write_preview
from nanoseg_bench.preparation.preview_charts import count_chart, size_chart
from nanoseg_bench.preparation.set_statistics import class_shares, split_statistics

CANVAS, WIDTH, HEIGHT = 64, 200, 100
CLASSES, OOD_CLASS = ("Würfel <b>", "b&c $1$"), "Stab"
ORIGINALS = {"train": 60, "val": 3, "test": 4, "ood": 2, "hrtem": 2}


def square(x, y, side, label, crowd=False):
    corners = np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], dtype=float)
    return Instance(label, (Polygon(corners),), None, crowd)


def instances_of(split, number):
    """Squares of 4 to 13 px; the last image of test is background, the first of val has an ignore region."""
    if (split, number) == ("test", ORIGINALS["test"] - 1):
        return []
    labels = [OOD_CLASS] if split == "ood" else CLASSES
    found = [square(10 + 20 * i, 20, 4 + (number + i) % 10, labels[i % len(labels)]) for i in range(1 + number % 6)]
    return [*found, square(0, 80, 20, "ignore")] if (split, number) == ("val", 0) else found


def manifest():
    rows = []
    for split, count in ORIGINALS.items():
        for number in range(count):
            row = dict.fromkeys(MANIFEST_COLUMNS, "") | {
                "name": f"{split}-Größe_{number:02d}",
                "split": split,
                "micrograph": f"{split}/{number}",
                "source_group": f"10.1/a<b>&c-{split}-{number // 3}",
                "width": str(WIDTH),
                "height": str(HEIGHT),
                "nm_per_px": "0.5" if split in ("train", "ood") else "",
            }
            copies = 2 if split == "train" else 0
            rows += [row, *({**row, "name": f"{row['name']}-aug{n}", "parent": row["name"]} for n in range(copies))]
    return rows


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    rows = manifest()
    box = Letterbox(WIDTH, HEIGHT, CANVAS)
    for split in ORIGINALS:
        (root / "images" / split).mkdir(parents=True)
        classes = (*CLASSES, OOD_CLASS) if split == "ood" else CLASSES
        truth, canvas = {}, {}
        for row in (row for row in rows if row["split"] == split):
            number = int(row["micrograph"].split("/")[1])
            instances = instances_of(split, number)
            canvas[row["name"]] = [box.instance_to_canvas(each) for each in instances]
            if not row["parent"]:
                truth[row["name"]] = instances
            Image.new("L", (CANVAS, CANVAS), 40).save(root / "images" / split / f"{row['name']}.png")
        write_coco(root / "truth" / f"{split}.json", dict.fromkeys(truth, (WIDTH, HEIGHT)), truth, classes)
        write_coco(root / "canvas" / f"{split}.json", dict.fromkeys(canvas, (CANVAS, CANVAS)), canvas, classes)
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, MANIFEST_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    summary = {
        "format": FORMAT,
        "name": "Ätz <i>set</i> & more",
        "dataset": "d",
        "classes": list(CLASSES),
        "ood_classes": [OOD_CLASS],
        "canvas": CANVAS,
        "content_hash": "0123456789abcdef",
        "max_instances": 6,
        "losses": {"cut_by_augmentation": 17, "yolo_holes_lost": 0, "new_kind": 3},
        "warnings": ["group <x> & 'y' is too large"],
    }
    write_json(root / "prepared.json", summary)
    return root


class Page(HTMLParser):
    """Tags with their attributes, all text, and the cells of every table that has an id."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.tags, self.text, self.tables, self._table, self._open = [], "", {}, None, []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        if tag not in ("meta", "link", "img", "br"):
            self._open.append(tag)
        if tag == "table":
            self._table = self.tables.setdefault(dict(attrs).get("id"), [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        self.text += " "
        if tag == "table":
            self._table = None

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data
        if self._table and {"td", "th"} & set(self._open):
            self._table[-1][-1] += data

    def images(self):
        return [attributes for tag, attributes in self.tags if tag == "img"]


@pytest.fixture
def preview(folder, tmp_path):
    def make():
        path = tmp_path / "preview.html"
        write_preview(PreparedSet(folder), path)
        return Page(path)

    return make


def shown_names(page):
    return [each["alt"].split(", ")[0] for each in page.images()]


def test_counts_are_those_of_the_manifest(preview):
    table = {row[0]: row[1:] for row in preview().tables["counts"][1:]}
    rows = manifest()
    assert list(table) == list(ORIGINALS)
    for split, cells in table.items():
        own = [row for row in rows if row["split"] == split]
        originals = [row for row in own if not row["parent"]]
        particles = sum(not each.ignored for number in range(ORIGINALS[split]) for each in instances_of(split, number))
        expected = [
            len({row["source_group"] for row in originals}),
            len(originals),
            len(own) - len(originals),
            particles,
            int(split == "test"),
            int(split == "val"),
        ]
        assert [int(cell.replace("\u202f", "")) for cell in cells] == expected


def test_classes_are_counted_per_split(preview):
    table = {row[0]: row[1:] for row in preview().tables["classes"][1:]}
    assert list(table) == [*CLASSES, OOD_CLASS]
    for label, cells in table.items():
        for split, cell in zip(ORIGINALS, cells, strict=True):
            labels = [Counter(i.label for i in instances_of(split, n)) for n in range(ORIGINALS[split])]
            expected = f"{sum(each[label] for each in labels)} ({sum(label in each for each in labels)})"
            assert " ".join(cell.split()) == expected


def test_contact_sheets_are_spread_over_the_manifest(preview):
    names = shown_names(preview())
    train = [row["name"] for row in manifest() if row["split"] == "train"]
    originals, copies = [n for n in train if "aug" not in n], [n for n in train if "aug" in n]
    for everything, count in ((originals, 24), (copies, 12)):
        places = [everything.index(name) for name in names if name in everything]
        assert len(places) == count
        step = len(everything) / count
        assert places == sorted(places)
        assert max(np.diff(places)) - min(np.diff(places)) <= 1
        assert places[0] < step
        assert places[-1] >= len(everything) - step
    for split in ("val", "test", "ood", "hrtem"):
        assert sum(name.startswith(split) for name in names) == ORIGINALS[split]


@pytest.mark.parametrize(("length", "count"), [(0, 3), (2, 3), (3, 3), (4, 3), (1000, 24)])
def test_spread(length, count):
    found = spread(range(length), count)
    assert len(set(found)) == len(found) == min(length, count)
    assert found == sorted(found)


def test_captions(preview):
    text = " ".join(preview().text.split())
    assert "train-Größe_01 10.1/a<b>&c-train-0 2 particles 200 × 100 px, 0.500 nm/px" in text
    assert "test-Größe_03 10.1/a<b>&c-test-1 0 particles 200 × 100 px, scale unknown" in text
    assert "1 particle, 1 ignore region 200 × 100 px" in text
    assert re.search(r"(train-Größe_\d\d)-aug\d augmented copy of \1 ", text)
    copies = [attributes for tag, attributes in preview().tags if tag == "figure" and attributes.get("class") == "copy"]
    assert len(copies) == 12


def test_nothing_is_fetched_and_pictures_are_inside(preview):
    page = preview()
    images = page.images()
    assert len(images) == 24 + 12 + 3 + 4 + 2 + 2
    for attributes in images:
        kind, data = attributes["src"].split(",", 1)
        assert kind == "data:image/webp;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (440, 440)
    assert not {"script", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for key, value in attributes.items():
            if key.startswith("xmlns"):
                continue
            assert "//" not in (value or "") or key == "src", (tag, key, value)
            if key in ("href", "xlink:href"):
                assert value.startswith("#") or value == "data:,"
    assert sum(tag == "svg" for tag, _ in page.tags) == 4


def test_ids_are_unique(preview):
    ids = [attributes["id"] for _, attributes in preview().tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_names_are_escaped(preview):
    page = preview()
    assert "Ätz <i>set</i> & more" in page.text
    assert "group <x> & 'y' is too large" in page.text
    assert "Würfel <b>" in page.text
    # The one that CSS draws bold in captions is ours.
    assert not {"i", "x"} & {tag for tag, _ in page.tags}


def test_same_set_same_bytes_in_any_process(folder, tmp_path):
    write_preview(PreparedSet(folder), tmp_path / "a.html")
    code = (
        "import sys; from pathlib import Path; from nanoseg_bench.preparation.preview import write_preview; "
        "from nanoseg_bench.preparation.prepared_set import PreparedSet; "
        "write_preview(PreparedSet(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, folder, tmp_path / "b.html"], check=True, env=environment)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_only_pictures_that_are_shown_are_read(folder, preview):
    shown = set(shown_names(preview()))
    removed = [path for path in (folder / "images").rglob("*.png") if path.stem not in shown]
    assert len(removed) == 60 * 3 - 24 - 12
    for path in removed:
        path.unlink()
    assert set(shown_names(preview())) == shown


def test_losses_are_explained(preview):
    text = " ".join(preview().text.split())
    assert "cut by augmentation 17 particles that an augmented copy cut below the minimum visible area" in text
    assert "yolo holes lost 0 holes that are filled in the YOLO text" in text
    assert "new kind 3 counted by prepare" in text


def test_report_and_audit_where_they_are(folder, preview):
    text = " ".join(preview().text.split())
    assert "No prepare_report.json in this set" in text
    assert "Nothing says that the splits are apart" in text
    report = {
        "images": 69,
        "background": [f"leer <{number}>" for number in range(301)],
        "skipped": [{"file": "a <b>.json", "message": "point is NaN;\n draw it again"}],
        "passed_over": [{"file": "package.json", "message": "no shapes"}],
        "unannotated": ["u&v.tif"],
        "notes": [{"file": "n.json", "note": "line has no area"}],
    }
    check = {"name": "near-duplicates", "passed": True, "finds": "f & g", "cannot_find": "<crops>", "findings": 0}
    audit = {
        "content_hash": "0123456789abcdef",
        "passed": True,
        "conclusion": "checks near-duplicates found no shared source",
        "checks": [{**check, "details": []}],
        "related": [],
        "reviewed": [],
    }
    write_json(folder / "prepare_report.json", report)
    write_json(folder / "split_audit.json", audit)
    text = " ".join(preview().text.split())
    for part in (
        "left out: 1 file fault a <b>.json point is NaN; draw it again",
        "kept as background: 301 leer <0>",
        "leer <299> and 1 more",
        "package.json no shapes",
        "u&v.tif",
        "n.json line has no area",
        "The audit passed checks near-duplicates found no shared source.",
        "near-duplicates nothing found f & g <crops>",
    ):
        assert part in text
    assert "which is not this set's" not in text
    write_json(folder / "split_audit.json", {**audit, "content_hash": "other", "passed": False})
    text = " ".join(preview().text.split())
    assert "The audit failed" in text
    assert "which is not this set's" in text


def test_a_malformed_set_is_told(folder, tmp_path):
    (folder / "canvas" / "test.json").write_text("{")
    with pytest.raises(DatasetError, match=r"canvas.test\.json"):
        write_preview(PreparedSet(folder), tmp_path / "preview.html")
    assert not (tmp_path / "preview.html").exists()


def test_statistics(folder):
    statistics = {each.split: each for each in split_statistics(PreparedSet(folder))}
    for split, count in ORIGINALS.items():
        # Squares on whole pixels: their area is known without any rasteriser.
        sides = [
            4 + (n + i) % 10 for n in range(count) for i, each in enumerate(instances_of(split, n)) if not each.ignored
        ]
        expected = np.sqrt(4 * np.array(sides) ** 2 / np.pi)
        np.testing.assert_allclose(np.sort(statistics[split].diameters_px), np.sort(expected))
        scaled = split in ("train", "ood")
        np.testing.assert_allclose(
            np.sort(statistics[split].diameters_nm), np.sort(expected) * 0.5 if scaled else np.zeros(0)
        )
        assert statistics[split].scaled_images == (count if scaled else 0)
        per_image = [sum(not each.ignored for each in instances_of(split, n)) for n in range(count)]
        assert statistics[split].particles_per_image.tolist() == per_image


def test_size_chart_adds_up_and_holds_every_particle(folder):
    statistics = split_statistics(PreparedSet(folder))
    (axes,) = size_chart([(each.split, each.diameters_px) for each in statistics], "px").axes
    assert len(axes.patches) == len(statistics)
    low, high = axes.get_xlim()
    for patch, each in zip(axes.patches, statistics, strict=True):
        assert patch.get_data().values.sum() == pytest.approx(100)
        assert low < each.diameters_px.min() <= each.diameters_px.max() < high


def test_class_shares_add_up_with_many_classes(folder):
    statistics = split_statistics(PreparedSet(folder))
    many = [*CLASSES, OOD_CLASS, *(f"rare-{number}" for number in range(40))]
    for classes in ((*CLASSES, OOD_CLASS), many):
        shares = class_shares(statistics, classes)
        assert np.sum([of_splits for _, of_splits in shares], axis=0) == pytest.approx([100] * len(statistics))
        for name, of_splits in shares[:3]:
            assert of_splits == [100 * each.class_particles[name] / each.particles for each in statistics]
    assert [name for name, _ in shares][-1] == "23 others"
    assert class_shares(statistics, many[:21])[-1][0] == "1 other"


def test_class_bars_are_drawn_by_the_browser(folder, preview):
    summary = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    names = ["纳米立方体", "منشور"]
    for path in (*folder.glob("truth/*.json"), *folder.glob("canvas/*.json")):
        text = path.read_text(encoding="utf-8")
        for old, new in zip(CLASSES, names, strict=True):
            text = text.replace(f'"name":"{old}"', f'"name":"{new}"')
        path.write_text(text, encoding="utf-8")
    write_json(folder / "prepared.json", {**summary, "classes": names})
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")  # that matplotlib has no glyph for
        page = preview()
    text = " ".join(page.text.split())
    shares = dict(class_shares(split_statistics(PreparedSet(folder)), names))
    for name in names:
        numbers = "".join(f" {share:.1f}" for share in shares[name])
        assert f"{name} {numbers}".replace("  ", " ") in text
    widths = [
        float(attributes["style"].split("%")[0].removeprefix("width:"))
        for tag, attributes in page.tags
        if tag == "span" and attributes.get("style", "").startswith("width:")
    ]
    drawn = class_shares(split_statistics(PreparedSet(folder)), [*names, OOD_CLASS])
    expected = [share for _, of_splits in drawn for share in of_splits]
    assert widths == pytest.approx([100 * share / max(expected) for share in expected], abs=0.01)


@pytest.mark.parametrize("values", [[0], [0, 0, 7], [3, 3], [1, 500], [0, 1, 2, 40], [12, 15]])
def test_count_chart_counts_everything_once(values):
    figure = count_chart([("train", np.array(values)), ("val", np.array([], dtype=np.int64))], "x", "y")
    (axes,) = figure.axes
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(100)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    for value in values:
        ranges = [tuple(map(int, (label.split("–") * 2)[:2])) for label in labels]
        assert sum(low <= value <= high for low, high in ranges) == 1
