#!/bin/bash
# From a bare Debian machine to a private registry that docker pushes to and pulls from over TLS.
#
#   examples/quickstart.sh           install the registry, push an image, pull it back
#   examples/quickstart.sh --down    take everything away that this script made
#
# It may be run again at any time: what is there is used. All that it makes, and a record of it, is in
# .quickstart beside the examples directory. It needs root, and calls sudo if it is not root already.
#
# Variables, all optional:
#   DOCKER_HOST             engine to use (unix:// only); default the local socket
#   REGISTRY_ADDRESS        name or address that clients use; default this machine's address
#   HTTP_PORT, HTTPS_PORT   ports of the registry; default 80 and 443, or the next ones that are free
#   CERTS_D                 where the engine looks for CAs; default /etc/docker/certs.d
#   BUILD=no                use the image msrctl/msr that the engine has, such as one loaded from a file
#   QUICKSTART_STATE        directory for what this script makes; default .quickstart
set -euo pipefail

CHECKOUT=$(cd "$(dirname "$0")/.." && pwd)
STATE=${QUICKSTART_STATE:-$CHECKOUT/.quickstart}
VENV=$STATE/venv
CERTS_D=${CERTS_D:-/etc/docker/certs.d}
DOCKER_FILES=${DOCKER_CONFIG:-${HOME:-/root}/.docker}
PATH=$PATH:/usr/sbin:/sbin
# Wheels and pip's downloads are kept with the rest, so that --down leaves none.
export XDG_CACHE_HOME=$STATE/cache PIP_DISABLE_PIP_VERSION_CHECK=1 DEBIAN_FRONTEND=noninteractive

BASE=debian:trixie-slim
LATEST=msrctl/msr:latest
ADMIN="admin"
SAMPLE=quickstart/hello:1.0

say() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
fail() {
  printf '\nError: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

# -- what was made, so that --down takes away that and nothing else

record() { printf '%s\n' "$2" >>"$STATE/$1"; }
recorded() { cat "$STATE/$1" 2>/dev/null || true; }
has() { [ -s "$STATE/$1" ]; }
json() { # FILE EXPRESSION: prints the expression over the document `d`, nothing for None
  "$VENV/bin/python" -c 'import json, sys
d = json.load(open(sys.argv[1]))
found = eval(sys.argv[2])
print("" if found is None else found)' "$1" "$2"
}

prepare_state() {
  mkdir -p "$STATE"
  chmod 700 "$STATE"
  echo '*' >"$STATE/.gitignore"
}

# -- packages

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
all_packages() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort; }

install_packages() {
  local before
  note "installing Debian packages: $*"
  before=$(mktemp "$STATE/before.XXXX")
  all_packages >"$before"
  apt-get --simulate --quiet=2 install "$@" >/dev/null 2>&1 || apt-get update --quiet=2
  apt-get install --yes --quiet=2 --no-install-recommends "$@" >"$STATE/apt.log" 2>&1 || {
    apt-get update --quiet=2
    apt-get install --yes --quiet=2 --no-install-recommends "$@" >"$STATE/apt.log" 2>&1
  } || fail "apt-get could not install $*" "$(tail -n 3 "$STATE/apt.log")"
  all_packages | comm -13 "$before" - >>"$STATE/packages"
  rm -f "$before"
}

