import pytest
from pydantic import BaseModel, ValidationError

from nanoseg_bench.wording import (
    counted,
    did_you_mean,
    first_fault,
    minus,
    nearest,
    shortened,
    thousands_apart,
    without_middle,
)


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2, ("image",), "2 images"),
        (1, ("copy", "copies"), "1 copy"),
        (3, ("copy", "copies"), "3 copies"),
    ],
)
def test_the_noun_follows_the_number(number, words, expected):
    assert counted(number, *words) == expected


def test_numbers_are_set_as_in_print():
    assert minus("-4.7") == "\N{MINUS SIGN}4.7"
    assert thousands_apart(-1234567) == "-1\u202f234\u202f567" and thousands_apart(999) == "999"


def test_what_loses_its_middle_keeps_both_ends():
    assert without_middle("specimen-0001", 20) == "specimen-0001"
    assert without_middle("specimen-0001-tile-17", 10) == "speci…e-17"


@pytest.mark.parametrize(
    ("number", "expected"), [(0, ""), (1, "a"), (3, "a, b, c"), (4, "a, b, c and 1 more"), (6, "a, b, c and 3 more")]
)
def test_a_long_list_says_how_many_it_leaves_out(number, expected):
    assert shortened(list("abcdef")[:number], 3) == expected


def test_a_list_may_be_one_of_choices():
    assert shortened(["a", "b", "c"], 2, between="; ", last="or") == "a; b or 1 more"


@pytest.mark.parametrize(
    ("word", "meant"),
    [("unett", "unet"), ("UNet", "unet"), ("mask_rcnn", "mask-rcnn"), ("Mask-RCNN", "mask-rcnn"), ("zebra", None)],
)
def test_the_nearest_word_is_offered_whatever_its_case_and_hyphens(word, meant):
    known = ["unet", "mask-rcnn", "otsu"]
    assert nearest(word, known) == meant
    assert did_you_mean(word, known) == (f"did you mean {meant!r}? " if meant else "")


def test_a_lower_cutoff_offers_more():
    assert (nearest("yolo", ["yolo11n-c3ds"]), nearest("yolo", ["yolo11n-c3ds"], 0.4)) == (None, "yolo11n-c3ds")


class Part(BaseModel):
    seed: int


class Whole(BaseModel):
    parts: list[Part]


@pytest.mark.parametrize(
    ("document", "above", "place"),
    [
        ({"parts": [{"seed": 1}, {"seed": "x"}, {}]}, (), "parts.1.seed"),
        ({"parts": [{}]}, ("kept",), "kept.parts.0.seed"),
        ([], (), "document"),
    ],
)
def test_the_first_fault_of_a_document_is_named_by_its_keys(document, above, place):
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(document)
    assert first_fault(caught.value, *above) == f"{place}: {caught.value.errors()[0]['msg']}"
