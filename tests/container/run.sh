#!/usr/bin/env bash
# Builds the image where no Docker engine runs, runs the demo in it as an ordinary user, and checks what came out.
#
#   sudo tests/container/run.sh [FOLDER]
#
# FOLDER (default: a new one) keeps the demo's results and the logs of the builds. Needs root, 15 GB of disk, the
# network, and the Debian packages podman, buildah, crun and debootstrap. The machine's pip.conf and certificates are
# lent to the build, because on a machine behind a proxy nothing can be downloaded without them; they are no part of
# the image. BUILD_OPTIONS holds further options of `podman build`, for instance --volume FOLDER:FOLDER:ro with a local
# wheel of torch, and PIP_FIND_LINKS the folder that pip shall look into.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(realpath "${1:-$(mktemp --directory)}")
mkdir -p "$folder"
base=docker.io/library/debian:bookworm-slim
suite=bookworm
user=12345:23456 # nobody the image knows
certificates=/etc/ssl/certs/ca-certificates.crt
failures=0

say() { printf '\n== %s\n' "$*"; }
check() { # MESSAGE COMMAND...
    if "${@:2}"; then echo "ok      $1"; else echo "FAILED  $1"; failures=$((failures + 1)); fi
}

for tool in podman buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "missing: $tool (apt-get install podman buildah crun debootstrap)" >&2; exit 2; }
done

if ! podman image exists "$base"; then
    say "Making the base image $base with debootstrap"
    debootstrap --variant=minbase "$suite" "$folder/base" http://deb.debian.org/debian >"$folder/base.log"
    tar --create --directory "$folder/base" . | podman import - "$base" >/dev/null
    rm -rf "$folder/base"
fi

# Not at their own places: the image configures its own certificates while it is built.
lent=(--volume "$certificates:/lent/certificates.crt:ro")
if [ -e /etc/pip.conf ]; then
    sed "s#$certificates#/lent/certificates.crt#" /etc/pip.conf >"$folder/pip.conf"
    [ -z "${PIP_FIND_LINKS:-}" ] || echo "find-links = $PIP_FIND_LINKS" >>"$folder/pip.conf"
    lent+=(--volume "$folder/pip.conf:/etc/pip.conf:ro")
fi

build() { # CONTEXT LOG
    local started=$SECONDS
    # shellcheck disable=SC2086
    podman build --isolation chroot --network host --layers --build-arg TORCH=cpu "${lent[@]}" ${BUILD_OPTIONS:-} \
        --tag createrec "$1" >"$2" 2>&1 || { tail -n 30 "$2"; exit 1; }
    echo "built in $((SECONDS - started)) s"
}

say "Building the image"
context="$folder/context"
rm -rf "$context"
git clone --quiet "$project" "$context"
build "$context" "$folder/build.log"
podman image inspect --format '{{.Size}}' createrec | awk '{printf "size %.2f GB\n", $1 / 1e9}'

say "Building it again after a change of the code"
echo "# A change." >>"$context/src/createrec/cli.py"
build "$context" "$folder/rebuild.log"
check "the environment's layer is taken from the first build" \
    test "$(grep --count 'Using cache' "$folder/rebuild.log")" -ge 4
check "the code's layer is not" grep --quiet 'COPY \. \.' "$folder/rebuild.log"

say "Running the demo as user $user"
work="$folder/work"
mkdir -p "$work"
chown "$user" "$work"
container=$(buildah from --pull-never createrec)
trap 'buildah rm "$container" >/dev/null' EXIT
inside() { buildah run --isolation chroot --user "$user" --volume "$work:/work" "$container" -- "$@"; }
mapfile -t entrypoint < <(podman image inspect --format '{{range .Config.Entrypoint}}{{println .}}{{end}}' createrec | grep .)
started=$SECONDS
inside "${entrypoint[@]}" demo --configfile config/demo.yaml 2>&1 | tee "$folder/demo.log" | grep -E 'steps|rror' || true
echo "ran in $((SECONDS - started)) s"
again=$(inside "${entrypoint[@]}" demo --configfile config/demo.yaml 2>&1)

say "Checks"
check "Table 2 is there, and says that its data are made" grep --quiet synthetic "$work/results/tables/table2.md"
check "Figure 2 is there" test -s "$work/paper_figures/figure2.pdf"
check "every file belongs to the calling user" test -z "$(find "$work" ! -user "${user%:*}" -print -quit)"
check "the second time nothing is done" grep --quiet 'Nothing to be done' <<<"$again"
check "the user is not root" test "$(inside id -u)" = "${user%:*}"
check "the image's own user is not root" test "$(podman image inspect --format '{{.User}}' createrec)" = 1000:1000
check "the user cannot change the code" test "$(inside sh -c 'test -w /app/src/createrec/cli.py && echo writable' || true)" = ""
check "no data lies in the image" test -z "$(inside find /app -name '*.parquet' -o -name '*.gz' -o -name '*.zip' | grep -v published)"
cat "$work/results/tables/table2.md"
exit "$((failures > 0))"
