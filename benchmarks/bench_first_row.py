"""What does the first row of a fresh process cost, in processor time, beside what one needs by hand?"""

import subprocess
import sys

import pytest
from process_tree import children_cpu_s

PROGRAMS = {
    "lightdata": "import sys, lightdata as ld; assert ld.read_images(sys.argv[1]).take(1)",
    "by hand": """
import os, sys, numpy
from PIL import Image
with os.scandir(sys.argv[1]) as files:
    assert numpy.asarray(Image.open(min(file.path for file in files))).size
""",
    "by hand, and polars and pyarrow imported": """
import os, sys, numpy, polars, pyarrow
from PIL import Image
with os.scandir(sys.argv[1]) as files:
    assert numpy.asarray(Image.open(min(file.path for file in files))).size
""",
}


@pytest.mark.benchmark(timer=children_cpu_s)
@pytest.mark.parametrize("program", PROGRAMS)
def test_first_row(benchmark, photos, program):
    """A process that decodes the first photo of a folder, and ends: its user and system time."""
    benchmark.group = "the first row of a fresh process, processor time"
    command = [sys.executable, "-c", PROGRAMS[program], str(photos)]
    benchmark.pedantic(subprocess.run, (command,), {"check": True}, rounds=9, warmup_rounds=1)
