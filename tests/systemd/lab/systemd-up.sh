#!/bin/bash
# Boots a real systemd as PID 1 in namespaces of its own (under 0.5 s, root, nothing to install).
# usage: UNITS=dir [HOOK=script] systemd-up.sh NAME STATEDIR
#   UNITS   unit files copied to /etc/systemd/system in there
#   HOOK    sourced before systemd starts, in the new root: copy files, set up users
# The root is an overlay of this machine's /: what is not on a file system of its own is all there, writes go to
# memory and are gone afterwards. The network is loopback only.
# Then:  nsenter -t $(cat STATEDIR/NAME.pid) -a systemctl status …    and  systemd-down.sh NAME STATEDIR
# Everything has a minute: a busy machine boots slowly.
set -e
here=$(cd "$(dirname "$0")" && pwd) name=$1 state=$2
mkdir -p "$state"
unified=$(awk '$9=="cgroup2" || $(NF-2)=="cgroup2" {print $5; exit}' /proc/self/mountinfo)
mkdir -p "$unified/$name/c"
( echo $BASHPID >"$unified/$name/c/cgroup.procs"
  exec setsid unshare --mount --pid --fork --kill-child --cgroup --net --uts --ipc -- \
    /bin/bash "$here/systemd-inner.sh" </dev/null >"$state/$name.log" 2>&1 ) &
outer=$!
for _ in $(seq 1200); do
  pid=$(tr -d ' ' <"/proc/$outer/task/$outer/children" 2>/dev/null || true)
  [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe")" = "$(readlink -f /lib/systemd/systemd)" ] && break
  sleep 0.05
  kill -0 $outer 2>/dev/null || { cat "$state/$name.log"; exit 1; }
done
echo "$pid" >"$state/$name.pid"
for _ in $(seq 1200); do
  nsenter -t "$pid" -a systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded' && exit 0
  sleep 0.05
done
cat "$state/$name.log"
exit 1
