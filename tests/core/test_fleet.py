"""How instances affect each other, without a host: scopes of freezes, gates, names, and plans of a reload."""

from collections.abc import Callable

import pytest
from core.make import NOW, WEB, config, fleet, instance, run

from supervisor.core import events as ev
from supervisor.core import health, reload
from supervisor.core.definition import IDENTITY, Kind, Limits, Log, Probe, StopPolicy, Task
from supervisor.core.fleet import Fleet, kept_freezes, new_instances
from supervisor.core.freeze import CONFIG, SUPCTL, Freeze
from supervisor.core.gate import may_start, will_start
from supervisor.core.immutable import replace
from supervisor.core.instance import Health, Instance, Outcome, Run
from supervisor.core.roster import Shutdown
from supervisor.core.select import UnknownNameError, select, tasks, without_instances
from supervisor.core.states import State

SINCE = "2026-11-21T14:02:11.000Z"


def frozen(scope: str, by: str = "root", source: str = SUPCTL) -> Freeze:
    return Freeze(scope, source, by, SINCE)


# -- freeze -----------------------------------------------------------------------------------------------------------

SCOPES = """
scope      task     groups     covered
-          web      -          yes
web        web      -          yes
web        api      -          no
@etl       web      etl        yes
@etl       web      mail,etl   yes
@etl       web      mail       no
@etl       etl      -          no
xetl       web      etl        no
"""


@pytest.mark.parametrize("line", SCOPES.strip().splitlines()[1:])
def test_which_tasks_a_freeze_covers(line: str):
    scope, task, groups, covered = ("" if word == "-" else word for word in line.split())
    assert frozen(scope).covers(task, tuple(filter(None, groups.split(",")))) == (covered == "yes")


def test_a_freeze_says_who_since_when_until_and_why():
    one = Freeze("web", SUPCTL, "ann", SINCE, "bad deploy", "2026-11-21T15:02:11.000Z")
    assert one.says == f"web is frozen by ann since {SINCE} until 2026-11-21T15:02:11.000Z: bad deploy"
    assert frozen("").says == f"frozen by root since {SINCE}"


def test_each_scope_has_one_freeze_of_supctl_and_one_per_config_line():
    made = fleet(instance(State.RUNNING))
    for one in (frozen("", "ann"), frozen("", "bob"), frozen("", "conf:1", CONFIG), frozen("", "conf:2", CONFIG)):
        made.freeze(one, NOW)
    assert [one.by for one in made.freezes] == ["bob", "conf:1", "conf:2"]
    assert [one.by for one in kept_freezes(made.freezes)] == ["bob"]


def test_a_thaw_starts_tasks_that_no_other_freeze_holds():
    made = fleet(instance(State.HELD), instance(State.HELD, replace(WEB, name="api"), streak=5))
    everything, web = frozen(""), frozen("web")
    made.freeze(everything, NOW)
    made.freeze(web, NOW)
    released = made.thaw((everything,), NOW)
    assert [(one.key, one.streak) for one in released] == [("api:1", 0)]
    assert [one.key for one in made.thaw((web,), NOW)] == ["web:1"]


def test_no_freeze_covers_a_helper():
    """Also no freeze of a group with its name."""
    helper = instance(State.BACKOFF, replace(WEB, name="@scribe"))
    made = fleet(helper)
    made.freeze(frozen(""), NOW)
    made.freeze(frozen("@scribe"), NOW)
    assert made.instances["@scribe:1"].state is State.BACKOFF
    assert made.next_deadline() == helper.deadline


# -- gates ------------------------------------------------------------------------------------------------------------

DB, APP = replace(WEB, name="db"), replace(WEB, name="app", requires=("db",), after=("db",))
IMPORT = replace(WEB, name="import", kind=Kind.TRIGGERED)
GOOD, BAD = Outcome(NOW, "exit 0", success=True, code=0), Outcome(NOW, "exit 1", success=False, code=1)


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        (State.RUNNING, {}, ""),
        (State.STARTING, {}, "requires db, which is starting"),
        (State.BACKOFF, {}, "requires db, which waits for its restart"),
        (State.FAILED, {}, "requires db, which is failed"),
        (State.STOPPED, {}, "requires db, which is stopped"),
        (State.RUNNING, {"wanted": False}, "requires db, which is about to stop"),
        (State.RUNNING, {"outdated": "restart requested"}, "requires db, which is about to stop"),
        (State.RUNNING, {"retired": True}, "requires db, which has no instance"),
    ],
    ids=str,
)
def test_a_requirement(state: State, changes: dict[str, object], reason: str):
    made = fleet(instance(state, DB, **changes), instance(State.HELD, APP))
    assert "; ".join(may_start(made, made.instances["app:1"]).reasons) == reason


