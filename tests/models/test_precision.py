import pytest
import torch

from nanoseg_bench.models.precision import cpu_computes_in_bfloat16, resolve_precision


def test_what_is_wanted_is_given():
    for wanted in ("float32", "bfloat16"):
        assert resolve_precision(wanted, "cpu") == resolve_precision(wanted, "cuda:0") == wanted


@pytest.mark.parametrize(("instructions", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_where_the_processor_computes_in_it(monkeypatch, instructions, expected):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("auto", "cuda:0") == "bfloat16"


def test_this_processor_is_asked():
    with open("/proc/cpuinfo") as stream:
        flags = stream.read()
    if "flags" not in flags:
        pytest.skip("no flags in /proc/cpuinfo: not an x86 Linux")
    assert cpu_computes_in_bfloat16() == ("avx512_bf16" in flags or "amx_bf16" in flags)
