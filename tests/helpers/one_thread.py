"""A fixture for the ``conftest.py`` of tests that compute with PyTorch."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Computing must be repeatable and polite to other tests on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
