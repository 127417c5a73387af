"""Which controllers runs can have, by where the supervisor is, or by what systemd there is."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.host import cgroup, controllers
from supervisor.host.controllers import Offer

FOUR = frozenset(("cpu", "io", "memory", "pids"))
Place = Callable[..., Path]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Makes the directory that stands for the cgroup in which our tree would be."""
    monkeypatch.delenv(cgroup.NEVER, raising=False)
    monkeypatch.setattr(cgroup, "home", lambda: str(tmp_path))
    monkeypatch.setattr(cgroup, "mounted", lambda: str(tmp_path))

    def make(*, inside: str, below: str = "", root: bool = False) -> Path:
        files = {"controllers": " ".join(sorted(FOUR)), "procs": inside, "subtree_control": below}
        for name, text in (files if root else files | {"type": "domain"}).items():
            (tmp_path / f"cgroup.{name}").write_text(f"{text}\n")
        return tmp_path

    return make


def test_who_is_beside_the_tree_gets_all(place: Place) -> None:
    place(inside="")
    assert controllers.of_this_process().controllers == FOUR


def test_who_is_in_the_way_gets_only_what_is_there_already(place: Place) -> None:
    where = place(inside="812\n813", below="pids")
    assert controllers.of_this_process() == Offer(
        frozenset(("pids",)), f"the supervisor is itself in {where}; DelegateSubgroup= of systemd 254 helps"
    )


def test_in_the_root_of_the_machine_nobody_is_in_the_way(place: Place) -> None:
    place(inside="1", root=True)
    assert controllers.of_this_process().controllers == FOUR


def test_without_cgroups_there_is_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place(inside="")
    monkeypatch.setenv(cgroup.NEVER, "no")
    assert controllers.of_this_process() == Offer(frozenset(), f"{cgroup.NEVER}=no")


def test_what_is_not_ours_to_write_gives_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place(inside="")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert controllers.of_this_process() == Offer(frozenset(), f"cannot make a cgroup in {where}: not ours to write")


@pytest.mark.parametrize(
    ("said", "version"),
    [("systemd 252 (252.38-1~deb12u1)\n+PAM", 252), ("systemd 257~rc2\n", 257), ("systemd 256.4\n", 256), ("?", 0)],
)
def test_the_version_of_systemd(said: str, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.isdir", lambda _: True)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess((), 0, stdout=said))
    assert controllers.systemd.__wrapped__() == version


def test_a_unit_needs_a_systemd_that_knows_leaves(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place(inside="1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for version, expected in ((0, None), (253, frozenset()), (254, FOUR)):
        monkeypatch.setattr(controllers, "systemd", lambda version=version: version)
        offer = controllers.of_a_unit()
        assert (offer and offer.controllers) == expected
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert controllers.of_a_unit() == Offer(
        frozenset(), f"systemd gives {where}/user.slice/user-1000.slice/user@1000.service no more"
    )
