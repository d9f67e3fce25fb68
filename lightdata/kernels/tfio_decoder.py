"""Decodes DICOM, OpenEXR and Radiance HDR with tensorflow-io, for :mod:`lightdata.kernels.decoder_process`.

Run by the interpreter of another environment, so it imports nothing of this package and holds to Python 3.9. It reads a
line of JSON and a file from standard input, and writes a line of JSON and the pixels, until standard input closes.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import tempfile
import threading
from typing import Any, BinaryIO

# Elements of DICOM that change what tensorflow-io gives, and the values that leave pixels as they are stored.
_STORED_AS_IS = {
    0x00280103: ("signed pixels", ("", "0")),  # PixelRepresentation
    0x00281052: ("a rescale intercept", ("", "0")),
    0x00281053: ("a rescale slope", ("", "1")),
}
_INVERTED = (0x00280004, "MONOCHROME1")  # PhotometricInterpretation


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
    for descriptor in (1, 2):  # libraries write to both, and DCMTK says on one that a file is cut
        os.dup2(log.fileno(), descriptor)
    requests: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    try:
        import tensorflow as tf  # noqa: PLC0415 - takes ten seconds, and may not be there
        import tensorflow_io as tfio  # noqa: PLC0415
    except Exception as error:  # noqa: BLE001 - said by whoever asked
        _say(answers, {"error": f"decoder_python cannot load tensorflow-io: {type(error).__name__}: {error}"})
        return
    _say(answers, {"ready": True})
    while True:
        request, contents = requests.get()
        try:
            pixels = _decoded(tf, tfio, request, contents)
            _refuse_logged(log)
        except Exception as error:  # noqa: BLE001 - said by whoever asked
            _say(answers, {"error": _words(error)})
        else:
            _say(answers, {"shape": pixels.shape, "dtype": str(pixels.dtype)}, pixels.tobytes())
        log.seek(0)
        log.truncate()


def _listen(requests: BinaryIO, to: queue.SimpleQueue[tuple[dict[str, Any], bytes]]) -> None:
    """Take requests while the other thread works, and end this process when there will be no more."""
    while line := requests.readline():
        request = json.loads(line)
        to.put((request, requests.read(request["nbytes"])))
    os._exit(0)


def _say(answers: BinaryIO, answer: dict[str, Any], pixels: bytes = b"") -> None:
    answers.write(json.dumps(answer).encode() + b"\n" + pixels)
    answers.flush()


def _decoded(tf: Any, tfio: Any, request: dict[str, Any], contents: bytes) -> Any:
    if request["kind"] == "dicom":
        frames = _dicom(tf, tfio, contents)
    elif request["kind"] == "exr":
        frames = _exr(tf, tfio, contents)[None]
    else:
        frames = _hdr(tfio, contents)[None]
    if frames.shape[-1] == 1:
        frames = frames[..., 0]
    return frames if request["every_frame"] else frames[:1]


def _dicom(tf: Any, tfio: Any, contents: bytes) -> Any:
    tags = [*_STORED_AS_IS, _INVERTED[0]]
    *found, photometric = tfio.image.decode_dicom_data(contents, tf.constant(tags, tf.uint32)).numpy().tolist()
    odd = [
        what
        for value, (what, plain) in zip(found, _STORED_AS_IS.values())  # noqa: B905 - Python 3.9
        if not _is_plain(value.decode(), plain)
    ]
    if photometric.decode().strip() == _INVERTED[1]:
        odd.append("inverted grey (MONOCHROME1)")
    if odd:
        raise ValueError(
            f"a DICOM file with {', '.join(odd)}, whose pixels tensorflow-io changes; use pydicom in a map"
        )
    try:
        pixels = tfio.image.decode_dicom_image(contents, on_error="strict", scale="preserve", dtype=tf.uint8)
    except tf.errors.InvalidArgumentError:  # more than 8 bits
        pixels = tfio.image.decode_dicom_image(contents, on_error="strict", scale="preserve", dtype=tf.uint16)
    return pixels.numpy()


def _is_plain(value: str, plain: tuple[str, str]) -> bool:
    text = value.strip()
    try:
        return text in plain or float(text) == float(plain[1])
    except ValueError:
        return False


def _exr(tf: Any, tfio: Any, contents: bytes) -> Any:
    import numpy as np  # noqa: PLC0415 - the other environment's

    _, kinds, names = tfio.experimental.image.decode_exr_info(contents)
    channels = {
        name.decode(): tf.dtypes.as_dtype(int(kind))
        for name, kind in zip(names.numpy()[0], kinds.numpy()[0])  # noqa: B905 - Python 3.9
        if name
    }
    wanted = next((layout for layout in ("RGBA", "RGB", "YA", "Y") if sorted(layout) == sorted(channels)), None)
    if wanted is None and len(channels) != 1:
        raise ValueError(f"an OpenEXR file with the channels {', '.join(channels)}, which are neither grey nor RGB")
    planes = [
        tfio.experimental.image.decode_exr(contents, 0, name, channels[name]).numpy()
        for name in (wanted or list(channels))
    ]
    if planes[0].dtype != np.uint32:
        return np.stack([plane.astype(np.float32) for plane in planes], axis=-1)
    if planes[0].max(initial=0) > np.iinfo(np.int32).max:
        raise ValueError("an OpenEXR file with integers above 2^31, which no image mode holds")
    return planes[0].astype(np.int32)[..., None]


def _hdr(tfio: Any, contents: bytes) -> Any:
    pixels = tfio.experimental.image.decode_hdr(contents).numpy()
    # The decoder takes what is missing of a file for zeros; then bytes after its end change the pixels.
    longer = tfio.experimental.image.decode_hdr(contents + b"\xff" * (pixels.size + 4 * pixels.shape[0])).numpy()
    if pixels.shape != longer.shape or (pixels != longer).any():
        raise ValueError("the file is cut short")
    return pixels


def _refuse_logged(log: Any) -> None:
    """Fail where DCMTK wrote of an error, and went on with what it had."""
    log.seek(0)
    for line in log:
        if line.startswith(b"E: "):
            raise ValueError(line[3:].decode(errors="replace").strip())


def _words(error: Exception) -> str:
    words = str(getattr(error, "message", None) or error)
    return words.partition("}} ")[2].rpartition(" [Op:")[0] or words


if __name__ == "__main__":
    main()
