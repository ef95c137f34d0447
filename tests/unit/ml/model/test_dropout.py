"""Dropout by random bytes, against torch's own."""

import pytest
import torch

from ml.model.dropout import Dropout

# A column always has the same byte of its words.
ROWS, COLUMNS = 999, 104


def masked(share: float, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(share)(torch.ones(ROWS, COLUMNS))


@pytest.mark.parametrize("share", [0.004, 0.15, 0.3, 0.5, 0.9])
def test_the_share_is_dropped_in_all_columns_and_the_rest_keeps_the_mean(share: float) -> None:
    mask = masked(share, 1)
    deviation = (share * (1 - share) / mask.numel()) ** 0.5
    dropped = (mask == 0).double()
    assert float(dropped.mean()) == pytest.approx(share, abs=4 * deviation + 0.5 / 256)
    # None is dropped more often than chance has it, whatever byte of a word it gets.
    of_columns = (share * (1 - share) / ROWS) ** 0.5
    assert float((dropped.mean(0) - dropped.mean()).abs().max()) < 5 * of_columns
    assert float(mask.mean()) == pytest.approx(1, abs=4 * deviation / (1 - share))
    assert len(mask.unique()) == 2


def test_a_seed_tells_the_mask() -> None:
    assert torch.equal(masked(0.3, 1), masked(0.3, 1))
    assert not torch.equal(masked(0.3, 1), masked(0.3, 2))
    torch.manual_seed(1)
    layer = Dropout(0.3)
    assert not torch.equal(layer(torch.ones(ROWS)), layer(torch.ones(ROWS)))


def test_neighbours_are_dropped_independently() -> None:
    dropped = masked(0.3, 3).eq(0).double().flatten()
    for apart in (1, 4, 8, COLUMNS):
        both = float((dropped[apart:] * dropped[:-apart]).mean())
        assert both == pytest.approx(float(dropped.mean()) ** 2, abs=0.006), apart


def test_what_was_dropped_gets_no_gradient() -> None:
    numbers = torch.randn(ROWS, COLUMNS, requires_grad=True)
    out = Dropout(0.25)(numbers)
    out.sum().backward()
    assert numbers.grad is not None
    assert torch.equal(numbers.grad == 0, out == 0)
    assert torch.equal(out, numbers.detach() * numbers.grad)
    assert float(numbers.grad.max()) == pytest.approx(4 / 3)


@pytest.mark.parametrize("share", [0.0, 0.001])
def test_nothing_to_drop_is_the_input_and_draws_nothing(share: float) -> None:
    numbers = torch.randn(3, 5)
    before = torch.get_rng_state()
    assert Dropout(share)(numbers) is numbers
    assert torch.equal(before, torch.get_rng_state())


def test_all_but_all_still_leaves_numbers() -> None:
    out = Dropout(0.9999)(torch.ones(100_000))
    assert bool(torch.isfinite(out).all())
    assert float(out.max()) == 256