@pytest.mark.parametrize(
    ("state", "last", "reason"),
    [
        (State.STOPPED, GOOD, ""),
        (State.STOPPED, BAD, "starts after import, which has not succeeded (exit 1)"),
        (State.STOPPED, None, "starts after import, which has not run yet"),
        (State.RUNNING, GOOD, ""),
    ],
    ids=str,
)
def test_after_a_triggered_task(state: State, last: Outcome | None, reason: str):
    made = fleet(instance(state, IMPORT, last=last), instance(State.HELD, replace(WEB, after=("import",))))
    assert "; ".join(may_start(made, made.instances["web:1"]).reasons) == reason


def test_every_reason_of_a_refusal_is_given():
    startup = instance(State.FAILED, replace(WEB, name="migrate", kind=Kind.STARTUP))
    made = fleet(startup, instance(State.STOPPED, DB), instance(State.HELD, APP))
    made.freeze(frozen("app"), NOW)
    verdict = may_start(made, made.instances["app:1"])
    assert verdict.reasons == (
        f"app is frozen by root since {SINCE}",
        "start-up task migrate has not succeeded (exit 1)",
        "requires db, which is stopped",
    )
    assert verdict.frozen
    assert not verdict


@pytest.mark.parametrize(
    ("db", "will"),
    [
        (instance(State.RUNNING, DB), True),
        (instance(State.STARTING, DB), True),
        (instance(State.STOPPING, DB), True),
        (instance(State.STOPPING, DB, wanted=False), False),
        (instance(State.HELD, DB), True),
        (instance(State.BACKOFF, DB), False),
        (instance(State.FAILED, DB), False),
        (instance(State.RUNNING, DB, retired=True), False),
    ],
    ids=lambda value: value.state if isinstance(value, Instance) else str(value),
)
def test_whether_a_held_instance_will_start_by_itself(db: Instance, will: bool):
    made = fleet(db, instance(State.HELD, APP))
    assert will_start(made, made.instances["app:1"]) is will
    made.freeze(frozen(""), NOW)
    assert not will_start(made, made.instances["app:1"])
    made.thaw(made.freezes, NOW)
    made.shutdown = Shutdown("SIGTERM", None)
    assert not will_start(made, made.instances["app:1"])


def test_forks_are_bounded_per_turn_and_keep_their_order():
    made = Fleet("e")
    task = replace(WEB, replicas=5)
    for one in new_instances(task, NOW):
        made.add(one)
    made.connect(config(task))
    made.apply_all(list(made.instances), ev.Want("start", "root"), NOW)
    made.admit(NOW, 2)
    assert [action.key for action in made.drain()[0]] == ["web:1", "web:2"]
    assert made.next_deadline() == 0.0, "somebody waits for its turn"
    made.apply("web:4", ev.Unwant("root"), NOW)
    made.admit(NOW, 8)
    assert [action.key for action in made.drain()[0]] == ["web:3", "web:5"]
    assert made.next_deadline() == NOW + WEB.start_timeout


def test_ready_does_not_wait_for_a_start_up_task_that_is_frozen():
    made = fleet(instance(State.HELD, replace(WEB, kind=Kind.STARTUP)))
    assert not made.startup_is_over(), "it is about to start"
    made.freeze(frozen(""), NOW)
    assert made.startup_is_over()


def test_kill_all():
    made = fleet(instance(State.RUNNING), instance(State.RUNNING, DB), instance(State.HELD, APP))
    made.kill_all("enough", NOW)
    assert [type(action).__name__ for action in made.drain()[0]] == ["Destroy", "Destroy"]
    made.shut_down(Shutdown("SIGTERM", NOW + 5, exit_code=3), NOW)
    made.shut_down(Shutdown("again", NOW + 9), NOW)
    made.kill_all("enough", NOW)
    assert made.shutdown == Shutdown("SIGTERM", None, exit_code=3), "the first reason stays"


def test_an_event_for_a_removed_instance_is_ignored():
    made = fleet(instance(State.STOPPED))
    made.apply("web:1", ev.Retire("root"), NOW)
    assert made.instances == {}
    made.apply("web:1", ev.Due(), NOW)
    made.apply_all(["web:1"], ev.Want("start", "root"), NOW)
    assert made.expire(NOW + 1e6) == ()
    assert made.next_deadline() is None


# -- questions to many ------------------------------------------------------------------------------------------------

SPREADS = {
    "after an answer": (lambda probe, one: health.answered(probe, one, ev.Probed(3, ok=True), NOW), 9.0, 11.0),
    "after an adoption": (lambda probe, one: health.adopted(Task("web", health=probe), one, NOW), 0.0, 10.0),
}
"""What comes of a run, and when it is asked again, at the earliest and at the latest, if it is asked every 10 s."""


