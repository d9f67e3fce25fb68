"""Files written here, read by Ray Data, where it is installed: environments.py runs this with it."""

import numpy as np
import pytest
import rows

import lightdata as ld

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.filterwarnings("default")  # Ray warns of settings of its own


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_parquet_written_here_is_read_by_ray(tmp_path):
    """Numbers and texts are Ray's own, and tensors of one shape are its tensors."""
    table = {"id": np.arange(5), "matrix": rows.MATRICES, "score": np.array(rows.SCORES)}
    ld.from_numpy(table).write_parquet(tmp_path / "out")
    found = ray.data.read_parquet(str(tmp_path / "out")).take_all()
    for number, row in enumerate(found):
        assert (row["id"], row["score"]) == (number, rows.SCORES[number])
        np.testing.assert_array_equal(row["matrix"], rows.MATRICES[number])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_files_written_here_are_read_by_ray(tmp_path):
    """Image and NumPy files are read with the pixels and values that were written."""
    for number in range(3):
        (tmp_path / "in").mkdir(exist_ok=True)
        rows.picture(0).save(tmp_path / "in" / f"{number}.png")
    images = ld.read_images(tmp_path / "in")
    images.write_images(tmp_path / "out", "image")
    for row in ray.data.read_images(str(tmp_path / "out")).take_all():
        np.testing.assert_array_equal(row["image"], rows.pixels(0))
    ld.from_numpy(rows.MATRICES).write_numpy(tmp_path / "arrays", "data")
    found = ray.data.read_numpy(str(tmp_path / "arrays")).take_all()
    np.testing.assert_array_equal([row["data"] for row in found], rows.MATRICES)
