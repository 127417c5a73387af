"""A reload with scales: the config must be valid with the scaled number of instances."""

from pathlib import Path

from supervisor.shell import offloaded

TWO = '[task.web]\ncommand = "/bin/true"\nreplicas = 2\n'
ONE_FILE = '[task.web]\ncommand = "/bin/true"\nlog.to = "/srv/of/web.log"\n'


def written(here: Path, text: str) -> str:
    path = here / "conf.toml"
    path.write_text(text)
    return str(path)


def test_a_reload_that_gives_one_file_to_three_instances_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ONE_FILE)
    assert offloaded.load(path).config
    assert offloaded.load(path, {"web": [1, 1]}).config
    loaded = offloaded.load(path, {"web": [3, 1]})
    assert loaded.config is None
    what = 'the log of web:1 and of web:2 would be the same file, "/srv/of/web.log"'
    what = f"{what}; allowed: replicas = 1, or a file in log_dir"
    assert loaded.errors == (f'{path}: task "web": log: {what} (by `supctl scale`)',)


def test_a_scale_that_the_config_ends_is_not_checked(tmp_path: Path) -> None:
    """`replicas` has changed since the scale, or the task was removed."""
    path = written(tmp_path, ONE_FILE)
    assert offloaded.load(path, {"web": [3, 2], "gone": [3, 1]}).config
    assert offloaded.load(written(tmp_path, TWO), {"web": [3, 2]}).config