@pytest.mark.parametrize(("after", "first", "last"), SPREADS.values(), ids=SPREADS)
def test_probes_of_many_runs_are_spread(after: Callable[[Probe, Run], Health], first: float, last: float):
    """All runs reach this moment together, as after a boot. Each is probed at its own moment."""
    probe = Probe("tcp", {"tcp": "127.0.0.1:80"}, every=10.0)
    runs = [run(id=f"web:{number}/1@e") for number in range(1000)]
    moments = [after(probe, one).ask_at - NOW for one in runs]
    near = (last - first) / 20
    assert first <= min(moments) < first + near
    assert last - near < max(moments) <= last
    assert max(sum(low <= moment < low + near for moment in moments) for low in moments) < 200, "they are spread evenly"
    assert after(probe, runs[7]).ask_at == moments[7] + NOW, "the same history is asked at the same moments"


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many() -> Fleet:
    web = replace(WEB, replicas=3)
    tasks = [web, replace(WEB, name="web-2"), replace(WEB, name="mail"), replace(WEB, name="@scribe")]
    made = fleet(
        *(one for task in tasks for one in new_instances(task, NOW)),
        groups={"etl": ("mail", "web"), "none": ()},
    )
    made.tasks = made.tasks | {"zero": replace(WEB, name="zero", replicas=0)}
    return made


NAMES = """
names              meant
web                web:1 web:2 web:3
web:2              web:2
mail               mail:1
mail:1             mail:1
@etl               web:1 web:2 web:3 mail:1
web*               web:1 web:2 web:3 web-2:1
w?b:[13]           web:1 web:3
*                  web:1 web:2 web:3 web-2:1 mail:1
mail web:2 mail    web:2 mail:1
zero               -
z*                 -
zero:*             -
@none              -
"""


@pytest.mark.parametrize("line", NAMES.strip().splitlines()[1:])
def test_what_a_name_means(many: Fleet, line: str):
    names, meant = line[:19].split(), line[19:].split()
    assert [one.key for one in select(many, names)] == [key for key in meant if key != "-"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("*e*", ["web", "web-2", "zero"]),
        ("*:1", ["web", "web-2", "mail", "zero"]),
        ("web:[23]", ["web"]),
        ("zero", ["zero"]),
        ("@etl", ["mail", "web"]),
        ("@none", []),
    ],
)
def test_the_tasks_that_a_name_means(many: Fleet, name: str, meant: list[str]):
    assert tasks(many, name) == meant
    assert without_instances(many, [name]) == [task for task in meant if task == "zero"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("wbe", "no task 'wbe'; did you mean 'web'?"),
        ("@elt", "no group '@elt'; did you mean '@etl'?"),
        ("xyz", "no task 'xyz'; see `supctl status`"),
        ("q*", "no task matches 'q*'; see `supctl status`"),
        ("web:9", "no task 'web:9'; did you mean"),
        ("@scribe", "no group '@scribe'; see"),
        ("", "no task ''; see"),
    ],
)
def test_a_name_that_matches_nothing(many: Fleet, name: str, says: str):
    with pytest.raises(UnknownNameError) as caught:
        select(many, ["web", name])
    assert says in str(caught.value)


def test_instances_are_in_the_order_of_the_config():
    """A takeover adds living instances before new ones, and a reload adds at the end."""
    made = fleet(
        instance(State.RUNNING, replace(WEB, name="gone")), instance(State.RUNNING, APP), instance(State.RUNNING, WEB)
    )
    made.connect(config(WEB, DB, APP))
    assert [i.task.name for i in made.ordered()] == ["web", "app", "gone"]


# -- reload -----------------------------------------------------------------------------------------------------------

UP = ("web", "db", "app")

OTHER = {
    "kind": Kind.TRIGGERED, "command": ("other",), "python": "a:b", "directory": "/srv", "user": "mail", "umask": 0o22,
    "environment": {"A": "1"}, "environment_file": ("/e",), "inherit_environment": False, "stdin": "other",
    "ready": "other", "watchdog": 9.0, "log": Log("none"),
    "limits": Limits(nice=1), "group": "mail", "groups": ("adm",),
    "no_new_privileges": True, "capabilities": (), "private_tmp": True, "read_only": ("/",), "read_write": ("/srv",),
    "inaccessible": ("/home",), "network": "none", "credentials": {"a": "/b"}, "system_calls": ("@default",),
}  # fmt: skip


def test_every_key_of_the_identity_is_tried():
    assert set(OTHER) == set(IDENTITY)


