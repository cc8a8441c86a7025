#!/usr/bin/env bash
# Make stand-ins for the images that the compose files name, from Debian packages, where no registry can be reached.
# An image that is there already, the genuine one or a stand-in, is left alone. Needs root and debootstrap.
# Stand-ins carry the label `stand-in`; `docker image prune -af --filter label=stand-in` removes them.
set -euo pipefail
cd "$(dirname "$0")"
suite=bookworm mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"

have() { docker image inspect "$1" > /dev/null 2>&1; }

if ! have "debian:$suite-slim"; then
    command -v debootstrap > /dev/null || { echo "debootstrap is not installed" >&2; exit 3; }
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" > /dev/null
    tar -C "$root" -c . | docker import --change 'LABEL stand-in=debian' - "debian:$suite-slim" > /dev/null
fi
for image in python:3.11-slim-bookworm postgres:17 nginx:1.28 redis:7; do
    have "$image" || docker build -q --label "stand-in=${image%%:*}" -t "$image" "${image%%:*}" > /dev/null
done
