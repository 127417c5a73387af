#!/bin/bash
# Limits that a kernel really enforces, in a VM: bash tests/vm/run.sh. With the packages of the checkout's own .venv, which
# has to be of the Python that Debian 12 has (3.11). Skipped, and said so, where a program is missing.
set -e
cd "$(dirname "$0")/../.."
for program in qemu-system-x86_64 mmdebstrap mke2fs; do
  type -P "$program" >/dev/null || { echo "skipped: there is no $program"; exit 0; }
done
packages=(.venv/lib/python3.11/site-packages)
[ -d "${packages[0]}" ] || { echo "skipped: .venv is not of Python 3.11"; exit 0; }
export WORK=${WORK:-$(mktemp -d)}
payload=$WORK/payload
rm -rf "$payload" && mkdir -p "$payload/lib" "$payload/supervisor/bin"
cp -a supervisor "$payload/lib/"
cp -a "${packages[0]}"/{psutil,setproctitle,tomli} "$payload/lib/"
cp -a "${packages[0]}"/*mypyc*.so "$payload/lib/" 2>/dev/null || true
cp tests/vm/limits.py systemd/supervisor.service "$payload/"
# What the unit expects of an installation.
program() { printf '#!/bin/sh\nexport PYTHONPATH=/opt/lib\nexec python3 %s\n' "$2" >"$payload/$1" && chmod +x "$payload/$1"; }
program supervisor/bin/supervisor '-m supervisor "$@"'
program supervisor/bin/supctl '-c "from supervisor.cli.main import main; main()" "$@"'
program limits '/opt/limits.py'
cat >"$payload/ci.sh" <<'SH'
#!/bin/sh
mkdir -p /etc/supervisor && cp /opt/supervisor.service /etc/systemd/system/ && systemctl daemon-reload && exec /opt/limits
SH
chmod +x "$payload/ci.sh"
bash tests/vm/vm.sh "$payload" | tr -d '\r' | tee "$WORK/said"
grep -q '^done$' "$WORK/said" && ! grep -q '^FAILED' "$WORK/said"
