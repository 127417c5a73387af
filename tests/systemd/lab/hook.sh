# Sourced by systemd-inner.sh in the new root, before systemd starts: the installation that the unit expects.
# NEEDED: files of this machine whose directories must be there; those on other file systems (and in /tmp) are not.
for file in $NEEDED; do
  folder=$(dirname "$file")
  if [ ! -e ".$file" ]; then
    mkdir -p ".$folder"
    mount --bind "$folder" ".$folder"
  fi
done
ln -sfn "$PREFIX" opt/supervisor
mkdir -p etc/supervisor
# A user who has a systemd of his own, and may use the installation, wherever it is. (Only the copy here is changed.)
for file in $NEEDED; do
  while file=$(dirname "$file") && [ "$file" != / ]; do
    mountpoint -q ".$file" || chmod o+x ".$file"
  done
done
chroot . useradd --create-home lab
mkdir -p home/lab/.config/systemd/user home/lab/.config/supervisor home/lab/.local/share/supervisor
cp "$USER_UNIT" home/lab/.config/systemd/user/
ln -s "$PREFIX" home/lab/.local/share/supervisor/venv
chroot . chown -R lab home/lab
