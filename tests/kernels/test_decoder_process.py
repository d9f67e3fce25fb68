"""A decoder in another process: what it says is taken whole, and its end costs one file and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

import lightdata as ld
from lightdata.errors import DecodeError
from lightdata.kernels import tfio_decoder
from lightdata.kernels.decoder_process import DecoderProcess

posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in is a script that the system runs")

STAND_IN = """#!{python}
# An interpreter that, whatever script it is given, does what the bytes of a file tell it to.
import json, os, signal, sys, threading, time
import queue

def say(answer, content=b""):
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\\n" + content)
    sys.stdout.buffer.flush()

def listen(requests):
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        requests.put((request, sys.stdin.buffer.read(request["nbytes"])))
    os._exit(0)

requests = queue.SimpleQueue()
threading.Thread(target=listen, args=(requests,), daemon=True).start()
say({{"ready": True}})
while True:
    request, content = requests.get()
    what = content[11:].decode()
    if what == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "leave":
        os._exit(3)
    elif what == "hang":
        time.sleep(1000)
    elif what == "refuse":
        say({{"error": "not today"}})
    elif what == "half":
        say({{"shape": [1, 2, 2], "dtype": "uint8"}}, b"ab")
        os._exit(0)
    elif what == "large":
        say({{"shape": [1, 50000, 50000], "dtype": "uint8"}})
    elif what == "noise":
        sys.stdout.buffer.write(b"hello\\n")
        sys.stdout.buffer.flush()
    elif what == "pid":
        say({{"shape": [1, 1, 1], "dtype": "int32"}}, os.getpid().to_bytes(4, sys.byteorder))
    elif what == "request":
        told = json.dumps(request).encode()
        say({{"shape": [1, 1, len(told)], "dtype": "uint8"}}, told)
    else:
        frames = 2 if request["every_frame"] else 1
        say({{"shape": [frames, 1, len(what)], "dtype": "uint8"}}, what.encode() * frames)
"""
MAGIC = b"#?RADIANCE\n"


@pytest.fixture
def python(tmp_path):
    """Give an executable that speaks the protocol."""
    path = tmp_path / "stand-in"
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def decoder(python):
    """Give a decoder that is ended after the test."""
    decoder = DecoderProcess(python)
    yield decoder
    decoder.close()


def decode(decoder, what, *, every_frame=False, timeout_s=60.0):
    return decoder.decode(MAGIC + what.encode(), "hdr", every_frame=every_frame, timeout_s=timeout_s, max_pixels=10_000)


def pid_of(decoder):
    return int(decode(decoder, "pid").item())


def is_gone(pid):
    """Wait until a process that is no child of ours has ended."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        threading.Event().wait(0.05)
    os.kill(pid, signal.SIGKILL)
    return False


@posix
def test_pixels_come_back(decoder):
    """The answer is an array of the shape and dtype that were said, of one frame or of all."""
    assert decode(decoder, "abc").tolist() == [[[97, 98, 99]]]
    assert decode(decoder, "abc", every_frame=True).shape == (2, 1, 3)
    told = json.loads(decode(decoder, "request").tobytes())
    assert told == {"kind": "hdr", "every_frame": False, "nbytes": len(MAGIC) + len("request")}


@posix
def test_one_process_answers_until_it_dies(decoder):
    """A refusal keeps the process; a death starts another for the next file."""
    first = pid_of(decoder)
    with pytest.raises(DecodeError, match=r"^not today$"):
        decode(decoder, "refuse")
    assert pid_of(decoder) == first
    with pytest.raises(DecodeError, match=r"^the decoder died with SIGSEGV while it decoded this file$"):
        decode(decoder, "die")
    second = pid_of(decoder)
    assert second != first
    os.kill(second, signal.SIGKILL)
    os.waitid(os.P_PID, second, os.WEXITED | os.WNOWAIT)
    assert decode(decoder, "x").shape == (1, 1, 1)  # one that died while nobody asked costs nothing


