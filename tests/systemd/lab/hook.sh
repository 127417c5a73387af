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