remove_packages() {
  local packages more
  mapfile -t packages < <(recorded packages | sort -u)
  [ ${#packages[@]} -gt 0 ] || return 0
  # Something that was installed since may rest upon them.
  more=$(apt-get --simulate purge "${packages[@]}" | awk '/^(Remv|Purg) / { print $2 }' | sort -u \
    | comm -23 - <(recorded packages | sort -u) | tr '\n' ' ')
  if [ -n "$more" ]; then
    note "kept these packages, because $more needs them: ${packages[*]}"
    return 0
  fi
  note "removing the packages that this script installed: ${packages[*]}"
  apt-get purge --yes --quiet=2 "${packages[@]}" >/dev/null
}

# -- Python and msrctl

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

prepare_msrctl() {
  local python sources
  cd "$CHECKOUT"
  sources=$(find msrctl schemas pyproject.toml -type f ! -name '*.pyc' -print0 | sort -z \
    | xargs -0 sha256sum | sha256sum)
  if [ "$(recorded sources)" = "$sources" ] && "$VENV/bin/msrctl" --version >/dev/null 2>&1; then
    return
  fi
  say "Installing msrctl into a virtual environment ($VENV)"
  find_python >/dev/null || install_packages python3
  python=$(find_python) || fail "Python 3.11 or newer is needed, and there is none"
  # Debian's Python comes without the means to make virtual environments.
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
  rm -f "$STATE/sources"
  "$python" -m venv "$VENV"
  "$VENV/bin/python" -m pip uninstall --quiet --yes msrctl 2>/dev/null || true
  "$VENV/bin/python" -m pip install --quiet .
  record sources "$sources"
  note "$("$VENV/bin/msrctl" --version)"
}

# -- the engine

engine_answers() { docker version >/dev/null 2>&1; }

prepare_engine() {
  case ${DOCKER_HOST:-unix://} in
    unix://*) ;;
    *) fail "DOCKER_HOST=$DOCKER_HOST may be another machine, where this script cannot install a CA" \
      "Run it there, or unset DOCKER_HOST." ;;
  esac
  if command -v docker >/dev/null && engine_answers; then
    note "using the Docker engine that is running ($(docker version --format '{{.Server.Version}}'))"
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST" \
    "Start it (and see that there is a docker command), or unset DOCKER_HOST to use the local one."
  if ! command -v docker >/dev/null || ! command -v dockerd >/dev/null; then
    install_engine
  fi
  engine_answers || start_engine
}

install_engine() {
  local packages=(docker.io iptables)
  say "There is no Docker engine: installing Debian's docker.io"
  [ -d /var/lib/docker ] || record made /var/lib/docker
  [ -d /etc/docker ] || record made /etc/docker
  apt-cache show docker.io >/dev/null 2>&1 || apt-get update --quiet=2
  # Newer releases have the docker command in a package of its own.
  ! apt-cache show docker-cli >/dev/null 2>&1 || packages+=(docker-cli)
  install_packages "${packages[@]}"
}

start_engine() {
  local pid
  if [ -d /run/systemd/system ]; then
    say "The Docker engine is not running: starting it (systemctl start docker)"
    systemctl start docker
    record started systemd
  else
    say "The Docker engine is not running, and there is no systemd: starting dockerd in the background"
    setsid dockerd >>"$STATE/dockerd.log" 2>&1 </dev/null &
    pid=$!
    rm -f "$STATE/dockerd.pid"
    record dockerd.pid "$pid"
    note "process $pid, log in $STATE/dockerd.log; it runs until --down or a reboot"
  fi
  for _ in $(seq 120); do
    ! engine_answers || return 0
    [ -z "${pid:-}" ] || kill -0 "$pid" 2>/dev/null || break
    sleep 0.5
  done
  fail "the Docker engine does not start" "Its log ends with:" \
    "$(tail -n 5 "$STATE/dockerd.log" 2>/dev/null || journalctl --unit docker --lines 5 --no-pager)"
}

# Whether a process is the dockerd that this script started, and not another with its number.
is_dockerd() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = dockerd ]; }

stop_engine() {
  local pid
  if has started && [ -d /run/systemd/system ]; then
    note "stopping the Docker engine (systemctl stop docker)"
    systemctl stop docker.socket docker || true
  fi
  pid=$(recorded dockerd.pid)
  if [ -n "$pid" ] && is_dockerd "$pid"; then
    note "stopping dockerd (process $pid)"
    kill "$pid"
    for _ in $(seq 120); do
      is_dockerd "$pid" || return 0
      sleep 0.5
    done
    fail "dockerd (process $pid) does not end" "See $STATE/dockerd.log, then run --down again."
  fi
}

# -- the image

