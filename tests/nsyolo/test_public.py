import inspect
import re

import pytest
from torch import nn

from nanoseg_bench import nsyolo

LAYERS = ["SnakeBranch", "DSConv", "BADSConv", "BiLevelRoutingAttention", "C3DS", "C3BADS", "C2PSABRA"]


def test_public_names_are_there_and_no_others():
    assert sorted(nsyolo.__all__) == sorted(nsyolo._HOMES)
    assert all(getattr(nsyolo, name) is not None for name in nsyolo.__all__)
    with pytest.raises(AttributeError, match="no attribute 'BADSConv2'"):
        nsyolo.BADSConv2  # noqa: B018


def test_no_layer_is_forgotten_below():
    public = {name: getattr(nsyolo, name) for name in nsyolo.__all__}
    modules = {name for name, each in public.items() if inspect.isclass(each) and issubclass(each, nn.Module)}
    assert modules - set(LAYERS) == {"NSYOLOSegmentation", "NSYOLO"}  # whole networks


@pytest.mark.parametrize("name", LAYERS)
def test_layers_say_their_equations_their_shapes_and_what_was_chosen(name):
    text = inspect.getdoc(getattr(nsyolo, name))
    assert re.search(r"Eq\. \d", text), "equations"
    assert re.search(r"\(N, c1?, H, W\)", text), "shapes"
    assert re.search(r"the choice (made here|of C3DS)|Beyond what DSConv chooses", text), "choices"
    assert "Args:" in text
