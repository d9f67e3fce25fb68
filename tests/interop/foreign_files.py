"""Write the DICOM, OpenEXR and Radiance HDR files under ``data/foreign``, by hand but for DICOM.

``python tests/interop/foreign_files.py`` in an environment with NumPy and pydicom (3.0.2 wrote those that are kept).
"""

import struct
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data" / "foreign"
HEIGHT, WIDTH = 5, 9


def pixels(name):
    """Give the pixels that a file holds."""
    rng = np.random.default_rng(sum(map(ord, name)))
    shape = (HEIGHT, WIDTH)
    match name:
        case "grey8" | "inverted":
            return rng.integers(0, 256, shape, np.uint8)
        case "grey16":
            return rng.integers(0, 65536, shape).astype(np.uint16)
        case "grey12":
            return rng.integers(0, 4096, shape).astype(np.uint16)
        case "signed":
            return rng.integers(-1024, 1024, shape).astype(np.int16)
        case "rgb":
            return rng.integers(0, 256, (*shape, 3), np.uint8)
        case "frames":
            return rng.integers(0, 256, (3, *shape), np.uint8)
        case "depth":
            return rng.random(shape, np.float32)
        case "colour":
            return rng.random((*shape, 3)).astype(np.float16)
        case "identity":
            return rng.integers(0, 9999, shape).astype(np.uint32)
    raise KeyError(name)


def rgbe():
    """Give the mantissas and exponents of a Radiance file."""
    stored = np.random.default_rng(9).integers(1, 256, (HEIGHT, 6, 4), np.uint8)
    stored[..., 3] = 126 + stored[..., 3] % 5
    return stored


def floats(stored):
    """Give the colours that mantissas and exponents stand for (Ward, Graphics Gems II.5)."""
    return (stored[..., :3] * np.ldexp(1.0, stored[..., 3:].astype(int) - 136)).astype(np.float32)


def radiance(stored):
    """Write Radiance HDR without run lengths, as narrow files have it."""
    size = f"-Y {stored.shape[0]} +X {stored.shape[1]}\n".encode()
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n" + size + stored.tobytes()


def exr(planes):
    """Write OpenEXR: one part of uncompressed scanlines, its channels ``{name: [H, W]}``."""
    kinds = {"uint32": 0, "float16": 1, "float32": 2}
    height, width = next(iter(planes.values())).shape
    names = sorted(planes)

    def attribute(name, kind, value):
        return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value

    channels = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3xii", kinds[str(planes[name].dtype)], 0, 1, 1) for name in names
    )
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<ii", 20000630, 2) + b"".join(
        [
            attribute("channels", "chlist", channels + b"\0"),
            attribute("compression", "compression", b"\0"),
            attribute("dataWindow", "box2i", box),
            attribute("displayWindow", "box2i", box),
            attribute("lineOrder", "lineOrder", b"\0"),
            attribute("pixelAspectRatio", "float", struct.pack("<f", 1)),
            attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
            attribute("screenWindowWidth", "float", struct.pack("<f", 1)),
            b"\0",
        ]
    )
    lines = [b"".join(planes[name][row].tobytes() for name in names) for row in range(height)]
    chunk = 8 + len(lines[0])
    offsets = [len(head) + 8 * height + row * chunk for row in range(height)]
    chunks = [struct.pack("<ii", row, len(line)) + line for row, line in enumerate(lines)]
    return head + struct.pack(f"<{height}Q", *offsets) + b"".join(chunks)


def dicom(path, values, **elements):
    """Write DICOM with pydicom, as a secondary capture."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = meta.ImplementationClassUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = Dataset()
    file.file_meta = meta
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    file.Rows, file.Columns, file.SamplesPerPixel = HEIGHT, WIDTH, 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = values.dtype.itemsize * 8
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, int(values.dtype.kind == "i")
    for name, value in elements.items():
        setattr(file, name, value)
    content = values.tobytes()
    file.PixelData = content + b"\0" * (len(content) % 2)
    file.save_as(path, enforce_file_format=True)


def write():
    """Write all files."""
    DATA.mkdir(parents=True, exist_ok=True)
    for name, elements in {
        "grey8": {},
        "grey16": {},
        "grey12": {"BitsStored": 12, "HighBit": 11, "WindowCenter": 100, "WindowWidth": 50},
        "signed": {"RescaleSlope": 1, "RescaleIntercept": -1024},
        "inverted": {"PhotometricInterpretation": "MONOCHROME1"},
        "frames": {"NumberOfFrames": 3},
        "rgb": {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"},
    }.items():
        dicom(DATA / f"{name}.dcm", pixels(name), **elements)
    colour = pixels("colour")
    for name, planes in {
        "depth": {"Z": pixels("depth")},
        "identity": {"id": pixels("identity")},
        "colour": {band: np.ascontiguousarray(colour[..., at]) for at, band in enumerate("RGB")},
        "layers": {"left.Z": pixels("depth"), "right.Z": pixels("depth")},
    }.items():
        (DATA / f"{name}.exr").write_bytes(exr(planes))
    (DATA / "colour.hdr").write_bytes(radiance(rgbe()))


if __name__ == "__main__":
    write()