@posix
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("leave", "ended with exit status 3"),
        ("half", "ended with exit status 0"),
        ("large", "50000x50000 pixels are more than max_image_pixels"),
        ("noise", r"is no Python interpreter: it says b'hello\\n'"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(decoder, what, words):
    """What ends early, is too large or makes no sense is one error, and nothing of it is left for the next file."""
    with pytest.raises(DecodeError, match=words):
        decode(decoder, what)
    assert decode(decoder, "next").tobytes() == b"next"


@posix
def test_a_hang_is_ended(decoder):
    """A file that takes too long is an error that says how long, and its process is gone."""
    pid = pid_of(decoder)
    with pytest.raises(DecodeError, match=r"took longer than 0\.2 s and was ended while it decoded"):
        decode(decoder, "hang", timeout_s=0.2)
    assert is_gone(pid)
    assert pid_of(decoder) != pid


@posix
def test_threads_take_turns(decoder):
    """Threads that ask at the same time each get the answer to their own question."""
    found = {}

    def ask(word):
        found[word] = decode(decoder, word).tobytes().decode()

    threads = [threading.Thread(target=ask, args=(f"word {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {word: word for word in found}
    assert len(found) == 8


def test_an_interpreter_that_cannot_start_is_an_error(tmp_path):
    """What is missing, or no interpreter, is an error of the file that says so."""
    with pytest.raises(DecodeError, match="cannot be started"):
        decode(DecoderProcess(str(tmp_path / "none")), "x")
    with pytest.raises(DecodeError, match="cannot load tensorflow-io: ModuleNotFoundError"):
        decode(DecoderProcess(sys.executable), "x")


@posix
def test_a_program_that_is_no_interpreter_is_an_error(tmp_path):
    """A program that says other things is told apart from a decoder that died."""
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\necho usage: program\n")
    path.chmod(0o755)
    with pytest.raises(DecodeError, match="is no Python interpreter: it says b'usage: program"):
        decode(DecoderProcess(str(path)), "x")
    path.write_text("#!/bin/sh\nexit 7\n")
    with pytest.raises(DecodeError, match="ended with exit status 7 while it started"):
        decode(DecoderProcess(str(path)), "x")


def test_the_script_stands_alone():
    """The script that the other interpreter runs imports nothing of this package, and is valid for Python 3.9."""
    import ast

    tree = ast.parse(Path(tfio_decoder.__file__).read_text(), feature_version=(3, 9))
    imported = [one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
    imported += [alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names]
    assert not [name for name in imported if name.startswith("lightdata")]


@pytest.fixture
def configured(python):
    """Let queries use the stand-in."""
    before = ld.config()
    yield lambda **more: ld.config(decoder_python=python, progress=False, **more)
    ld.config(
        decoder_python=before.decoder_python,
        decoder_timeout_s=before.decoder_timeout_s,
        workers=before.workers,
        progress=before.progress,
    )


@posix
@pytest.mark.parametrize("workers", [0, 2])
def test_a_crash_and_a_hang_cost_a_row_each(tmp_path, configured, workers):
    """Among files of which some end the decoder, each of those is one row, in workers as in the calling process."""
    configured(workers=workers, decoder_timeout_s=5)
    folder = tmp_path / "files"
    folder.mkdir()
    words = ["ok"] * 70
    words[7] = words[27] = words[47] = "die"
    words[9], words[42] = "refuse", "hang"
    for number, word in enumerate(words):
        (folder / f"{number:02}.hdr").write_bytes(MAGIC + word.encode())
    ds = ld.read_images(folder, file_extensions="hdr", on_error="null")
    rows = ds.take_all()
    assert [row["image"] is not None for row in rows] == [word == "ok" for word in words]
    assert rows[0]["image"].tobytes() == b"ok"


SCRIPT = """
import sys, time
import lightdata as ld
ld.config(decoder_python=sys.argv[1], workers=int(sys.argv[3]), progress=False)
rows = ld.read_images(sys.argv[2], file_extensions="hdr").iter_rows()
for _ in range(int(sys.argv[4])):
    print(next(rows)["image"].item(), flush=True)
if sys.argv[5] == "end":
    del rows
elif sys.argv[5] == "hang":
    next(rows)
else:
    time.sleep(60)
"""


def started(tmp_path, python, words, workers, then, taken):
    """Run a script that prints the process ids of decoders; give it and what it printed."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number, word in enumerate(words):
        (folder / f"{number:03}.hdr").write_bytes(MAGIC + word.encode())
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), python, str(folder), str(workers), str(taken), then],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return process, {int(process.stdout.readline()) for _ in range(taken)}


@posix
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("how", ["end", "interrupt", "kill", "kill while it hangs", "interrupt while it hangs"])
def test_no_decoder_outlives_its_process(tmp_path, python, workers, how):
    """However the calling process ends, Ctrl-C and kill -9 and a decoder at work included, no decoder is left."""
    hangs = "hangs" in how
    words = ["pid"] * (64 if hangs else 100) + ["hang"] * 36 * hangs
    process, pids = started(
        tmp_path, python, words, workers, "end" if how == "end" else "hang" if hangs else "wait", 64
    )
    if how.startswith("interrupt"):
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    elif how.startswith("kill"):
        process.kill()
    try:
        _, err = process.communicate(timeout=30)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert pids
    assert [pid for pid in pids if not is_gone(pid)] == []
    if how == "end":
        assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    "setting",
    [
        {"decoder_python": "/no/such/python"},
        {"decoder_python": 3},
        {"decoder_timeout_s": 0},
        {"decoder_timeout_s": "1"},
    ],
)
def test_wrong_settings_are_refused_at_once(setting):
    """An interpreter that is not there and a time that is none are refused by their names."""
    with pytest.raises(ValueError, match=next(iter(setting))):
        ld.config(**setting)


def test_an_interpreter_is_found_by_its_name():
    """A name is looked up as a shell would; a link to an interpreter stays one, for it names the environment."""
    before = ld.config().decoder_python
    try:
        assert ld.config(decoder_python=Path(sys.executable)).decoder_python == sys.executable
    finally:
        ld.config(decoder_python=before)
