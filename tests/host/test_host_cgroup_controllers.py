"""Which controllers runs can have, by the cgroup of the supervisor, or by the version of systemd."""

from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.host import cgroup, cgroup_controllers
from supervisor.host.cgroup_controllers import Offer

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


def test_a_supervisor_beside_its_tree_gets_all_controllers(place: Place) -> None:
    place(inside="")
    assert cgroup_controllers.of_this_process().controllers == FOUR


def test_a_supervisor_inside_of_its_tree_gets_only_existing_controllers(place: Place) -> None:
    where = place(inside="812\n813", below="pids")
    assert cgroup_controllers.of_this_process() == Offer(
        frozenset(("pids",)), f"the supervisor is itself in {where}; DelegateSubgroup= of systemd 254 helps"
    )


def test_in_the_root_cgroup_processes_do_no_harm(place: Place) -> None:
    place(inside="1", root=True)
    assert cgroup_controllers.of_this_process().controllers == FOUR


def test_without_cgroups_there_is_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place(inside="")
    monkeypatch.setenv(cgroup.NEVER, "no")
    assert cgroup_controllers.of_this_process() == Offer(frozenset(), f"{cgroup.NEVER}=no")


def test_a_cgroup_without_write_permission_gives_no_controller(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place(inside="")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert cgroup_controllers.of_this_process() == Offer(
        frozenset(), f"cannot make a cgroup in {where}: no permission to write"
    )


@pytest.mark.parametrize(
    ("said", "version"),
    [("systemd 252 (252.38-1~deb12u1)\n+PAM", 252), ("systemd 257~rc2\n", 257), ("systemd 256.4\n", 256), ("?", 0)],
)
def test_the_version_of_systemd(said: str, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.isdir", lambda _: True)
    monkeypatch.setattr(cgroup_controllers, "output_of", lambda _: said.encode())
    assert cgroup_controllers.systemd.__wrapped__() == version


def test_a_unit_needs_a_systemd_with_delegate_subgroup(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place(inside="1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for version, expected in ((0, None), (253, frozenset()), (254, FOUR)):
        monkeypatch.setattr(cgroup_controllers, "systemd", lambda version=version: version)
        offer = cgroup_controllers.of_a_unit()
        assert (offer and offer.controllers) == expected
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cgroup_controllers.of_a_unit() == Offer(
        frozenset(), f"systemd gives {where}/user.slice/user-1000.slice/user@1000.service no other controllers"
    )
