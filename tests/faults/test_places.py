"""Wherever a query is run, it works or says in one sentence what is missing; nothing hangs."""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sessions import wait_until_gone

from lightdata.errors import ExecutionError
from lightdata.execute.descriptors import check_descriptors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the places are those of Linux")

JOB = """
import os, sys, time
import lightdata as ld
ld.config(workers=2)
def function(row):
    print("seen", flush=True)
    return {"image": row["image"], "pid": os.getpid()}
query = ld.read_images(FOLDER, include_paths=True).map(function)
pids = {row["pid"] for row in query.iter_rows()}
written = query.write_parquet("out", mode="overwrite").rows
with open("told", "w") as file:
    print(len(pids), os.getpid() in pids, written, file=file)
"""
TOLD = "2 False 120\n"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Hold 120 small images whose names, and whose folder's, are not ASCII."""
    folder = tmp_path_factory.mktemp("fötös 日本")
    for number in range(120):
        Image.fromarray(np.full((6, 6, 3), number, np.uint8)).save(folder / f"ä{number:03d}.png")
    return folder


@pytest.fixture
def job(photos, tmp_path):
    """Give a script, and have it in a file, too."""
    script = JOB.replace("FOLDER", ascii(str(photos)))
    (tmp_path / "job.py").write_text(script)
    return script


def run(command, cwd, *, without=(), **how):
    """Run a command to its end, and see that it leaves no process; ``**environment`` is added, ``without`` left out."""
    environment = {**{key: value for key, value in os.environ.items() if key not in without}, **how.pop("env", {})}
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=-1, stderr=-1, text=True, start_new_session=True, **how
    ) as process:
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            wait_until_gone(process.pid, 0)
            raise
    assert wait_until_gone(process.pid) == []
    return process.returncode, out, err


def assert_works(command, cwd, **how):
    """See that the job did all."""
    code, _, err = run(command, cwd, **how)
    assert (code, err) == (0, "")
    assert (cwd / "told").read_text() == TOLD
    assert (cwd / "out" / "_SUCCESS").exists()


def limited(name, value):
    """Give what sets a limit in a process that begins."""
    import resource

    return lambda: resource.setrlimit(getattr(resource, name), (value, value))


@pytest.mark.slow
def test_a_script_from_a_pipe_and_one_from_the_command_line_work(tmp_path, job):
    """``python - < script`` and ``python -c``, whose functions are in no file."""
    with (tmp_path / "job.py").open() as file:
        assert_works([sys.executable, "-"], tmp_path, stdin=file)
    (tmp_path / "told").unlink()
    assert_works([sys.executable, "-c", job], tmp_path)


@pytest.mark.parametrize(
    "closed",
    [
        ">&- 2>&-",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")),
    ],
)
def test_a_script_whose_output_or_input_is_closed_works(tmp_path, job, closed):
    """No pipe or file of ours takes the place of an output that is closed, and what workers print there is gone."""
    assert_works(["sh", "-c", f'exec "$0" job.py {closed}', sys.executable], tmp_path)


def in_session(main, words, patience_s=20):
    """Read from a terminal until some words come."""
    found, deadline = b"", time.monotonic() + patience_s
    while words not in found and time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            found += os.read(main, 1 << 16)
    assert words in found, found
    return found.decode()


def test_a_session_at_a_terminal_works_and_is_interrupted(tmp_path, photos):
    """Functions typed in at ``python -i`` run in workers; Ctrl-C ends one query, and the next one works."""
    main, terminal = os.openpty()
    command = [
        sys.executable,
        "-i",
        "-q",
        "-c",
        "import os, time, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)",
    ]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path, start_new_session=True
    )
    os.close(terminal)

    def say(words):
        os.write(main, words.encode() + b"\n")

    in_session(main, b">>> ")
    say("import lightdata as ld; c = ld.config(workers=2)")
    say(f"ds = ld.read_images({str(photos)!a}).map(lambda row: time.sleep(0.02) or {{'pid': os.getpid()}})")
    say("'rows', ds.map(lambda row: {'is_here': row['pid'] == os.getppid()}).take_all()[-1], 'are' + ' there'")
    assert "{'is_here': False}" in in_session(main, b"are there")
    say("ds.take_all(); print('to' + ' the end')")
    time.sleep(0.5)
    os.write(main, b"\x03")
    assert "the end" not in in_session(main, b"KeyboardInterrupt").split("KeyboardInterrupt")[1]
    say("len(ds.take_all()), 'once' + ' more'")
    assert "120" in in_session(main, b"once more")
    say("exit()")
    assert process.wait(10) == 0
    os.close(main)
    assert wait_until_gone(process.pid) == []


