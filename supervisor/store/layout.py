"""Name every path of the runtime directory and of the state directory.

The spawner and `supctl` need these names, and must stay small. So this module imports nothing.
"""

from __future__ import annotations

# -- the runtime directory: lost at a boot ----------------------------------------------------------------------------


def lock(runtime_dir: str) -> str:
    """Return the path of the file that the supervisor locks."""
    return f"{runtime_dir}/lock"


def journal(runtime_dir: str) -> str:
    """Return the path of the journal."""
    return f"{runtime_dir}/journal"


def control_socket(runtime_dir: str) -> str:
    """Return the path of the socket on which `supctl` asks the supervisor."""
    return f"{runtime_dir}/supervisor.sock"


def prober_socket(runtime_dir: str) -> str:
    """Return the path of the socket on which the supervisor asks @prober."""
    return f"{runtime_dir}/prober.sock"


def begun(runtime_dir: str, key: str) -> str:
    """Return the path of the file in which the run of a firing notes that it begins."""
    return f"{runtime_dir}/begun/{key}"


def timekeeper_socket(runtime_dir: str) -> str:
    """Return the path of the socket to which @timekeeper connects."""
    return f"{runtime_dir}/timekeeper.sock"


def firings_in_memory(runtime_dir: str) -> str:
    """Return the path of the firings while the state directory cannot be written."""
    return f"{runtime_dir}/firings-in-memory.db"


def health(runtime_dir: str) -> str:
    """Return the path of the answer that @health gives."""
    return f"{runtime_dir}/health.json"


def credentials(runtime_dir: str) -> str:
    """Return the directory of credentials. The path is the same for all runs, but each run sees another directory."""
    return f"{runtime_dir}/credentials"


# -- output of tasks and helpers --------------------------------------------------------------------------------------


def outputs(runtime_dir: str) -> str:
    """Return the directory of the FIFOs of all runs. It also has the manifest: a helper watches only this one."""
    return f"{runtime_dir}/output"


def output(runtime_dir: str, run: str) -> str:
    """Return the path of the FIFOs of a run, without the suffix for the stream (".out", ".err")."""
    return f"{outputs(runtime_dir)}/{run.replace('/', '.')}"


def manifest(runtime_dir: str) -> str:
    """Return the path of the manifest."""
    return f"{outputs(runtime_dir)}/manifest.json"


def helper_stderr(runtime_dir: str, key: str) -> str:
    """Return the path of the FIFO for the stderr of a helper."""
    return f"{runtime_dir}/helpers/{key}.err"


def last_lines(runtime_dir: str) -> str:
    """Return the directory with one file for each instance: the last lines of its last run."""
    return f"{runtime_dir}/last_lines"


# -- descriptors that outlive the supervisor --------------------------------------------------------------------------


def notify_socket(runtime_dir: str, key: str, run: int) -> str:
    """Return the path of the notify socket of a run."""
    return f"{runtime_dir}/notify/{key}.{run}"


def pidfd(runtime_dir: str, run: str) -> str:
    """Return the path that names the pidfd of a run. There is no such file."""
    return f"{runtime_dir}/runs/{run}"


def fd_holder(runtime_dir: str) -> str:
    """Return the path of the file that names the supervisor whose spawner holds all FIFOs."""
    return f"{runtime_dir}/fd_holder"


def notify_holders(runtime_dir: str) -> str:
    """Return the directory of the sockets on which old spawners give notify sockets and pidfds back."""
    return f"{runtime_dir}/notify_holders"


# -- @scribe, and its writers for one file system each: "" as the device means @scribe itself -------------------------


def scribe_lock(runtime_dir: str, device: str) -> str:
    """Return the path of the file that the only scribe for a file system locks."""
    return f"{runtime_dir}/scribe.lock{device}"


def scribe_ledger(runtime_dir: str, device: str) -> str:
    """Return the path of the ledger: the blocks that are written and still in their FIFO."""
    return f"{runtime_dir}/scribe.ledger{device}"


def scribe_losses(runtime_dir: str, device: str) -> str:
    """Return the path of the sums of lost output."""
    return f"{runtime_dir}/scribe.losses{device}"


def scribe_readers(runtime_dir: str) -> str:
    """Return the path of the file with a lock for each FIFO that is read."""
    return f"{runtime_dir}/scribe.readers"


def spool(runtime_dir: str) -> str:
    """Return the directory of the spool: ended runs that are not in the history yet."""
    return f"{runtime_dir}/spool"


# State files (`store.statefile`), relative to the runtime directory. Each has its own directory, which may be watched.

BREACHES = "breaches/breaches.json"
LOSSES = "losses/losses.json"
REJECTS = "rejects/rejects.json"
SAMPLES = "samples/samples.json"
TROUBLES = "troubles/troubles.json"
WAITS = "waits/waits.json"


# -- the state directory: kept ----------------------------------------------------------------------------------------


def firings(state_dir: str) -> str:
    """Return the path of the firings, which @timekeeper keeps."""
    return f"{state_dir}/firings.db"


def inputs(state_dir: str) -> str:
    """Return the directory of the inputs of firings."""
    return f"{state_dir}/inputs"


def input_of(state_dir: str, firing: str) -> str:
    """Return the path of the input of a firing: what its run reads from stdin."""
    return f"{inputs(state_dir)}/{firing.replace('/', '.')}"


def history(state_dir: str) -> str:
    """Return the path of the database: the history of runs, and the samples."""
    return f"{state_dir}/history.db"


def rejects(history: str) -> str:
    """Return the path of the records that the history could not take, from the path of the history."""
    return f"{history}.rejected"


def freezes(state_dir: str) -> str:
    """Return the path of the freezes."""
    return f"{state_dir}/freezes.json"
