"""Images inside zip and tar archives."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.dataset.run import executed_by
from lightdata.execute.inline import InlineExecutor

NAMES = [f"cats/{number:02d}.png" for number in range(70)]


def content(number):
    out = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), number, np.uint8)).save(out, "PNG")
    return out.getvalue()


def add(archive, name, data):
    if isinstance(archive, zipfile.ZipFile):
        archive.writestr(name, data)
    else:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


OPENED = {
    "a.zip": lambda path: zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED),
    "stored.ZIP": lambda path: zipfile.ZipFile(path, "w"),
    "a.tar": lambda path: tarfile.TarFile.open(path, "w"),
    "a.tar.gz": lambda path: tarfile.TarFile.open(path, "w:gz"),
    "a.tgz": lambda path: tarfile.TarFile.open(path, "w:gz", format=tarfile.PAX_FORMAT),
}


@pytest.fixture(params=OPENED)
def archive(request, tmp_path):
    """An archive of seventy images, a broken one, and files that are no images."""
    path = tmp_path / request.param
    with OPENED[request.param](path) as opened:
        for number, name in enumerate(NAMES):
            add(opened, name, content(number))
        add(opened, "cats/zz.png", b"broken")
        add(opened, "readme.txt", b"hello")
        add(opened, "__MACOSX/cats/._00.png", b"not an image")
    return path


def test_images_of_an_archive_are_rows(archive):
    """Each image inside is a row, with a path that names archive and member; a broken one goes as on_error says."""
    ds = ld.read_images(archive, include_paths=True, on_error="skip")
    rows = ds.take_all()
    assert [row["path"] for row in rows] == [f"{archive}::{name}" for name in NAMES]
    assert [int(row["image"][0, 0, 0]) for row in rows] == list(range(70))


def test_a_broken_member_is_named(archive):
    """The error of an image names the archive and the member, also where no path was asked for."""
    with pytest.raises(ld.DecodeError, match=r"::cats/zz\.png: decode\(image\)"):
        ld.read_images(archive).take_all()


def test_the_files_of_an_archive_are_bytes(archive):
    """read_binary_files takes every file inside but hidden ones, or those of some endings."""
    assert ld.read_binary_files(archive).count() == 72
    assert ld.read_binary_files(archive, file_extensions=["txt"]).take_all() == [{"bytes": b"hello"}]


def test_paths_alone_unpack_nothing(tmp_path):
    """A query for paths reads the list of a zip and none of its members."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", content(0))
    ds = ld.read_images(tmp_path / "a.zip", include_paths=True).select("path")
    assert len(ds.take_all()) == 1
    assert ds.stats().bytes_read == 0


def test_archives_and_files_are_read_apart(archive, tmp_path):
    """Archives beside plain files in one call are refused with what to do instead; several archives are not."""
    Image.new("L", (2, 2)).save(tmp_path / "b.png")
    with pytest.raises(ld.ArgumentError, match=r"ld\.concat"):
        ld.read_images([archive, tmp_path / "b.png"])
    twice = tmp_path / f"again{archive.name}"
    twice.write_bytes(archive.read_bytes())
    assert len(ld.read_images([archive, twice], on_error="skip").take_all()) == 140


def test_an_archive_of_another_machine_is_read_by_ranges():
    """A zip behind a URL is read member by member."""
    import fsspec

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", content(number))
    fsspec.filesystem("memory").pipe("/archives/a.zip", out.getvalue())
    with executed_by(lambda _, log: InlineExecutor(log)):  # this filesystem is in this process alone
        rows = ld.read_images("memory://archives/a.zip", include_paths=True).take_all()
    assert [row["path"] for row in rows] == [f"memory:///archives/a.zip::{number}.png" for number in range(3)]


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_nulls_say_what_they_stand_for(tmp_path, name):
    """A row of nulls has the path of the file that is lost, or of the archive where the rest of that is."""
    for number in range(2):
        with OPENED[name](tmp_path / f"{number}{name}") as opened:
            for file in "bc":
                add(opened, f"{file}.png", content(0))
    damaged = bytearray((tmp_path / f"1{name}").read_bytes())
    damaged[damaged.rindex(b"PK\3\4") + 45 if name == "a.zip" else 1024 + 148] ^= 0xFF
    (tmp_path / f"1{name}").write_bytes(damaged)
    paths = [tmp_path / f"{number}{name}" for number in range(2)]
    query = ld.read_images(paths, include_paths=True, on_error="null")
    rows = query.take_all()
    lost = [row["path"] for row in rows if row["image"] is None]
    assert lost == query.errors()["uri"].to_list()
    assert lost == [f"{paths[1]}::c.png" if name == "a.zip" else str(paths[1])]
    assert ld.read_images(paths, include_paths=True, on_error="null").select("path").take_all() == [
        {"path": row["path"]} for row in rows
    ]


def test_a_file_whose_name_is_no_text_is_an_error_of_its_own(tmp_path):
    """A tar may name a file in an encoding that nobody knows; the files around it are read."""
    with OPENED["a.tar"](tmp_path / "a.tar") as opened:
        for name in ("a.png", "caf\udce9.png", "b.png"):
            add(opened, name, content(0))
    with pytest.raises(ld.DecodeError, match=r"a\.tar.*'caf\\udce9\.png' is not text"):
        ld.read_images(tmp_path / "a.tar").take_all()
    query = ld.read_images(tmp_path / "a.tar", include_paths=True, on_error="skip")
    assert [row["path"].rpartition("::")[2] for row in query.take_all()] == ["a.png", "b.png"]
    assert query.errors()["code"].to_list() == ["decode_failed"]
