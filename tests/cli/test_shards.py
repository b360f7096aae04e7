"""A set in shards does what one of single files does, from the command line."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from kept_records import read_records
from PIL import Image

from nanoseg_bench.annotations.instance import Rle
from nanoseg_bench.cli import main
from nanoseg_bench.preparation.prepared_set import PreparedSet

TIMED = ("latency", "energy", "training", "throughput")


def prepare(out, *more):
    arguments = ["prepare", "--dataset", "nanosynth", "--easy", "--images", "24", "--size", "128"]
    return main([*arguments, "--augment-copies", "1", "--workers", "1", "--out", str(out), *more])


@pytest.mark.parametrize("size", ["many", "0", "5 apples"])
def test_a_size_is_asked_for_before_anything_is_rendered(tmp_path, capsys, size):
    assert prepare(tmp_path / "set", "--shards", size) == 2
    assert f"--shards '{size}': give their size, such as 256M or 1G" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_job(tiny_set, tmp_path, capsys, runs_in_this_process):
    out = tmp_path / "shards"
    shutil.copytree(tiny_set.with_name(f"{tiny_set.name}-source"), tmp_path / "shards-source")
    assert prepare(out, "--shards", "200K", "--preview") == 0
    single, sharded = PreparedSet(tiny_set), PreparedSet(out)
    assert (sharded.name, sharded.content_hash) == (single.name, single.content_hash)
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"shards"}
    assert (out / "preview.html").stat().st_size > 100_000
    assert main(["audit", str(out)]) == 0

    scores = []
    for name, prepared in (("single", single), ("sharded", sharded)):
        places = ["--runs", str(tmp_path / name), "--leaderboards", str(tmp_path / f"{name}-boards"), "--device", "cpu"]
        assert main(["run", str(prepared.root), "--models", "otsu", "--preset", "smoke", *places]) == 0
        records = read_records(tmp_path / f"{name}-boards", prepared.name)
        scores.append(
            {
                record.eval_set: {key: value for key, value in record.scores.items() if not key.startswith(TIMED)}
                for record in records
            }
        )
    assert scores[0] == scores[1]
    assert set(scores[0]) >= {"test", "ood"}

    assert main(["run", str(out), "--models", "nsyolo", "--preset", "smoke", *places]) == 0
    assert main(["score", str(tmp_path / "sharded"), "--data", str(out), places[2], places[3], "--check"]) == 0
    results = tmp_path / "tool" / "test.json"
    results.parent.mkdir()
    results.write_text(json.dumps(perfect_results(sharded)))
    handed_in = ["--predictions", str(results), "--as", "tool", "--confidence", "0.5"]
    assert main(["score", str(out), *handed_in, *places[:4]]) == 0
    table = pd.read_csv(tmp_path / "sharded-boards" / f"{sharded.name}-test.csv").set_index("model")
    assert set(table.index) == {"otsu", "nsyolo", "tool"}
    assert set(table["status"]) == {"ok"}
    assert table.loc["tool", "map_50_95"] == pytest.approx(1)

    run = next(path for path in (tmp_path / "sharded").iterdir() if path.name.startswith("nsyolo"))
    picture = tmp_path / "mine.png"
    Image.fromarray(sharded.images("test")[0].read_content()).save(picture)
    assert main(["predict", str(picture), "--model", str(run), "--out", str(tmp_path / "found")]) == 0
    assert main(["explain", str(picture), "--model", str(run), "--out", str(tmp_path / "maps.png")]) == 0
    assert np.asarray(Image.open(tmp_path / "maps.png")).std() > 10
    assert main(["figures", str(out), *places[:4], "--out", str(tmp_path / "figures")]) == 0
    assert list((tmp_path / "figures").glob("*overlay*"))


def perfect_results(prepared):
    """The truth of ``test`` as COCO results, by the ids that the set's COCO file would have."""
    truth, ids = prepared.truth("test"), prepared.truth_ids("test")
    category = {label: number for number, label in ids.categories.items()}
    return [
        {
            "image_id": image_id,
            "category_id": category[instance.label],
            "segmentation": {"size": [region.height, region.width], "counts": region.counts.decode()},
            "score": 0.9,
        }
        for image_id, file_name in ids.images.items()
        for instance in truth[file_name.removesuffix(".png")]
        if isinstance(region := instance.region, Rle)
    ]