@pytest.mark.parametrize("key", [key for key in IDENTITY if key != "kind"])
def test_a_changed_key_of_the_process_restarts_it(key: str):
    plan = reload.compare(config(WEB), config(replace(WEB, **{key: OTHER[key]})), UP)
    assert plan.restarted == {"web": (key,)}
    assert plan.changed == {}
    plan = reload.compare(config(WEB), config(replace(WEB, **{key: OTHER[key]})), ())
    assert (plan.changed, plan.restarted) == ({"web": (key,)}, {}), "what is down is not restarted"
    triggered = replace(WEB, kind=Kind.TRIGGERED)
    plan = reload.compare(config(triggered), config(replace(triggered, **{key: OTHER[key]})), UP)
    assert plan.restarted == {}, "a triggered task finishes with the definition that it began with"
    assert plan.changed == {"web": (key,)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stop", StopPolicy("SIGINT")),
        ("after", ("db",)),
        ("replicas", 2),
        ("freeze", True),
        ("start_timeout", 1.0),
        ("limits", Limits(runtime=5.0)),
    ],
    ids=str,
)
def test_what_changes_in_place(key: str, value: object):
    plan = reload.compare(config(WEB, DB), config(replace(WEB, **{key: value}), DB), UP)
    assert (plan.changed, plan.restarted, plan.unchanged) == ({"web": (key,)}, {}, ("db",))


@pytest.mark.parametrize(
    ("old", "new", "restarts"),
    [
        (Log(), Log("/x/y"), False),
        (Log(), Log("inherit", "separate", "json", keep=1, max_size=1, compress=False), False),
        (Log(format="raw", stderr="separate"), Log(), False),
        (Log(), Log("none"), True),
        (Log(), Log(stderr="none"), True),
        (Log(), Log(format="raw"), True),  # one FIFO for both, in the order of the bytes
        (Log(format="raw"), Log("journal", format="raw"), False),
    ],
    ids=str,
)
def test_a_changed_log_restarts_only_runs_that_need_other_descriptors(old: Log, new: Log, restarts: bool):
    plan = reload.compare(config(replace(WEB, log=old)), config(replace(WEB, log=new)), UP)
    assert (plan.restarted if restarts else plan.changed) == {"web": ("log",)}


def test_the_position_in_the_file_is_not_a_change():
    plan = reload.compare(config(WEB), config(replace(WEB, where="conf:99")), UP)
    assert not plan
    assert plan.unchanged == ("web",)


def test_added_removed_and_settings():
    plan = reload.compare(config(WEB, DB), config(DB, APP, socket_mode=0o600, log_level="debug"), UP)
    assert (plan.added, plan.removed, plan.at_next_start) == (("app",), ("web",), ("socket_mode",))
    assert plan
    new, old = config(WEB, runtime_dir="/new", log_level="debug").settings, config(WEB).settings
    assert reload.effective(new, old) == replace(old, log_level="debug")


def test_a_changed_log_dir_restarts_nothing():
    quiet = replace(DB, log=Log("none"))
    plan = reload.compare(config(WEB, quiet), config(WEB, quiet, log_dir="/new"), UP)
    assert (plan.changed, plan.restarted, plan.unchanged) == ({"web": ("log_dir",)}, {}, ("db",))


def apply(made: Fleet, old: tuple[Task, ...], new: tuple[Task, ...]) -> dict[str, str]:
    """Applies the difference; the states, and why each that must leave does."""
    plan = reload.compare(config(*old), config(*new), UP)
    reload.apply(made, plan, config(*new), "ann", NOW)
    return {key: f"{one.state} {one.run.cause if one.run else ''}".strip() for key, one in made.instances.items()}


def test_apply():
    made = fleet(instance(State.RUNNING), instance(State.STOPPED, DB), instance(State.FAILED, replace(WEB, name="sad")))
    old = (WEB, DB, replace(WEB, name="sad"))
    new = (
        replace(WEB, command=("v2",), replicas=2),
        replace(WEB, name="new"),
        replace(WEB, name="lazy", autostart=False),
        replace(WEB, name="sad", start_timeout=1.0),
    )
    assert apply(made, old, new) == {
        "web:1": "stopping definition changed by ann: command, replicas",
        "web:2": "held",
        "sad:1": "held",
        "new:1": "held",
        "lazy:1": "stopped",
    }


def test_a_task_that_is_down_stays_down_when_it_gets_more_copies():
    made = fleet(instance(State.STOPPED))
    assert apply(made, (WEB,), (replace(WEB, replicas=2),)) == {"web:1": "stopped", "web:2": "stopped"}


def test_fewer_copies_take_the_highest_numbers():
    three = replace(WEB, replicas=3)
    made = fleet(*(replace(instance(State.RUNNING, three), index=index) for index in (1, 2, 3)))
    assert apply(made, (three,), (WEB,)) == {
        "web:1": "running",
        "web:2": "stopping removed from the config by ann",
        "web:3": "stopping removed from the config by ann",
    }
