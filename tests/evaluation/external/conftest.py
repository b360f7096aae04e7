"""A small prepared set, made once, whose truth other tools' files are written from."""

import json

import numpy as np
import pytest
from PIL import Image

from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.evaluation.eval_sets import load_eval_set
from nanoseg_bench.evaluation.external.reading import read_external


class Tool:
    """Writes the truth of ``test`` as another tool would, and reads it back."""

    def __init__(self, prepared, root):
        self.prepared = prepared
        self.root = root
        self.eval_set = load_eval_set(prepared, "test")
        self.names = self.eval_set.images
        self.truth = {
            name: [each for each in self.eval_set.truth[name] if not each.ignored] for name in self.eval_set.images
        }

    def read(self, path, **options):
        return read_external(path, "tool", self.prepared, self.eval_set, **options)

    def mask(self, name, instance):
        width, height = self.eval_set.sizes[name]
        return to_mask(instance, height, width)

    def write_map(self, path, name):
        width, height = self.eval_set.sizes[name]
        values = np.zeros((height, width), np.uint16)
        for number, instance in enumerate(self.truth[name], start=1):
            values[self.mask(name, instance)] = number
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)

    def write_json(self, name, value):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    def own_coco(self):
        return json.loads((self.prepared.root / "truth" / "test.json").read_text(encoding="utf-8"))


@pytest.fixture
def tool(rendered_set, tmp_path):
    return Tool(rendered_set, tmp_path)
