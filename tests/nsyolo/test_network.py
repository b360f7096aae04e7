import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from ultralytics.nn.modules.block import C2PSA, C3k2
from ultralytics.nn.tasks import SegmentationModel

from nanoseg_bench.nsyolo import SCHEMES, BADSConv, NSYOLOSegmentation, build_network
from nanoseg_bench.nsyolo.blocks import C2PSABRA, C3BADS, C3DS
from nanoseg_bench.nsyolo.network import SCALES, load_architecture

ROOT = Path(__file__).parents[2]
SWAPPED = {"C3DS": (19, C3DS), "C3BADS": (19, C3BADS), "C2PSA_BRA": (10, C2PSABRA)}


def seeded(scheme, seed=0, **options):
    torch.manual_seed(seed)
    return build_network(scheme, 3, **options)


def settled(network):
    """Run a few batches in training mode, so that the BN statistics are of this network, and switch to eval."""
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.rand(2, 3, 64, 64))
    return network.eval()


def tensors_of(output):
    if torch.is_tensor(output):
        return [output]
    parts = output.values() if isinstance(output, dict) else output
    return [tensor for part in parts for tensor in tensors_of(part)]


@pytest.mark.parametrize(
    ("scheme", "parameters"),
    [
        ("yolo11n", 2_843_193),
        ("yolo11n-c3ds", 2_871_043),
        ("yolo11n-c3bads", 2_871_143),
        ("yolo11n-c2psa-bra", 2_861_881),
        ("nsyolo", 2_889_831),
    ],
)
def test_parameter_counts(scheme, parameters):
    network = build_network(scheme, 3)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    for name, (layer, block) in SWAPPED.items():
        assert (type(network.model[layer]) is block) == (name in SCHEMES[scheme])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_architectures_are_the_installed_stock_with_other_names(scheme):
    stock, ours = load_architecture("yolo11n"), load_architecture(scheme)
    changed = {}
    for part, first in (("backbone", 0), ("head", len(stock["backbone"]))):
        for i, (theirs, row) in enumerate(zip(stock[part], ours[part], strict=True)):
            assert theirs[:2] + theirs[3:] == row[:2] + row[3:]
            if theirs[2] != row[2]:
                changed[row[2]] = first + i
    assert changed == {name: SWAPPED[name][0] for name in SCHEMES[scheme]}
    assert ours["scales"] == stock["scales"]


@pytest.mark.parametrize("size", [(320, 320), (512, 512), (640, 640), (320, 416)])
@pytest.mark.parametrize("train", [False, True])
def test_whole_network_runs_at_every_size(size, train):
    network = seeded("nsyolo").train(train)
    images = torch.rand(1, 3, *size)
    with torch.no_grad():
        output = network(images)
        stock = seeded("yolo11n").train(train)(images)
    tensors = tensors_of(output)
    assert [tensor.shape for tensor in tensors] == [tensor.shape for tensor in tensors_of(stock)]
    assert all(tensor.isfinite().all() for tensor in tensors)


def test_shared_layers_start_from_identical_weights():
    states = {scheme: seeded(scheme).state_dict() for scheme in SCHEMES}
    stock, full = states["yolo11n"], states["nsyolo"]
    for scheme, state in states.items():
        for name, value in state.items():
            if name in stock and value.shape == stock[name].shape:
                assert torch.equal(value, stock[name]), (scheme, name)
        # A swapped layer starts from the same weights whether or not another one is swapped too, and plain DSConv from
        # those of BADSConv.
        assert all(torch.equal(v, full[n]) for n, v in state.items() if n not in stock), scheme
    assert not torch.equal(full["model.0.conv.weight"], seeded("nsyolo", seed=1).state_dict()["model.0.conv.weight"])
    assert not torch.equal(
        full["model.19.m.0.cv2.standard.conv.weight"],
        seeded("nsyolo", seed=1).state_dict()["model.19.m.0.cv2.standard.conv.weight"],
    )


def test_building_leaves_the_random_stream_where_the_stock_network_does():
    draws = set()
    for scheme in SCHEMES:
        seeded(scheme)
        draws.add(torch.rand(()).item())
    assert len(draws) == 1


def test_batch_norm_is_set_as_ultralytics_sets_it():
    for module in build_network("nsyolo", 3).modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert (module.eps, module.momentum) == (1e-3, 0.03)


