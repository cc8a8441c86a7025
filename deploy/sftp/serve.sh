#!/bin/bash
# An account for every key in /etc/sftp/senders (NAME.pub), with the folder NAME in the inbox; then the server, in the foreground.
set -euo pipefail
LOADER=10001  # user and group of the warehouse's containers, which read and take away what is delivered

cd /etc/sftp
[ -f keys/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f keys/ssh_host_ed25519_key
chown "$LOADER:$LOADER" /jail/inbox
chmod 2771 /jail/inbox
getent group senders > /dev/null || groupadd --system senders
mkdir -p authorized
rm -f authorized/*
number=20000
for folder in /jail/inbox/*/; do  # numbers that belong to a folder stay with it
    [ -d "$folder" ] && owner=$(stat -c %u "$folder") && [ "$owner" -gt "$number" ] && number=$owner
done
shopt -s nullglob
for key in senders/*.pub; do
    name=$(basename "$key" .pub)
    [[ $name =~ ^[a-z0-9][a-z0-9_-]{0,30}$ ]] || { echo "$key: a sender's name is of small letters, digits, - and _" >&2; exit 2; }
    folder=/jail/inbox/$name
    owner=$([ -d "$folder" ] && stat -c %u "$folder" || echo 0)
    [ "$owner" -gt 20000 ] || owner=$((++number))
    id "$name" > /dev/null 2>&1 || useradd --no-create-home --home-dir / --shell /usr/sbin/nologin --no-user-group --gid senders --badname --uid "$owner" --password '*' "$name"
    mkdir -p "$folder"
    touch "$folder/.keep"  # an empty folder would be tidied away
    chown "$owner:$LOADER" "$folder"
    chmod 2770 "$folder"
    cp "$key" "authorized/$name"
    chmod 644 "authorized/$name"
done
[ -n "$(ls authorized)" ] || echo "No sender yet: put keys into deploy/senders/NAME.pub and start this service again" >&2
exec /usr/sbin/sshd -D -e -f /etc/sftp/sshd_config
