"""Whatever the bytes and the name of an upload: it is refused with a reason, fails with a reason, or is measured."""

import io
import random

import pytest
from PIL import Image

from nanoseg_bench.webapp.schemas import Uploaded

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
OTHER_SUFFIXES = (".dm3", ".dm4", ".emd", ".gif", ".svg", ".exe", "")
PER_ROUND = 10


def damaged(data, chance):
    """Some bytes changed, or the end cut off."""
    changed = bytearray(data)
    if chance.random() < 0.3:
        return bytes(changed[: chance.randrange(len(changed))])
    for _ in range(chance.randrange(1, 30)):
        # The head has what sizes are read from.
        place = chance.randrange(min(len(changed), 200 if chance.random() < 0.5 else len(changed)))
        changed[place] = chance.randrange(256)
    return bytes(changed)


def name_of(chance, suffix):
    signs = "aé文\u202e\x1b';=/.. <>&"  # without what the client itself would have to escape
    return "".join(chance.choice(signs) for _ in range(chance.randrange(1, 12))) + suffix


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(6))
def test_any_upload_is_answered(seed, page, browser, field_png):
    chance = random.Random(seed)
    pixels = Image.open(io.BytesIO(field_png))
    files = []
    for _ in range(PER_ROUND):
        suffix = chance.choice([*SUFFIXES, *SUFFIXES, *OTHER_SUFFIXES])
        file = io.BytesIO()
        pixels.save(file, SUFFIXES.get(suffix, "PNG"))
        files.append((name_of(chance, suffix), damaged(file.getvalue(), chance)))
    answer = browser.upload(*files)
    assert answer.status_code == 202, answer.text
    uploaded = Uploaded.model_validate(answer.json)
    assert len(uploaded.micrographs) + len(uploaded.refused) == PER_ROUND
    folder = str(page.extensions["nanoseg"].settings.data_dir)
    assert all(each.error and folder not in each.error for each in uploaded.refused)
    for each in browser.wait(300):
        assert each["status"] == "done" or (each["reason"] and folder not in each["reason"]), each
        assert browser.get(f"/micrographs/{each['id']}").status_code == 200