@pytest.mark.parametrize("kernel", [3, 5, 9])
@pytest.mark.parametrize("scheme", ["yolo11n-c3ds", "nsyolo"])
def test_fused_network_gives_the_same(scheme, kernel):
    network = settled(seeded(scheme, kernel=kernel))
    images = torch.rand(1, 3, 128, 160)
    with torch.no_grad():
        before = tensors_of(network(images))
        assert not network.is_fused()
        after = tensors_of(network.fuse(verbose=False)(images))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_fusing_is_exact_whatever_the_norms_have_learned(unsettle):
    network = unsettle(seeded("nsyolo")).eval().double()
    images = torch.rand(1, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        before = tensors_of(network(images))
        after = tensors_of(network.fuse(verbose=False)(images))
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("replaced", [lambda image: torch.rand_like(image), lambda image: image * torch.nan])
def test_changing_one_image_of_a_batch_does_not_change_the_others(replaced):
    network = settled(seeded("nsyolo"))
    images = torch.rand(3, 3, 96, 128)
    changed = images.clone()
    changed[1] = replaced(images[1])
    with torch.no_grad():
        (before, prototypes), _ = network(images)
        (after, changed_prototypes), _ = network(changed)
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert torch.equal(changed_prototypes[[0, 2]], prototypes[[0, 2]])
    assert not torch.equal(after[1], before[1])


@pytest.mark.parametrize("train", [False, True])
def test_channels_last_gives_the_same(train):
    network = settled(seeded("nsyolo")).train(train)
    images = torch.rand(2, 3, 96, 128)
    with torch.set_grad_enabled(train):
        before = tensors_of(network(images))
        last = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    for one, other in zip(before, tensors_of(last), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    if train:
        sum(tensor.float().square().mean() for tensor in tensors_of(last)).backward()
        assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters())


def test_gradients_of_the_training_loss_reach_offsets_and_alpha():
    network = seeded("nsyolo").train()
    sum(tensor.square().mean() for tensor in tensors_of(network(torch.rand(2, 3, 64, 64)))).backward()
    inner = network.model[19].m[0].cv2
    for parameter in (inner.offset_conv.weight, inner.alpha, inner.bam[0].conv.weight):
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("scheme", ["yolo11n-c3ds", "nsyolo"])
def test_weights_survive_safetensors(scheme, tmp_path):
    network = settled(seeded(scheme))
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    other = seeded(scheme, seed=1).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for one, two in zip(tensors_of(network(images)), tensors_of(other(images)), strict=True):
            assert torch.equal(one, two)


def test_options_are_kept_in_the_description():
    network = seeded("nsyolo", scale="s", kernel=9, regions=2, topk=1, p4_layers=(13, 19))
    assert [type(network.model[i]) for i in (10, 13, 19)] == [C2PSABRA, C3BADS, C3BADS]
    again = NSYOLOSegmentation(network.yaml, verbose=False)
    assert again.state_dict().keys() == network.state_dict().keys()
    assert again.model[13].m[0].cv2.offset_conv.out_channels == 18
    assert (again.model[10].m[0].attn.regions, again.model[10].m[0].attn.topk) == (2, 1)
    assert again.names == {0: "0", 1: "1", 2: "2"}
    only_first = build_network("yolo11n-c3ds", 3, p4_layers=(13,))
    assert [type(only_first.model[i]) for i in (10, 13, 19)] == [C2PSA, C3DS, C3k2]
    assert type(build_network("yolo11n", 3)) is SegmentationModel


@pytest.mark.parametrize(
    "scale", [pytest.param(scale, marks=pytest.mark.slow if scale in "lx" else ()) for scale in SCALES]
)
def test_every_scale_is_that_of_yolo11_with_the_blocks_inside(scale):
    ours, stock = NSYOLOSegmentation(f"nsyolo-{scale}", nc=3, verbose=False), build_network("yolo11n", 3, scale=scale)
    assert (type(ours.model[10]), type(ours.model[19])) == (C2PSABRA, C3BADS)
    assert sum(type(module) is BADSConv for module in ours.modules()) == {"n": 1, "s": 1, "m": 2, "l": 4, "x": 4}[scale]
    for number, (layer, other) in enumerate(zip(ours.model, stock.model, strict=True)):
        shapes, expected = ([value.shape for value in each.state_dict().values()] for each in (layer, other))
        assert number in (10, 19) or shapes == expected
    with torch.no_grad():
        output = ours.eval()(torch.zeros(1, 3, 64, 64))
    assert all(tensor.isfinite().all() for tensor in tensors_of(output))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"scheme": "yolo12"}, "yolo12"),
        ({"scale": "q"}, "'q'"),
        ({"p4_layers": (16,)}, r"p4_layers=\(16,\)"),
        ({"p4_layers": ()}, r"p4_layers=\(\)"),
        ({"kernel": 4}, "k=4"),
        ({"topk": 0}, "topk=0"),
    ],
)
def test_wrong_options_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        build_network(**{"scheme": "nsyolo", "nc": 3, **arguments})
    with pytest.raises(ValueError, match="nsyolo-q"):
        NSYOLOSegmentation("nsyolo-q")


def test_checkpoint_reloads_in_a_fresh_process(tmp_path):
    network = settled(seeded("nsyolo"))
    torch.save({"model": network}, tmp_path / "network.pt")
    script = (
        "import sys, torch; from ultralytics.nn.tasks import load_checkpoint;"
        "network = load_checkpoint(sys.argv[1])[0];"
        "print('SUM', repr(network(torch.full((1, 3, 64, 64), 0.5))[0][0].double().sum().item()))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "network.pt")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    total = next(line for line in finished.stdout.splitlines() if line.startswith("SUM")).split()[1]
    with torch.no_grad():
        expected = network(torch.full((1, 3, 64, 64), 0.5))[0][0].double().sum().item()
    assert float(total) == pytest.approx(expected, rel=1e-5)
