"""A reload with scales: the config has to be possible with as many instances as there are to be."""

from pathlib import Path

from supervisor import errands

TWO = '[task.web]\ncommand = "/bin/true"\nreplicas = 2\n'
ONE_FILE = '[task.web]\ncommand = "/bin/true"\nlog.to = "/srv/of/web.log"\n'


def written(here: Path, text: str) -> str:
    path = here / "conf.toml"
    path.write_text(text)
    return str(path)


def test_a_reload_that_gives_one_file_to_three_instances_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, ONE_FILE)
    assert errands.load(path).config
    assert errands.load(path, {"web": [1, 1]}).config
    loaded = errands.load(path, {"web": [3, 1]})
    assert loaded.config is None
    what = '"/srv/of/web.log" would be the log of web:1 and of web:2; allowed: replicas = 1, or a file in log_dir'
    assert loaded.errors == (f'{path}: task "web": log: {what} (by `supctl scale`)',)


def test_a_scale_that_the_config_ends_is_in_nobodys_way(tmp_path: Path) -> None:
    """It says another number than when it was asked for, or the task is there no longer."""
    path = written(tmp_path, ONE_FILE)
    assert errands.load(path, {"web": [3, 2], "gone": [3, 1]}).config
    assert errands.load(written(tmp_path, TWO), {"web": [3, 2]}).config
