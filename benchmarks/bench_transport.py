"""What does it cost to bring a batch from one process to another?"""

import os
import pickle

import numpy as np
import pyarrow as pa
import pytest

from lightdata.execute.arena import Arena, ArenaView, stream_size
from lightdata.types.image import fixed_images

BATCH = pa.record_batch({"image": fixed_images(np.ones((64, 224, 224, 3), np.uint8), "RGB")})


def through_arena():
    arena = Arena(64 << 20)
    view = ArenaView(os.dup(arena.fd))

    def move():
        slot = arena.write(BATCH, stream_size(BATCH))
        batch = view.read(*slot)
        rows = batch.num_rows
        del batch
        arena.release(view.take_freed())
        return rows

    return move


def through_pickle():
    return lambda: pickle.loads(pickle.dumps(BATCH, protocol=5)).num_rows


@pytest.mark.parametrize("channel", [through_arena, through_pickle], ids=["arena", "pickle without pipe"])
def test_move_a_batch(benchmark, channel):
    """Write and read 9.6 MB of pixels."""
    benchmark.group = "move 64 images of 224x224"
    assert benchmark(channel()) == 64
