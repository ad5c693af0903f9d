#!/bin/bash
# Prepares a Debian machine and runs the checks of msrctl.
#
#   tests/run.sh              all lanes
#   tests/run.sh unit types   some lanes: lint types unit contract e2e
#   tests/run.sh nfs stores   the parts of e2e that are about NFS, with whole commands in guests, and about object stores
#
# Every lane runs, whatever became of those before it; the exit status tells whether all were good. What is
# missing is installed with apt-get and pip as they are configured here; running it again installs nothing. Slow
# results are kept in $MSRCTL_TEST_CACHE (default ~/.cache/msrctl-tests), logs of failures in $MSRCTL_TEST_LOGS
# (default tests/.logs). Without root the lanes with real engines fail: they are never skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

LANES=(lint types unit contract e2e)
PARTS=(nfs stores)
# Tests with engines mostly wait: several at once, each with engines of its own. Those marked busy do not.
E2E_WORKERS=${MSRCTL_E2E_WORKERS:-5}
BUSY_WORKERS=${MSRCTL_BUSY_WORKERS:-3}
VENV=$PWD/.venv
export MSRCTL_REQUIRE_ENGINE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# msrctl is started some thousand times: compiled once, not each time (0.25 s instead of 0.7 s).
unset PYTHONDONTWRITEBYTECODE
export PATH=$PATH:/usr/sbin:/sbin # dockerd, ip and iptables are there

section() { printf '\n======== %s (%(%H:%M:%S)T)\n' "$1" -1; }

# -- what the machine needs

# Debian package and a program of it: a program that is there may have come in any other way.
PACKAGES_FOR_ENGINES=(
  docker.io:dockerd iptables:iptables iproute2:ip util-linux:nsenter mount:mount procps:ps mmdebstrap:mmdebstrap
  arch-test:arch-test npm:npm skopeo:skopeo buildah:buildah podman:podman curl:curl git:git openssl:openssl
  haproxy:haproxy nginx-light:nginx user-mode-linux:linux.uml e2fsprogs:mkfs.ext4 openssh-client:ssh
)

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
  [ $# -gt 0 ] || return 0
  echo "installing: $*"
  [ "$(id -u)" = 0 ] || { echo "not root: install them first"; return 1; }
  local install=(apt-get install --yes --quiet=2 --no-install-recommends)
  export DEBIAN_FRONTEND=noninteractive
  # The package lists of a machine are often there and new enough.
  apt-get --simulate --quiet=2 install "$@" >/dev/null 2>&1 || apt-get update --quiet=2
  "${install[@]}" "$@" >/dev/null || { apt-get update --quiet=2 && "${install[@]}" "$@" >/dev/null; }
}

prepare_engines() {
  local missing=() entry
  for entry in "${PACKAGES_FOR_ENGINES[@]}"; do
    command -v "${entry#*:}" >/dev/null || missing+=("${entry%%:*}")
  done
  for entry in ca-certificates libnginx-mod-stream; do installed "$entry" || missing+=("$entry"); done
  # Installing an engine starts it; the labs start their own, and a machine's own is nothing to us.
  install_packages "${missing[@]}"
}

find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

prepare_python() {
  local python stamp wanted
  find_python >/dev/null || install_packages python3
  python=$(find_python) || { echo "no Python 3.11 or newer"; return 1; }
  # Debian's Python comes without the means to make virtual environments.
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
  stamp=$VENV/.installed
  wanted=$(sha256sum pyproject.toml)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || ! "$VENV/bin/python" -c 'import msrctl' 2>/dev/null; then
    "$python" -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --editable '.[dev]'
    echo "$wanted" >"$stamp"
  fi
  "$VENV/bin/python" --version
}

# Ceph, Swift and a registry with all drivers take minutes to make when they are not in the cache yet: that goes
# on beside the lanes that leave a processor free. Whoever needs one of them meanwhile waits for its lock.
begin_making_stores() {
  PYTHONPATH=tests "$VENV/bin/python" -m labs.stores.fixtures >"$LOGS/making-stores.log" 2>&1 &
  MAKING_STORES=$!
}

