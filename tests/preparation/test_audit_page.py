import base64
import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.errors import AuditError
from nanoseg_bench.files import write_json
from nanoseg_bench.preparation.audit_page import MAX_PAIRS, MAX_RELATED, describe_evidence, write_audit_page
from nanoseg_bench.preparation.prepared_set import FORMAT, MANIFEST_COLUMNS, PreparedSet

CANVAS = 320
NAMES = [f"Größe_{number}" for number in range(6)]
OVERLAP = {
    "inliers": 37,
    "scale": 2.1,
    "rotation_degrees": -12.2,
    "mirrored": True,
    "shared_first": 0.2,
    "shared_second": 0.8,
    "outline": [[64, 32], [320, 32], [320, 224], [64, 224]],
}


@pytest.fixture
def prepared(tmp_path):
    """Six originals of 200x100 px, each with its own grey on a canvas of 320 px, and one augmented copy."""
    root = tmp_path / "set"
    (root / "images" / "train").mkdir(parents=True)
    (root / "images" / "test").mkdir(parents=True)
    rows = []
    for number, name in enumerate(NAMES):
        split = "train" if number < 3 else "test"
        rows.append(
            dict.fromkeys(MANIFEST_COLUMNS, "")
            | {"name": name, "split": split, "source_group": f"<g>&{number}", "width": "200", "height": "100"}
        )
        canvas = np.full((CANVAS, CANVAS), 114, np.uint8)
        canvas[80:240] = 30 * number
        Image.fromarray(canvas).save(root / "images" / split / f"{name}.png")
    rows.append({**rows[0], "name": "copy", "parent": NAMES[0]})
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, MANIFEST_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    summary = {"format": FORMAT, "name": "s <b> & ü", "dataset": "d", "classes": ["a"], "canvas": CANVAS}
    write_json(root / "prepared.json", {**summary, "content_hash": "0123456789abcdef", "max_instances": 1})
    return PreparedSet(root)


def check(name, details=(), findings=None, passed=True):
    return {
        "name": name,
        "passed": passed,
        "finds": f"what {name} finds",
        "cannot_find": f"what {name} <cannot> find",
        "findings": len(details) if findings is None else findings,
        "details": list(details),
    }


def pair(first, second, evidence, **more):
    return {"images": [NAMES[first], NAMES[second]], "evidence": evidence, **more}


def audit(*checks, related=(), reviewed=(), **values):
    return {
        "format": "nanoseg-split-audit/2",
        "content_hash": "0123456789abcdef",
        "passed": all(each["passed"] for each in checks),
        "conclusion": "the conclusion <as given>",
        "checks": list(checks),
        "related": list(related),
        "reviewed": list(reviewed),
        **values,
    }


NOTHING = audit(check("source-groups"), check("near-duplicates"), check("overlapping-fields"))


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._open = [], "", []
        self.feed(text)
        assert not self._open
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        if tag not in ("meta", "link", "img", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        self.text += " "

    def handle_data(self, data):
        self.text += "" if "style" in self._open else data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(prepared, tmp_path):
    def make(document):
        write_audit_page(prepared, document, tmp_path / "audit.html")
        return Page((tmp_path / "audit.html").read_text(encoding="utf-8"))

    return make


def test_without_pairs_the_page_says_which_checks_looked(page):
    made = page(NOTHING)
    assert "The audit passed the conclusion <as given>." in made.text
    for name in ("source-groups", "near-duplicates", "overlapping-fields"):
        assert f"{name} nothing found what {name} finds what {name} <cannot> find" in made.text
    assert "near-duplicates and overlapping-fields looked at 6 images, and found no pair" in made.text
    assert not made.of("img")
    assert "leak" not in made.text


def test_a_pair_stands_side_by_side_with_its_evidence(page):
    found = pair(1, 4, OVERLAP, splits=["train", "test"], reviewed=False)
    made = page(audit(check("overlapping-fields", [found], passed=False)))
    assert "The audit failed" in made.text
    assert "1 found, failed" in made.text
    assert (
        "scale 1:2.1, rotated 12°, mirrored, 37 matching points, the second shows 20 % of the first, "
        "the first shows 80 % of the second"
    ) in made.text
    assert "Größe_1 train source group <g>&1" in made.text
    assert "Größe_4 test source group <g>&4" in made.text
    first, second = made.of("img")
    for attributes, grey in ((first, 30), (second, 120)):
        kind, data = attributes["src"].split(",", 1)
        assert kind == "data:image/webp;base64"
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
        assert picture.shape == (160, 320)  # the content alone, no padding
        assert np.abs(picture.astype(int) - grey).max() < 8


def test_the_outline_is_drawn_on_the_first_at_the_size_of_the_comparison(page):
    made = page(audit(check("overlapping-fields", [pair(1, 4, OVERLAP, splits=["train", "test"])])))
    # Images are compared at 640 px, twice the canvas of this set.
    (drawing,) = made.of("svg")
    assert drawing["viewbox"] == "0 0 640 320"
    assert {each["d"] for each in made.of("path")} == {"M64 32L320 32L320 224L64 224Z"}
    (first, svg, second) = [tag for tag, _ in made.tags if tag in ("img", "svg")]
    assert (first, svg, second) == ("img", "svg", "img")


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({"differing_bits": 0, "orientation": 0}, "differ in 0 of 64 bits"),
        ({"differing_bits": 3, "orientation": 1}, "differ in 3 of 64 bits, the second mirrored left to right"),
        ({"differing_bits": 1, "orientation": 6}, "differ in 1 of 64 bits, the second turned by 90°"),
    ],
)
def test_words_for_near_duplicates(evidence, words):
    assert describe_evidence({"check": "near-duplicates", "evidence": evidence}) == f"perceptual hashes {words}"


