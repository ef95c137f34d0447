"""Smaller blocks are used where they give the same bits, and only there."""

import numpy as np
import pytest
import torch

from ml.encoding.encode import Encoding
from ml.model.bundle import BLOCK_ROWS, Bundle
from ml.model.network import Shape, TabularNetwork
from ml.serving.golden import SMALL_BLOCKS, golden_rows, proven_blocks

ENCODING = Encoding({"a": (0.0, 1.0, 2.0), "b": (5.0, 6.0)}, {"c": ("x", "y"), "d": ("z",)})


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = Shape((16, 8), 2, 3, 0.1, 0.0)
    return Bundle(TabularNetwork(ENCODING, shape).eval(), ENCODING, shape)


def test_golden_rows_are_always_the_same_and_meet_every_code() -> None:
    numeric, codes = golden_rows(ENCODING)
    again, _ = golden_rows(ENCODING)
    np.testing.assert_array_equal(numeric, again)
    assert [len(np.unique(column)) for column in codes.T] == list(ENCODING.code_counts)
    assert 0 < np.isnan(numeric).mean() < 0.2
    assert (np.nanmin(numeric, axis=0) < [0, 5]).all() and (np.nanmax(numeric, axis=0) > [2, 6]).all()


def test_a_block_with_other_bits_is_not_used(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proven_blocks(bundle) == SMALL_BLOCKS
    exact, others = Bundle.score_encoded, {SMALL_BLOCKS[0]}

    def last_bit_differs(self: Bundle, numeric, codes, block_rows: int = BLOCK_ROWS):
        scores = exact(self, numeric, codes, block_rows)
        if block_rows in others:
            scores.probability.view(np.int32)[-1] ^= 1
        return scores

    monkeypatch.setattr(Bundle, "score_encoded", last_bit_differs)
    assert proven_blocks(bundle) == SMALL_BLOCKS[1:]
    others.add(SMALL_BLOCKS[1])
    assert proven_blocks(bundle) == (BLOCK_ROWS,)
