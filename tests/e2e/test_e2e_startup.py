"""The order of a start: a migration that needs the database, which the same supervisor runs."""

import os
import signal
import sys

from lab import Lab, alive, wait_for

DATABASE = """
import socket
server, schema = socket.socket(socket.AF_UNIX), "old"
server.bind("database.sock")
server.listen()
while True:
    connection, _ = server.accept()
    asked = connection.recv(100).decode()
    schema = asked.removeprefix("migrate to ") if asked.startswith("migrate") else schema
    if asked:  # a probe asks nothing
        connection.sendall(schema.encode())
    connection.close()
"""

CLIENT = """
import socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect("database.sock")
connection.sendall(sys.argv[1].encode())
with open("answers", "a") as file:
    print(sys.argv[1], "->", connection.recv(100).decode(), file=file)
if sys.argv[1] == "ask":
    time.sleep(1000)
"""

TASKS = """
[task.disk]
kind    = "startup"
command = "mkdir data"

[task.database]
command   = ["{python}", "-S", "../database.py"]
directory = "data"
ready     = {{ tcp = "unix:data/database.sock", every = "1s" }}

[task.migrate]
kind      = "startup"
command   = ["{python}", "-S", "../client.py", "migrate to new"]
directory = "data"
requires  = ["database"]

[task.web]
command   = ["{python}", "-S", "../client.py", "ask"]
directory = "data"
"""


def test_a_migration_runs_after_its_database_and_before_all_others(lab: Lab) -> None:
    """The directory first, then the database in it, then the migration, then all others; the migration runs once."""
    (lab.dir / "database.py").write_text(DATABASE)
    (lab.dir / "client.py").write_text(CLIENT)
    lab.start(TASKS.format(python=sys.executable))
    pids = lab.up("database", "web")
    answers = lab.dir / "data" / "answers"
    wait_for(lambda: answers.exists() and answers.read_text().count("\n") == 2, "web has asked")
    assert answers.read_text() == "migrate to new -> new\nask -> new\n"
    assert [one["name"] for one in lab.events if one.get("to") == "starting"] == ["disk", "database", "migrate", "web"]
    ready = next(n for n, one in enumerate(lab.events) if one["event"] == "ready")
    done = next(n for n, one in enumerate(lab.events) if one.get("name") == "migrate" and one.get("to") == "stopped")
    assert ready > done, "READY was told before the migration was through"

    lab.end(signal.SIGKILL)
    lab.start()
    assert {name: lab.tasks()[name]["pid"] for name in pids} == pids
    assert answers.read_text().count("migrate") == 1


MODES = """
[task.warm]
kind    = "startup"
mode    = "background"
command = ["sh", "-c", "sleep 1000"]

[task.store]
command = ["sleep", "1000"]

[task.load]
kind    = "startup"
mode    = "foreground"
after   = ["store"]
command = ["sh", "-c", "read word < gate; echo $word > loaded"]

[task.web]
command = ["sleep", "1000"]
"""


def test_nobody_waits_for_tasks_in_the_background_and_a_shutdown_waits_for_those_in_the_foreground(lab: Lab) -> None:
    os.mkfifo(lab.dir / "gate")
    lab.start(MODES)
    lab.until("ready")
    pids = lab.up("warm", "store", "load", "web")
    assert lab.process
    lab.process.send_signal(signal.SIGTERM)
    assert lab.until("shutdown")["awaits"] == ["load"]
    wait_for(lambda: {lab.tasks()[name]["state"] for name in ("warm", "web")} == {"held"}, "the others are stopped")
    assert not alive(pids["warm"])
    assert not alive(pids["web"])
    tasks = lab.tasks()
    assert tasks["load"]["why"] == "the shutdown waits for its end"
    assert tasks["store"]["why"] == "stays for load: the shutdown waits for the end of that"
    (lab.dir / "gate").write_text("everything\n")
    assert lab.expect_exit() == 0
    assert (lab.dir / "loaded").read_text() == "everything\n"
    assert not alive(pids["store"])


def test_a_second_signal_stops_what_the_shutdown_waits_for(lab: Lab) -> None:
    lab.start(MODES.replace("read word < gate", "sleep 1000"))
    pid = lab.up("load")["load"]
    assert lab.process
    lab.process.send_signal(signal.SIGTERM)
    lab.until("shutdown")
    lab.process.send_signal(signal.SIGTERM)
    assert lab.expect_exit() == 0
    assert not alive(pid)
    assert not (lab.dir / "loaded").exists()