image_ids() { docker image ls --all --quiet --no-trunc | sort -u; }

build_image() {
  if [ "${BUILD:-yes}" = no ] && docker image inspect "$(msrctl images list)" >/dev/null 2>&1; then
    note "using the image that the engine has ($(msrctl images list))"
    return
  fi
  say "Building the image"
  image_ids >"$STATE/images-before"
  # However the build ends: its first steps may have left images.
  trap record_images EXIT
  if ! docker image inspect "$BASE" >/dev/null 2>&1 && ! command -v mmdebstrap >/dev/null; then
    note "pulling $BASE"
    if ! timeout 20 docker pull --quiet "$BASE" >/dev/null 2>&1; then
      note "it cannot be pulled, so it will be made from Debian packages"
      install_packages mmdebstrap
    fi
  fi
  msrctl images build
  trap - EXIT
  record_images
}

record_images() {
  image_ids | comm -13 "$STATE/images-before" - >>"$STATE/images"
  rm "$STATE/images-before"
}

remove_images() {
  local id left
  docker image rm --force "$(recorded registry)/$SAMPLE" >/dev/null 2>&1 || true
  # An image that has two names does not go by its id.
  id=$(docker image inspect --format '{{.Id}}' "$LATEST" 2>/dev/null || true)
  ! recorded images | grep -qxF "${id:-none}" || docker image rm "$LATEST" >/dev/null
  # An image goes after those that were built upon it.
  for _ in 1 2 3 4 5 6; do
    left=()
    while read -r id; do
      ! docker image inspect "$id" >/dev/null 2>&1 || docker image rm "$id" >/dev/null 2>&1 || left+=("$id")
    done < <(recorded images | sort -u)
    [ ${#left[@]} -gt 0 ] || return 0
  done
  note "kept ${#left[@]} image(s) that something else uses: ${left[*]}"
}

# -- the registry

msrctl() { "$VENV/bin/msrctl" "$@"; }

# The address by which others reach this machine, without asking anybody; else the loopback.
own_address() {
  "$VENV/bin/python" -c '
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    try:
        s.connect(("198.51.100.1", 9))  # an address of documentation, by the default route; sends nothing
        print(s.getsockname()[0])
    except OSError:
        print("127.0.0.1")'
}

# The first port that is free: nobody listens at the address or on the loopback.
free_port() { # ADDRESS PORT...
  "$VENV/bin/python" -c '
import socket, sys
def taken(host, port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0
address, ports = sys.argv[1], map(int, sys.argv[2:])
free = (p for p in ports if not taken(address, p) and not taken("127.0.0.1", p))
print(next(free, None) or sys.exit(f"Error: none of these ports is free: {sys.argv[2:]}"))' "$@"
}

make_password() {
  has password || (
    umask 077
    "$VENV/bin/python" -c 'import secrets; print(secrets.token_urlsafe(18))' >"$STATE/password"
  )
}

install_registry() {
  local address http https registry
  address=${REGISTRY_ADDRESS:-$(own_address)}
  http=${HTTP_PORT:-$(free_port "$address" 80 {8080..8099})}
  https=${HTTPS_PORT:-$(free_port "$address" 443 {8443..8462})}
  # Without a port docker takes a first part with neither a dot nor a colon for a user of Docker Hub.
  registry=$address:$https
  [ "$https" != 443 ] || [[ $address != *[.]* ]] || registry=$address
  say "Installing the registry at https://$registry"
  make_password
  if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = inactive ]; then
    record swarm made
    docker network inspect docker_gwbridge >/dev/null 2>&1 || record networks docker_gwbridge
  fi
  msrctl --output json install --dtr-external-url "https://$registry" --admin-username "$ADMIN" \
    --admin-password-file "$STATE/password" --replica-http-port "$http" --replica-https-port "$https" \
    --advertise-addr "$(advertised "$address")" >"$STATE/install.json" \
    || fail "$(json "$STATE/install.json" 'd["error"]["message"]')" \
      "$(json "$STATE/install.json" 'd["error"].get("hint")')"
  json "$STATE/install.json" 'd["data"]["ca"]' >"$STATE/ca.crt"
  echo "$registry" >"$STATE/registry"
  json "$STATE/install.json" 'd["data"]["cluster_id"]' >"$STATE/cluster"
}

# A swarm advertises an address, not a name.
advertised() {
  if [[ $1 =~ ^[0-9.]+$ ]]; then echo "$1"; else own_address; fi
}

installed_cluster() {
  # It ends with 6 if nothing is installed, and with 10 if something is not healthy.
  msrctl --output json status >"$STATE/status.json" || [ -s "$STATE/status.json" ] \
    || fail "msrctl status failed"
  json "$STATE/status.json" '(d["data"] or {}).get("cluster_id") or None'
}

refuse_foreign_registry() {
  local cluster
  cluster=$(installed_cluster)
  if [ -n "$cluster" ] && [ "$cluster" != "$(recorded cluster)" ]; then
    fail "this swarm has a registry already, which this script did not install: $(
      json "$STATE/status.json" 'd["data"]["url"]')" "Nothing was changed. msrctl status tells about it."
  fi
}

prepare_registry() {
  if [ -z "$(installed_cluster)" ]; then
    install_registry
  else
    say "The registry is installed already"
    msrctl status || fail "it is not healthy" "Mend what the status says, or start afresh with --down."
  fi
}

trust_ca() {
  local directory
  directory=$CERTS_D/$(recorded registry)
  [ -d "$CERTS_D" ] || record made "$CERTS_D"
  mkdir -p "$directory"
  cp "$STATE/ca.crt" "$directory/ca.crt"
  note "the engine trusts its CA: $directory/ca.crt"
}

# -- push and pull

make_sample() { # REFERENCE: an image of one program, made of what is at hand
  local container
  ! docker image inspect "$1" >/dev/null 2>&1 || return 0
  container=$(docker create "$(msrctl images list)")
  docker cp "$container:/bin/busybox" - \
    | docker import --change 'CMD ["/busybox", "echo", "Hello from your own registry"]' - "$1" >/dev/null
  docker rm "$container" >/dev/null
}

digest() { # REFERENCE
  docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | sed -n "s|^${1%:*}@||p"
}

push_and_pull() {
  local registry image pushed pulled
  registry=$(recorded registry)
  image=$registry/$SAMPLE
  say "Pushing an image and pulling it back"
  [ -d "$DOCKER_FILES" ] || record made "$DOCKER_FILES"
  docker login --username "$ADMIN" --password-stdin "$registry" <"$STATE/password" >"$STATE/login.log" 2>&1 \
    || fail "docker login $registry failed" "$(tail -n 2 "$STATE/login.log")"
  note "logged in as $ADMIN"
  make_sample "$image"
  docker push --quiet "$image" | sed 's/^/    pushed  /'
  pushed=$(digest "$image")
  docker image rm --force "$image" >/dev/null
  docker pull --quiet "$image" | sed 's/^/    pulled  /'
  pulled=$(digest "$image")
  if [ -z "$pushed" ] || [ "$pushed" != "$pulled" ]; then
    fail "what was pulled (${pulled:-nothing}) is not what was pushed (${pushed:-nothing})"
  fi
  note "digests are equal: $pulled"
  note "$(docker run --rm --network none "$image")"
}

summary() {
  local registry
  registry=$(recorded registry)
  say "Your registry runs, after $SECONDS s"
  note "URL:       https://$registry"
  note "User:      $ADMIN"
  note "Password:  in $STATE/password"
  say "Next"
  note "$VENV/bin/msrctl status"
  note "docker tag IMAGE $registry/my/image:1.0 && docker push $registry/my/image:1.0"
  note "$0 --down      takes everything away again"
}

# -- down

down() {
  [ -d "$STATE" ] || { note "there is nothing to take away: no $STATE"; return; }
  say "Taking away what the quickstart made"
  if has registry || has images || has swarm || has_installed_engine; then
    prepare_engine
    remove_registry
    remove_images
  fi
  remove_engine
  rm -rf "$STATE"
  note "done, after $SECONDS s"
}

has_installed_engine() { recorded packages | grep -qx docker.io; }

remove_registry() {
  local registry cluster
  registry=$(recorded registry)
  prepare_msrctl
  cluster=$(installed_cluster)
  if [ -n "$cluster" ] && [ "$cluster" = "$(recorded cluster)" ]; then
    msrctl destroy --remove-data --yes
  elif [ -z "$cluster" ] && has swarm; then
    # An install that was cut off; its leftovers have a journal.
    msrctl install --undo >/dev/null 2>&1 || true
  fi
  leave_swarm
  [ -n "$registry" ] || return 0
  forget_login "$registry"
  rm -f "$CERTS_D/$registry/ca.crt"
  rmdir "$CERTS_D/$registry" 2>/dev/null || true
  ! recorded made | grep -qxF "$CERTS_D" || rmdir "$CERTS_D" 2>/dev/null || true
}

forget_login() {
  docker logout "$1" >/dev/null 2>&1 || true
  recorded made | grep -qxF "$DOCKER_FILES" || return 0
  # Logging in made this; it goes unless there is something else in it by now.
  [ "$(tr -d '[:space:]' <"$DOCKER_FILES/config.json")" != '{"auths":{}}' ] || rm "$DOCKER_FILES/config.json"
  rmdir "$DOCKER_FILES" 2>/dev/null || true
}

# A swarm that was made for the registry goes, unless something else has moved in.
leave_swarm() {
  has swarm || return 0
  if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" = inactive ]; then
    ! has networks || docker network rm docker_gwbridge >/dev/null 2>&1 || true
  elif [ -z "$(docker service ls -q; docker config ls -q; docker secret ls -q)" ]; then
    docker swarm leave --force >/dev/null
    leave_swarm
  else
    note "the engine stays in its swarm: something else lives there"
  fi
}

remove_engine() {
  local path
  if has_installed_engine && [ -n "$(docker ps -aq; docker volume ls -q; docker image ls -q)" ]; then
    note "Docker stays, because it has containers, volumes or images that this script did not make."
    note "To remove it with all its data: apt-get purge docker.io && rm -rf /var/lib/docker"
    note "Packages that this script installed: $(recorded packages | sort -u | tr '\n' ' ')"
    return
  fi
  stop_engine
  remove_packages
  while read -r path; do
    case $path in
      /var/lib/docker) remove_engine_data ;;
      *) rmdir "$path" 2>/dev/null || true ;;
    esac
  done < <(recorded made)
}

