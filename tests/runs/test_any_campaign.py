"""Whatever stands in a campaign's file: it is refused, or its steps are planned or refused."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from odd_documents import FEW, MANY, damaged, mutated, odd_values

from nanoseg_bench.errors import NanosegError
from nanoseg_bench.preparation.prepared_set import PreparedSet
from nanoseg_bench.runs.campaign import plan_step, read_campaign

CAMPAIGN = """\
preset: smoke
sets:
  tiny: {dataset: nanosynth}
steps:
  - {name: a, set: tiny, models: [otsu, unet], seeds: [0, 1], about: "what it is for", recipe: [batch=4], robustness: 2}
  - {set: tiny, models: [unet], weights_from: a, weights_seed: 1}
"""


@pytest.mark.parametrize("limits", [FEW, pytest.param(MANY, marks=pytest.mark.faults)], ids=["few", "many"])
def test_any_campaign(prepared_set, tmp_path, limits):
    path, prepared = tmp_path / "campaign.yaml", PreparedSet(prepared_set.root)
    path.write_text(CAMPAIGN, encoding="utf-8")

    def plan():
        campaign = read_campaign(path)
        sets = dict.fromkeys(campaign.sets, prepared)
        return [list(plan_step(campaign, step, sets, tmp_path)) for step in campaign.steps]

    assert [len(runs) for runs in plan()] == [4, 1]

    @limits
    @given(
        st.one_of(
            mutated(yaml.safe_load(CAMPAIGN)),
            damaged(CAMPAIGN.encode()),
            odd_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
        )
    )
    def run(data):
        path.write_bytes(data)
        try:
            plan()
        except NanosegError as error:
            assert str(error)

    run()
