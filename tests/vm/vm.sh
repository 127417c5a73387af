#!/bin/bash
# A whole VM in software emulation, in about two minutes: cgroup v2 with all controllers, which really enforce.
# usage: vm.sh PAYLOAD     a directory that becomes /opt; /opt/ci.sh runs as root, and its output is printed
# WORK may name a directory that is kept: the system in it is made once. Needs qemu-system-x86, mmdebstrap and e2fsprogs.
# systemd is that of the backports, 254: the one of Debian 12 does not know DelegateSubgroup=.
set -e
payload=$1 work=${WORK:-$(mktemp -d)}
if [ ! -e "$work/system.tar" ]; then
  sed '0,/^Suites:.*/s//& bookworm-backports/' /etc/apt/sources.list.d/debian.sources >"$work/debian.sources"
  printf 'Package: src:systemd\nPin: release n=bookworm-backports\nPin-Priority: 900\n' >"$work/pin"
  mmdebstrap --quiet --variant=minbase \
    --include=systemd-sysv,dbus,udev,python3,linux-image-cloud-amd64,procps,kmod,libseccomp2 \
    --setup-hook="mkdir -p \"\$1\"/etc/apt/preferences.d && cp $work/pin \"\$1\"/etc/apt/preferences.d/systemd" \
    bookworm "$work/new.tar" "$work/debian.sources"
  mv "$work/new.tar" "$work/system.tar"
fi
rm -rf "$work/root" && mkdir "$work/root"
tar -C "$work/root" -xf "$work/system.tar" --exclude='./dev/*'
mkdir -p "$work/root/opt" "$work/root/etc/systemd/system/multi-user.target.wants"
cp -a "$payload"/. "$work/root/opt/"
cat >"$work/root/etc/systemd/system/ci.service" <<UNIT
[Unit]
After=multi-user.target
[Service]
Type=oneshot
Delegate=yes
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStart=/opt/ci.sh
ExecStopPost=/usr/bin/systemctl poweroff
UNIT
ln -s ../ci.service "$work/root/etc/systemd/system/multi-user.target.wants/"
for unit in getty.target systemd-timesyncd.service e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer \
  dpkg-db-backup.timer fstrim.timer; do
  ln -sf /dev/null "$work/root/etc/systemd/system/$unit"
done
rm -f "$work/disk.ext4"
mke2fs -q -t ext4 -O ^has_journal -d "$work/root" "$work/disk.ext4" 1600M
truncate -s 256M "$work/slow"   # a disk of its own that is always busy: what waits for it is in the queue of the guest
# -cx16: the emulator of Debian 12 miscompiles cmpxchg16b, which kills kernels from 6.12 on
timeout "${LIMIT:-600}" qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max,-cx16 -m 768 -smp 2 -nographic \
  -no-reboot -net none -kernel "$work"/root/boot/vmlinuz-* -initrd "$work"/root/boot/initrd.img-* \
  -append "console=ttyS0 root=/dev/vda rw quiet panic=-1" \
  -drive "file=$work/disk.ext4,format=raw,if=virtio,snapshot=on" \
  -drive "file=$work/slow,format=raw,if=virtio,throttling.iops-total=60" </dev/null