THREADED = {
    "a thread": "import threading\nt = threading.Thread(target=exec, args=(job, {})); t.start(); t.join()",
    "asyncio": "import asyncio\nasyncio.run(asyncio.to_thread(exec, job, {}))",
}

CHILDREN = """
def go(job):
    exec(job, {})

if __name__ == "__main__":
    import multiprocessing, os, sys
    job = open("job.py").read()
    if HOW == "fork":
        exec(job, {})  # workers are there already
        os.remove("told")
    child = multiprocessing.get_context(HOW).Process(target=go, args=(job,), daemon=DAEMON)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", THREADED)
def test_another_thread_than_the_main_one_works(tmp_path, job, how):
    """While the main thread waits, another one runs the query."""
    assert_works([sys.executable, "-c", f"job = open('job.py').read()\n{THREADED[how]}"], tmp_path)


def test_a_process_that_was_forked_off_writes(tmp_path):
    """It waits for the disk with threads of its own: those of its parent are not there."""
    script = (
        "import os, signal, lightdata as ld\n"
        "ld.config(workers=0)\n"
        "ld.range(3).write_parquet('parents')\n"
        "pid = os.fork()\n"
        "signal.alarm(20)\n"
        "ld.range(3).write_parquet(f'{pid > 0}')\n"
        "if pid: assert os.waitpid(pid, 0)[1] == 0\n"
    )
    assert run([sys.executable, "-c", script], tmp_path) == (0, "", "")
    assert all((tmp_path / name / "_SUCCESS").exists() for name in ("parents", "True", "False"))


@pytest.mark.slow
@pytest.mark.parametrize("daemon", [False, True])
@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_a_child_process_works(tmp_path, job, how, daemon):
    """Children of multiprocessing have workers of their own, daemons too, and one forked off after a query."""
    (tmp_path / "main.py").write_text(CHILDREN.replace("HOW", repr(how)).replace("DAEMON", str(daemon)))
    assert_works([sys.executable, "main.py"], tmp_path)


@pytest.mark.parametrize("files", [64, pytest.param(32, marks=pytest.mark.slow)])
def test_few_file_descriptors_are_enough(tmp_path, job, files):
    """A query with two workers needs no more than 64 open files at once."""
    assert_works([sys.executable, "job.py"], tmp_path, preexec_fn=limited("RLIMIT_NOFILE", files))


@pytest.mark.parametrize("files", [12, *(pytest.param(one, marks=pytest.mark.slow) for one in (8, 10, 14))])
def test_too_few_file_descriptors_are_told_by_name(tmp_path, job, files):
    """What would run out of them half-way is refused, with the limit and what to do; it does not hang."""
    code, _, err = run([sys.executable, "job.py"], tmp_path, preexec_fn=limited("RLIMIT_NOFILE", files))
    assert code == 1
    assert f"file descriptors more, and this process may have {files} in all" in err.splitlines()[-1]


def test_descriptors_are_left_as_they_were():
    """Looking for room takes none, whether it is there or not."""
    before = os.listdir("/proc/self/fd")
    check_descriptors(5, "a test")
    with pytest.raises(ExecutionError, match="a test takes 100000000 file descriptors more"):
        check_descriptors(100_000_000, "a test")
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("without", "environment"),
    [
        (["HOME"], {}),
        (["TMPDIR"], {"TMPDIR": "/no/such/folder"}),
        ([], {"LC_ALL": "C", "LANG": "C"}),
        (["LANG", "LC_ALL"], {}),
        (["PATH"], {}),
    ],
    ids=["no HOME", "TMPDIR missing", "LANG=C", "no LANG", "no PATH"],
)
def test_a_bare_environment_works(tmp_path, job, without, environment):
    """No home, no temporary folder, no locale: files of whatever name are read all the same."""
    assert_works([sys.executable, "job.py"], tmp_path, without=without, env=environment)


@pytest.mark.slow
def test_names_that_an_ascii_locale_cannot_say_are_told(tmp_path, job):
    """Where Python is told to take names for ASCII, those that are not are an error with their path."""
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, _, err = run([sys.executable, "job.py"], tmp_path, env=environment)
    assert code == 1
    assert "lightdata.errors.ReadError" in err.splitlines()[-1]
    assert "'ascii' codec can't encode" in err.splitlines()[-1]


@pytest.mark.slow
def test_a_working_directory_that_is_gone_matters_to_relative_paths_alone(tmp_path, job):
    """A query with full paths runs in a folder that was removed meanwhile."""
    (tmp_path / "gone").mkdir()
    script = job.replace('"out"', repr(str(tmp_path / "out"))).replace('"told"', repr(str(tmp_path / "told")))
    command = ["sh", "-c", 'rmdir ../gone && exec "$0" -c "$1"', sys.executable, script]
    code, _, err = run(command, tmp_path / "gone")
    assert (code, err) == (0, "")
    assert (tmp_path / "told").read_text() == TOLD


@pytest.fixture
def nobody(photos, tmp_path):
    """Give the words that run a script as a user who may do nothing, where tests run as root."""
    setpriv = shutil.which("setpriv")
    if os.getuid() or setpriv is None:
        pytest.skip("only root can be another user")
    uid = 60_000 + os.getpid() % 5000  # nobody else's: limits of processes count all of a user
    words = [setpriv, f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    tries = "import os, sys, lightdata, numpy, pyarrow; sys.exit(not os.access(sys.executable, os.X_OK))"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}"):
        command = [*words, python, "-c", tries]
        if os.path.exists(python) and not subprocess.run(command, capture_output=True, env=elsewhere()).returncode:
            break
    else:
        pytest.skip("the interpreters here are root's alone")
    for folder in (photos, *photos.parents[:3], tmp_path):
        folder.chmod(0o777)
    return [*words, python]


def elsewhere():
    """Let another interpreter of this version find what this one has."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.slow
