"""Write the files under ``data`` with the library named on the command line, each in an environment of its own.

``python tests/interop/environments.py --files`` runs this for all of them. The version that wrote is kept beside the
files, in ``versions.txt``.
"""

import gzip
import io
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rows

DATA = Path(__file__).parent / "data"
COUNT = 5


def huggingface(out):
    """Write Parquet with images, labels, tensors and nested columns, whole and sharded."""
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(rows.LABELS)),
            "text": datasets.Value("string"),
            "score": datasets.Value("float32"),
            "matrix": datasets.Array2D((3, 4), "float32"),
            "boxes": datasets.List(datasets.List(datasets.Value("float32"), length=2)),
            "pages": datasets.List(datasets.Image()),
        }
    )
    columns = {
        "image": [{"bytes": rows.png(n), "path": f"{n}.png"} for n in range(COUNT - 1)] + [None],
        "label": [n % 3 for n in range(COUNT)],
        "text": rows.TEXTS,
        "score": rows.SCORES,
        "matrix": list(rows.MATRICES),
        "boxes": rows.BOXES,
        "pages": [[{"bytes": rows.png(n), "path": None}] * (n % 3) for n in range(COUNT)],
    }
    dataset = datasets.Dataset.from_dict(columns, features=features)
    dataset.to_parquet(out / "images.parquet")
    return ["datasets", "pyarrow"]


def ray(out):
    """Write Parquet with tensors, images as tensors and as bytes, TFRecords, NumPy and image files."""
    import ray

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    table = [
        {
            "id": number,
            "matrix": rows.MATRICES[number],
            "ragged": rows.RAGGED[number],
            "text": rows.TEXTS[number],
            "bytes": rows.png(number),
        }
        for number in range(COUNT)
    ]
    dataset = ray.data.from_items(table, override_num_blocks=1)
    _one_file(dataset.write_parquet, out / "tensors.parquet")
    pictures = ray.data.from_numpy(np.stack([rows.pixels(0)] * 3)).rename_columns({"data": "image"})
    _one_file(pictures.write_parquet, out / "pictures.parquet")
    pictures.write_images(str(out / "pictures"), column="image")
    for number, file in enumerate(sorted((out / "pictures").iterdir())):
        file.rename(file.with_name(f"{number}.png"))
    plain = dataset.select_columns(["id", "text", "bytes"])
    _one_file(plain.write_tfrecords, out / "plain.tfrecords")
    _one_file(lambda path: dataset.select_columns(["matrix"]).write_numpy(path, column="matrix"), out / "matrix.npy")
    return ["ray", "pyarrow"]


def _one_file(write, path):
    """Write a folder of one file, and keep the file."""
    with TemporaryDirectory() as folder:
        write(folder)
        (file,) = [one for one in Path(folder).rglob("*") if one.is_file()]
        shutil.copy(file, path)


def tensorflow(out):
    """Write TFRecord files of examples, plain and compressed, and of sequence examples."""
    import tensorflow as tf

    def feature(values):
        match values[0]:
            case bytes():
                return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
            case float():
                return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    def example(number):
        found = {
            "image": feature([rows.png(number)]),
            "label": feature([number % 3]),
            "score": feature([rows.SCORES[number]]),
            "text": feature([rows.TEXTS[number].encode()]),
            "ragged": feature(rows.RAGGED[number].reshape(-1).tolist()),
            "tensor": feature([tf.io.serialize_tensor(rows.MATRICES[number]).numpy()]),
            "empty": tf.train.Feature(),
        }
        if number % 2:
            found["sometimes"] = feature([float(number)])
        return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString()

    def sequence(number):
        frames = tf.train.FeatureList(feature=[feature([rows.png(n)]) for n in range(number % 3)])
        lists = tf.train.FeatureLists(feature_list={"frames": frames})
        context = tf.train.Features(feature={"label": feature([number % 3])})
        return tf.train.SequenceExample(context=context, feature_lists=lists).SerializeToString()

    for name, make, compression in (
        ("examples.tfrecord", example, ""),
        ("examples.tfrecord.gz", example, "GZIP"),
        ("examples.tfrecord.zlib", example, "ZLIB"),
        ("sequences.tfrecord", sequence, ""),
    ):
        with tf.io.TFRecordWriter(str(out / name), compression) as writer:
            for number in range(COUNT):
                writer.write(make(number))
    with tf.io.TFRecordWriter(str(out / "none.tfrecord")):
        pass
    return ["tensorflow-cpu"]


def numpy(out):
    """Write arrays in every version of the format, in both byte and axis orders, and archives."""
    matrices = rows.MATRICES
    for number in (1, 2, 3):
        with (out / f"version_{number}.npy").open("wb") as file:
            np.lib.format.write_array(file, matrices, version=(number, 0))
    np.save(out / "fortran.npy", np.asfortranarray(matrices))
    np.save(out / "big_endian.npy", matrices.astype(">f4"))
    np.save(out / "numbers.npy", np.array(rows.NUMBERS))
    np.save(out / "half.npy", matrices.astype(np.float16))
    np.save(out / "flags.npy", np.arange(COUNT) % 2 == 0)
    np.save(out / "texts.npy", np.array(rows.TEXTS))
    np.save(out / "pickled.npy", np.array([1, "a", None], object), allow_pickle=True)
    fields = [("id", "<i4"), ("score", "<f4")]
    np.save(out / "fields.npy", np.array(list(zip(range(COUNT), rows.SCORES, strict=True)), fields))
    # As Python 2 wrote it: lengths are longs, and the header is padded to 16 bytes.
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (5L, 3L, 4L), }"
    header += b" " * (-(len(header) + 11) % 16) + b"\n"
    head = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (out / "python_2.npy").write_bytes(head + matrices.tobytes())
    np.savez(out / "stored.npz", images=matrices, labels=np.arange(COUNT))
    np.savez_compressed(out / "deflated.npz", images=matrices, labels=np.arange(COUNT))
    buffer = io.BytesIO()
    np.save(buffer, matrices)
    (out / "compressed.npy.gz").write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return ["numpy"]


def daft(out):
    """Write Parquet with files' bytes, and with whatever of images and tensors Daft can write."""
    import daft

    table = {"id": list(range(COUNT)), "bytes": [rows.png(n) for n in range(COUNT)], "matrix": list(rows.MATRICES)}
    kind = daft.DataType.tensor(daft.DataType.float32(), (3, 4))
    frame = daft.from_pydict(table).with_column("matrix", daft.col("matrix").cast(kind))
    pictures = {"image": [rows.jpeg(n) for n in range(COUNT)]}
    images = daft.from_pydict(pictures).with_column("image", daft.col("image").decode_image(mode="RGB"))
    _one_file(frame.write_parquet, out / "tensors.parquet")
    _one_file(images.write_parquet, out / "images.parquet")
    return ["daft", "pyarrow"]


def main(name):
    """Write the files of one library."""
    out = DATA / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    packages = globals()[name](out)
    (out / "versions.txt").write_text("".join(f"{one} {version(one)}\n" for one in packages))


if __name__ == "__main__":
    main(sys.argv[1])
