"""A long run takes no more of anything at its end than at its beginning."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

LONG = """
import json, os, sys
import lightdata as ld
from lightdata.execute import processes
ld.config(workers=2, progress=False)

def taken(pid):
    with open(f"/proc/{pid}/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    return [resident, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))]

seen, told, next_look = 0, [], 0
query = ld.range(ROWS).FUNCTION
for batch in query.iter_batches(batch_size=None, prefetch_batches=0):
    seen += len(batch["id"])
    if seen >= next_look:
        next_look += ROWS // 100
        pids = sorted(worker.pid for worker in processes._everyone)
        told.append([seen, len(os.listdir("/dev/shm")), [taken(os.getpid()), *map(taken, pids)]])
print(json.dumps([seen, told]))
"""

FUNCTIONS = {
    "rows": "map(lambda row: {'id': row['id']})",
    "batches": "map_batches(lambda batch: {'id': batch['id'] + 1})",
    "two stages": "map_batches(lambda batch: batch).map_batches(lambda batch: batch, batch_size=300)",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("function", "rows"), [("rows", 3_000_000), ("batches", 3_000_000), ("two stages", 10_000_000)]
)
def test_a_long_run_is_flat(function, rows):
    """Memory of the caller and its workers grows by less than 1 MB for a million rows, and nothing else does."""
    script = LONG.replace("ROWS", str(rows)).replace("FUNCTION", FUNCTIONS[function])
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seen, told = json.loads(ran.stdout)
    assert seen == rows
    later = told[len(told) // 5 :]  # what is loaded and filled at the beginning is no growth
    millions = np.array([one[0] for one in later]) / 1e6
    taken = np.array([one[2] for one in later])  # looks, processes, what is taken
    assert taken.shape[1] >= 3
    slopes = [np.polyfit(millions, resident / 1e6, 1)[0] for resident in taken[:, :, 0].T]
    assert max(slopes) < 1.0, slopes  # MB
    assert np.ptp(taken[:, :, 1:], axis=0).max() <= 2
    assert np.ptp([one[1] for one in later]) <= 2