@pytest.mark.parametrize("most", [3, 4, 5, 6, 8, 40])
def test_a_tight_limit_of_processes_works_or_is_told(tmp_path, job, nobody, most):
    """With ``ulimit -u`` the query ends, well or with an error, and never hangs."""
    code, _, err = run([*nobody, "job.py"], tmp_path, preexec_fn=limited("RLIMIT_NPROC", most), env=elsewhere())
    assert code == 0 or "Error" in err or "failed to spawn" in err
    assert code == 0 or most < 40


@pytest.mark.slow
def test_a_temporary_folder_that_can_only_be_read_works(tmp_path, job, nobody):
    """A query without anything to spill needs no temporary folder."""
    (tmp_path / "tmp").mkdir(mode=0o555)
    assert_works([*nobody, "job.py"], tmp_path, env={**elsewhere(), "TMPDIR": str(tmp_path / "tmp")})


@pytest.mark.slow
def test_a_working_directory_that_can_only_be_read_works(tmp_path, job, nobody):
    """Nothing is written but to the target."""
    (tmp_path / "fixed").mkdir(mode=0o555)
    script = job.replace('"out"', repr(str(tmp_path / "out"))).replace('"told"', repr(str(tmp_path / "told")))
    code, _, err = run([*nobody, "-c", script], tmp_path / "fixed", env=elsewhere())
    assert (code, err) == (0, "")
    assert (tmp_path / "told").read_text() == TOLD


@pytest.mark.slow
@pytest.mark.parametrize("shared", ["size=64m", "size=1m", "ro", None], ids=["64 MB", "1 MB", "read-only", "none"])
def test_little_shared_memory_is_enough(tmp_path, job, shared):
    """The shared memory of a container may be small, read-only or not there: large batches pass by other ways."""
    unshare = shutil.which("unshare")
    make = f"mount -t tmpfs -o {shared} none /dev/shm"
    if shared is None:
        make = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9"
    if unshare is None or subprocess.run([unshare, "-m", "sh", "-c", make], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    big = "ld.range(64).map(lambda row: {'x': np.full((4 << 20,), row['id'], np.uint8)}).iter_rows()"
    (tmp_path / "job.py").write_text(
        f"import numpy as np\n{job}\nassert sum(int(row['x'][9]) for row in {big}) == 2016"
    )
    assert_works([unshare, "-m", "sh", "-c", f'{make} && exec "$0" job.py', sys.executable], tmp_path)


@pytest.mark.slow
def test_no_place_for_temporary_files_is_told_by_name(tmp_path, job):
    """A target elsewhere, which is written to by way of temporary files, says that there is no place for them."""
    script = (
        "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/no/such/folder']\n"
        "import lightdata as ld\nld.range(3).write_parquet('memory://bucket/x')"
    )
    code, _, err = run([sys.executable, "-c", script], tmp_path)
    assert code == 1
    assert "'memory://bucket/x' is written to by way of temporary files" in err
    assert "/no/such/folder" in err.splitlines()[-1]


def test_what_is_no_interpreter_is_told(tmp_path):
    """Workers that cannot be started at all are an error that says so, with what was tried."""
    script = (
        "import multiprocessing, lightdata as ld\n"
        "multiprocessing.set_executable('/no/such/python')\n"
        "ld.config(workers=2)\n"
        "ld.range(100_000).map(lambda row: row).take_all()"
    )
    code, _, err = run([sys.executable, "-c", script], Path(tmp_path))
    assert code == 1
    assert "cannot start worker processes, as '/no/such/python': No such file or directory" in err.splitlines()[-1]