await_stores() {
  [ -n "$MAKING_STORES" ] || return 0
  local making=$MAKING_STORES
  MAKING_STORES=
  wait "$making" || { cat "$LOGS/making-stores.log"; return 1; }
}

# -- lanes

run_lint() {
  local status=0
  "$VENV/bin/ruff" check . || status=1
  "$VENV/bin/ruff" format --check . || status=1
  return $status
}

run_types() {
  local status=0 directory
  "$VENV/bin/mypy" || status=1
  # The harness is held to the same; modules are found as pytest finds them, from tests/ and a test's directory.
  MYPYPATH=tests "$VENV/bin/mypy" --explicit-package-bases tests/labs tests/conftest.py || status=1
  for directory in contract e2e; do
    MYPYPATH=tests:tests/$directory "$VENV/bin/mypy" --explicit-package-bases "tests/$directory/conftest.py" \
      || status=1
  done
  return $status
}

run_pytest() { # DIRECTORY [OPTION...]
  local directory=$1 log=$LOGS/$1.log status=0
  shift
  "$VENV/bin/python" -m pytest --color=no "tests/$directory" "$@" 2>&1 | tee "$log" || status=1
  CLOSING+=("$lane:" "$(tail -n 1 "$log")")
  return $status
}

run_unit() { run_pytest unit --numprocesses 2 --dist loadfile; }

run_contract() { run_pytest contract --numprocesses 3 --dist loadfile; }

run_e2e() {
  # Half of the workers have the newest engine, the others the machine's.
  export MSRCTL_TEST_ENGINE=${MSRCTL_TEST_ENGINE-mixed}
  PYTHONPATH=tests "$VENV/bin/python" -m labs.images || return 1
  await_stores || return 1
  # Whole commands in a guest wait for answers of seconds: beside other tests on two processors they time out.
  # In the order of tests/e2e/conftest.py: the longest files first.
  local several=(--durations=15 --dist loadfile --no-loadscope-reorder --ignore-glob='*/test_nfs_commands.py') status=0
  run_pytest e2e "${several[@]}" -m 'not busy' --numprocesses "$E2E_WORKERS" || status=1
  run_pytest e2e "${several[@]}" -m busy --numprocesses "$BUSY_WORKERS" || status=1
  return $status
}

run_nfs() { run_pytest e2e -k test_nfs --durations=15; }

run_stores() {
  await_stores || return 1
  run_pytest e2e -k test_store --durations=15 --numprocesses "$E2E_WORKERS" --dist loadfile
}

# -- main

wanted=("$@")
[ $# -gt 0 ] || wanted=("${LANES[@]}")
for lane in "${wanted[@]}"; do
  case " ${LANES[*]} ${PARTS[*]} " in
    *" $lane "*) ;;
    *) echo "usage: tests/run.sh [${LANES[*]} ${PARTS[*]}]..." >&2; exit 2 ;;
  esac
done

LOGS=$(mktemp -d)
MAKING_STORES=
# What is being made is not killed, but goes on: half of it would be of no use to anybody.
trap 'rm -rf "$LOGS"' EXIT
CLOSING=() FAILED=()

section prepare
prepare_python
case " ${wanted[*]} " in *" contract "* | *" e2e "* | *" nfs "* | *" stores "*) prepare_engines || FAILED+=(prepare) ;; esac
case " ${wanted[*]} " in *" e2e "* | *" stores "*) begin_making_stores ;; esac

for lane in "${wanted[@]}"; do
  section "$lane"
  begun=$SECONDS
  "run_$lane" || FAILED+=("$lane")
  echo "-------- $lane: $((SECONDS - begun)) s"
done

section result
[ ${#CLOSING[@]} -eq 0 ] || printf '%s\n' "${CLOSING[@]}"
if [ ${#FAILED[@]} -gt 0 ]; then
  echo "failed: ${FAILED[*]}"
  exit 1
fi
echo "all good: ${wanted[*]}"