@pytest.mark.parametrize("orientation", range(8))
def test_the_words_fit_the_orientations_of_the_hash(orientation):
    """What the hash calls an orientation is found by trying, and must be what the words say."""
    from nanoseg_bench.preparation.perceptual import perceptual_hashes

    image = np.random.default_rng(1).integers(0, 256, (8, 8)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    turned = {
        "mirrored left to right": [image[:, ::-1]],
        "mirrored top to bottom": [image[::-1]],
        "turned by 180°": [np.rot90(image, 2)],
        "turned by 90°": [np.rot90(image), np.rot90(image, 3)],
        "mirrored along the diagonal": [image.T],
        "mirrored along the other diagonal": [image[::-1, ::-1].T],
        "64 bits": [image],
    }
    words = describe_evidence(
        {"check": "near-duplicates", "evidence": {"differing_bits": 0, "orientation": orientation}}
    )
    (named,) = [key for key in turned if words.endswith(key)]
    wanted = perceptual_hashes(image)[orientation]
    differing = [int((perceptual_hashes(np.ascontiguousarray(each))[0] != wanted).sum()) for each in turned[named]]
    assert min(differing) <= 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 1 / 2.1}, "scale 1:2.1, rotated"),
        ({"scale": 1.01}, "same scale, rotated"),
        ({"scale": 1.25, "mirrored": False}, "scale 1:1.25, rotated 12°, 37"),
        ({"rotation_degrees": 0.3}, "not rotated"),
        ({"rotation_degrees": 180.0}, "rotated 180°"),
    ],
)
def test_words_for_overlaps(change, words):
    assert words in describe_evidence({"check": "overlapping-fields", "evidence": {**OVERLAP, **change}})


def test_reviews_and_related_pairs(page):
    hashes = {"differing_bits": 2, "orientation": 0}
    found = pair(0, 5, hashes, splits=["train", "test"], reviewed=True)
    related = [pair(0, 1, OVERLAP, split="train", check="overlapping-fields")] * (MAX_RELATED + 4)
    reviewed = [
        {"images": [NAMES[5], NAMES[0]], "note": "another <batch> & supplier"},
        {"images": [NAMES[2], NAMES[3]], "note": "only alike"},
    ]
    made = page(audit(check("near-duplicates", [found]), related=related, reviewed=reviewed))
    assert "The audit passed, with pairs to look at" in made.text
    assert (
        "near-duplicates reviewed perceptual hashes differ in 2 of 64 bits Review: another <batch> & supplier"
        in made.text
    )
    assert f"{MAX_RELATED} of {MAX_RELATED + 4} pairs" in made.text
    assert len(made.of("img")) == 2 + 2 * MAX_RELATED
    assert len(made.of("details")) == 1
    assert "open" not in made.of("details")[0]
    assert "Größe_2, Größe_3 only alike" in made.text
    assert made.text.count("another <batch>") == 1


def test_many_pairs_are_all_named(page):
    found = [pair(0, 5, {"differing_bits": 2, "orientation": 0}, splits=["train", "test"])] * (MAX_PAIRS + 3)
    made = page(audit(check("near-duplicates", found)))
    assert len(made.of("img")) == 2 * MAX_PAIRS
    assert "3 more, without pictures" in made.text
    assert made.text.count("Größe_0, Größe_5 train, test near-duplicates perceptual") == 3


def test_findings_of_the_other_checks_are_listed(page):
    shared = {"source_group": "10.1/<x>", "images": {"test": ["c"], "train": ["a", "b"]}}
    stray = {"copy": "x-aug1", "split": "val", "parent": "x", "parent_split": "missing"}
    made = page(
        audit(
            check("source-groups", [shared], passed=False), check("augmented-copies", [stray], findings=9, passed=False)
        )
    )
    assert "source group 10.1/<x>; test: c; train: a, b" in made.text
    assert "copy x-aug1; split val; parent x; parent split missing and 8 more" in made.text
    assert "No check of this audit compares images" in made.text


def test_page_is_self_contained_and_repeatable(prepared, tmp_path):
    document = audit(check("overlapping-fields", [pair(1, 4, OVERLAP, splits=["train", "test"])]))
    texts = []
    for name in ("a", "b"):
        write_audit_page(PreparedSet(prepared.root), document, tmp_path / f"{name}.html")
        texts.append((tmp_path / f"{name}.html").read_bytes())
    assert texts[0] == texts[1]
    made = Page(texts[0].decode())
    assert not re.search(r"https?:|url\((?!#)|<script", texts[0].decode())
    assert not {"script", "b <b>", "g", "as"} & {tag for tag, _ in made.tags}
    assert "s <b> & ü: split audit" in made.text


def test_a_missing_canvas_is_said_in_its_place(prepared, page):
    (prepared.root / "images" / "test" / f"{NAMES[4]}.png").unlink()
    made = page(audit(check("overlapping-fields", [pair(1, 4, OVERLAP, splits=["train", "test"])])))
    assert len(made.of("img")) == 1
    assert "the canvas is missing or cannot be read Größe_4" in made.text


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**NOTHING, "content_hash": "other"}, "made for content other"),
        (audit(check("near-duplicates", [{"images": ["copy", NAMES[1]], "evidence": {}}])), "names 'copy'"),
        (audit(check("near-duplicates", [{"images": [NAMES[1], "x"], "evidence": {}}])), "names 'x'"),
    ],
)
def test_an_audit_of_another_set_is_refused(prepared, tmp_path, document, message):
    with pytest.raises(AuditError, match=message):
        write_audit_page(prepared, document, tmp_path / "audit.html")
    assert not (tmp_path / "audit.html").exists()
