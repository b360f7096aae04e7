"""Several processes take the steps that one takes; on the CPU, by gloo, since the tests have no second GPU."""

import subprocess
import sys
import time
from pathlib import Path

import group_tasks
import numpy as np
import psutil
import pytest
from group_tasks import SmallNet, losses_and_gradients, train

from nanoseg_bench.errors import ModelError, TimeLimitReached, WorkerMemoryError
from nanoseg_bench.models import process_group
from nanoseg_bench.models.base import Deadline, FitContext
from nanoseg_bench.models.multi_device import run_in_group
from nanoseg_bench.models.recipe import Recipe, load_recipe
from nanoseg_bench.models.registry import build

CPUS = ("cpu", "cpu")


def small_recipe(**values) -> Recipe:
    common = {"model": "unet", "title": "T", "preset": "smoke", "canvas": 64, "batch": 3, "epochs": 2}
    common |= {"learning_rate": 0.05, "precision": "float32", "augmentation": "shared"}
    return Recipe(**{**common, "options": {"distance": True}, **values})


def agree(first, second, tolerance) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, rtol=0, atol=tolerance * np.abs(value).max(), err_msg=name)


def test_two_processes_train_as_one_does(prepared_set, tmp_path):
    """Shares of two images and of one; 8 images in batches of 3, 3 and 2."""
    recipe = small_recipe()
    model, images = SmallNet(recipe, prepared_set.classes, 10), [5, 1, 7]
    arguments = recipe, prepared_set.classes, prepared_set.root
    with pytest.raises(TimeLimitReached, match="step 1 of 3"):
        SmallNet(recipe, prepared_set.classes, 10).fit(
            prepared_set, FitContext(tmp_path / "together" / "begun alone", deadline=Deadline(0.0, "1s"))
        )
    together = run_in_group(
        group_tasks.train_in_many_ways, CPUS, model, prepared_set.root, images, tmp_path / "together"
    )

    losses, gradients = losses_and_gradients("cpu", model, prepared_set.root, images)
    assert together["step"][0] == pytest.approx(losses, rel=1e-5)
    agree(gradients, together["step"][1], 1e-4)
    assert "unused" not in together["step"][1], "a parameter without a gradient would be pulled towards zero"

    alone = train("cpu", SmallNet, *arguments, tmp_path / "alone")
    agree(alone, together["whole"], 5e-3)  # half precision
    agree(alone, together["begun alone"], 5e-3)
    agree(together["dropping"], together["dropping in parts"], 0.0)
    first, second = together["without a seed"]
    assert [(len(one), len(two)) for one, two in zip(first, second, strict=True)] == [(1, 2), (1, 2), (1, 1)]
    assert sorted(index for share in first + second for index in share) == list(range(8)), (
        "each process shuffled by itself"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "images"),
    [
        ("unet", {"distance": True}, [0, 1, 2, 3]),
        # Shares of two images and of one: their losses weigh unequally, in each network by its own count.
        ("unet", {"distance": True}, [5, 1, 7]),
        ("deeplabv3plus", {}, [5, 1, 7]),
        # Which samples are drawn is chance, and each process has its own; so all of them are.
        ("mask-rcnn", {"rpn_samples": 100_000, "box_samples": 100_000}, [5, 1, 7]),
        ("yolo11n", {}, [5, 1, 7]),
        ("nsyolo", {}, [5, 1, 7]),
    ],
)
def test_gradients_of_two_processes_are_those_of_one(name, options, images, prepared_set):
    recipe = load_recipe(name, "smoke")
    options = {**recipe.options, **options}
    recipe = recipe.model_copy(update={"canvas": 64, "precision": "float32", "options": options})
    model = build(recipe, prepared_set.classes, prepared_set.max_instances)
    arguments = model, prepared_set.root, images
    losses, gradients = losses_and_gradients("cpu", *arguments)
    losses_together, gradients_together = run_in_group(losses_and_gradients, CPUS, *arguments)
    assert losses_together == pytest.approx(losses, rel=1e-4)
    # Rounding: one weight of Mask R-CNN differs by 1.0e-3 of the largest.
    agree(gradients, gradients_together, 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ("killed", WorkerMemoryError, r"^cpu \(process 2 of 2\): its process was killed \(SIGKILL\)"),
        ("refuses", ModelError, r"^something\.yaml: is not right$"),
        ("fails", RuntimeError, r"^cpu \(process 2 of 2\): RuntimeError: CUDA out of memory"),
    ],
)
def test_one_that_is_lost_ends_all_and_is_named(how, error, match):
    began, before = time.monotonic(), psutil.Process().children()  # workers of other tests
    with pytest.raises(error, match=match):
        run_in_group(group_tasks.miss_one, CPUS, how)
    assert time.monotonic() - began < 300, "waited for the others"
    left = [each for each in psutil.Process().children() if each not in before]
    assert not [each for each in left if "spawn_main" in " ".join(each.cmdline())]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills a process group's parent")
def test_they_end_with_the_process_that_started_them(tmp_path):
    script = tmp_path / "start.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(group_tasks.__file__).parent)!r})\n"
        "import group_tasks\nfrom nanoseg_bench.models.multi_device import run_in_group\n"
        "if __name__ == '__main__':\n"
        f"    run_in_group(group_tasks.wait_for_ever, ('cpu', 'cpu'), Path({str(tmp_path / 'told')!r}))\n"
    )
    (tmp_path / "told").mkdir()
    with subprocess.Popen([sys.executable, str(script)]) as parent:
        until = time.monotonic() + 300
        while len(list((tmp_path / "told").iterdir())) < 2:
            assert parent.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        members = [psutil.Process(int(path.name)) for path in (tmp_path / "told").iterdir()]
        parent.kill()
    _, alive = psutil.wait_procs(members, timeout=60)
    assert not alive


@pytest.fixture
def two_processes(monkeypatch):
    """What is looked at before anything is shared sees two."""
    monkeypatch.setattr(process_group, "size", lambda: 2)
    monkeypatch.setattr(process_group, "rank", lambda: 1)


def test_a_process_takes_its_share(two_processes):
    assert process_group.share_of([4, 5, 6, 7]) == (2, [6, 7])
    assert process_group.share_of([4, 5, 6]) == (1, [5, 6])
    assert process_group.share_of([4, 5]) == (1, [5])


def test_a_batch_with_fewer_images_than_devices_is_refused(two_processes, prepared_set, tmp_path):
    model = SmallNet(small_recipe(batch=1), prepared_set.classes, 10)
    model.check_training_images = lambda number: None  # of batch normalisation
    with pytest.raises(ModelError, match=r"2 devices cannot share a batch of 1, .* 8 images in batches of 1"):
        model.fit(prepared_set, FitContext(tmp_path))


def test_batch_normalisation_is_refused_on_cpus(two_processes, prepared_set, tmp_path):
    recipe = load_recipe("unet", "smoke").model_copy(update={"canvas": 64})
    with pytest.raises(ModelError, match="unet: has batch normalisation, whose means PyTorch shares between GPUs"):
        build(recipe, prepared_set.classes, 10).fit(prepared_set, FitContext(tmp_path))


def test_a_model_whose_losses_are_those_of_a_share_is_refused(prepared_set, tmp_path):
    class OwnLosses(SmallNet):
        def losses(self, network, batch):
            return super().losses(network, batch)

    assert SmallNet.losses_of_all

    with pytest.raises(ModelError, match=r"cpu, cpu cannot train it together, .*losses_of_all.*; give one device"):
        OwnLosses(small_recipe(), prepared_set.classes, 10).fit(prepared_set, FitContext(tmp_path, beside=("cpu",)))