# The engine's data go with the engine, if both came with this script.
remove_engine_data() {
  local mounted
  # Where / is not shared, as without systemd, dockerd leaves mounts behind.
  for mounted in /var/lib/docker /run/docker/netns/*; do
    umount "$mounted" 2>/dev/null || true
  done
  rm -rf /var/lib/docker /var/lib/containerd /run/docker /run/containerd /etc/docker/key.json \
    || note "some of the engine's data could not be removed; see above"
  note "network interfaces and firewall rules of the engine (docker0) last until the next boot"
}

# -- main

case ${1:-} in
  '' | --down) ;;
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  *) echo "usage: $0 [--down]" >&2; exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || fail "this needs root, and there is no sudo" "Run it as root."
  echo "This needs root: continuing with sudo."
  settings=()
  for name in DOCKER_HOST REGISTRY_ADDRESS HTTP_PORT HTTPS_PORT CERTS_D BUILD QUICKSTART_STATE \
    http_proxy https_proxy no_proxy; do
    [ -z "${!name:-}" ] || settings+=("$name=${!name}")
  done
  exec sudo env "${settings[@]}" bash "$0" "$@"
fi
if [ "${1:-}" = --down ]; then
  down
  exit
fi
prepare_state
prepare_engine
prepare_msrctl
refuse_foreign_registry
build_image
prepare_registry
trust_ca
push_and_pull
summary
