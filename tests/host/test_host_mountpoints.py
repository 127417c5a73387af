"""The file system of a path, by a table of mounts. No file system is asked."""

from pathlib import Path

import pytest

from supervisor.host import mountpoints
from supervisor.host.mountpoints import Mounted, Mounts

TABLE = """\
20 1 254:0 / / rw - ext4 /dev/vda rw
21 20 0:20 / {dir}/run rw - tmpfs tmpfs rw
22 20 0:39 / {dir}/far rw - fuse server rw
23 22 0:40 / {dir}/far/there rw - nfs4 host:/x rw
24 20 254:0 /bound {dir}/bound rw - ext4 /dev/vda rw
25 21 0:41 / {dir}/run/a\\040b rw - fuse server rw
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mounts:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.format(dir=tmp_path))
    monkeypatch.setattr(mountpoints, "MOUNTINFO", str(table))
    (tmp_path / "link").symlink_to("far/x")
    (tmp_path / "around").symlink_to(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "up").mkdir()
    (tmp_path / "up/back").symlink_to("../far")
    return Mounts()


@pytest.mark.parametrize(
    ("path", "device", "point"),
    [
        ("log/web.log", "", ""),
        ("far", "0:39", "far"),
        ("far/web.log", "0:39", "far"),
        ("far/../web.log", "0:39", "far"),
        ("up/../far/x", "0:39", "far"),
        ("farther/web.log", "", ""),
        ("far/there/web.log", "0:39", "far"),
        ("run/web.log", "", ""),
        ("run/a b/web.log", "0:41", "run/a b"),
        ("bound/web.log", "", ""),
        ("link/web.log", "0:39", "far"),
        ("around", "0:39", "far"),
        ("up/back/web.log", "0:39", "far"),
        ("loop/web.log", "", ""),
    ],
)
def test_where_a_path_lies(tmp_path: Path, mounts: Mounts, path: str, device: str, point: str) -> None:
    """The first file system on the way counts: a path below one that hangs cannot be reached either."""
    assert mounts.of(f"{tmp_path}/{path}") == (Mounted(device, f"{tmp_path}/{point}") if device else None)


def test_this_machine() -> None:
    assert Mounts().of("/") is None
    assert Mounts().of("/proc/self/status") is None
    assert Mounts().of("") is None
