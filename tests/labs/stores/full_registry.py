"""A registry 2.8.3 with all drivers, as an image for ``--registry-image``; built from Debian packages alone.

Debian's own binary lacks azure and gcs. Their sources are in Debian's source package; the libraries that they
need are packages too, but for Google's client library of 2015: ``full_registry_go/`` maps the few calls that
the driver makes onto today's. The root filesystem for the build is thrown away, the image stays in the cache.

The image is made like the registry project's own: ``registry`` is on the path, the entry point takes a
configuration file or a command.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.cache import hash_of_files, hash_of_text, making
from labs.images import BUILD_TIMEOUT, MMDEBSTRAP_OPTIONS
from labs.stores.archive import image_archive
from labs.stores.roots import SUITE
from labs.tiny import busybox

REFERENCE = "registry:2.8.3-all"
SOURCES = Path(__file__).with_name("full_registry_go")
PACKAGES = (
    *("golang-go", "xz-utils", "ca-certificates", "golang-github-docker-distribution-dev"),
    *("golang-github-azure-azure-sdk-for-go-dev", "golang-google-cloud-dev", "golang-google-api-dev"),
    *("golang-golang-x-oauth2-google-dev", "golang-github-bshuster-repo-logrus-logstash-hook-dev"),
    "golang-github-shopify-logrus-bugsnag-dev",
)
# 540 MB that nothing here needs.
EXCLUDED = tuple(
    f"--dpkgopt=path-exclude=/usr/share/gocode/src/github.com/Azure/azure-sdk-for-go/{name}/*"
    for name in ("services", "profiles")
)
# The lists of source packages come from where the binary packages come from.
SOURCE_LISTS = 'sed "s/^deb /deb-src /" "$1/etc/apt/sources.list" >"$1/etc/apt/sources.list.d/source.list"'
BUILD = """\
set -e
cd /build
apt-get update --quiet=2
apt-get source --download-only --tar-only --quiet=2 docker-registry
distribution=/usr/share/gocode/src/github.com/docker/distribution
tar -xJf docker-registry_*.orig.tar.xz --strip-components=1 --wildcards "*/storage/driver/azure/azure.go"
mv registry/storage/driver/azure "$distribution/registry/storage/driver/"
mkdir -p src/google.golang.org/cloud/storage src/registry
mv cloud.go src/google.golang.org/cloud/
mv storage.go src/google.golang.org/cloud/storage/
mv drivers.go "$distribution/cmd/registry/main.go" src/registry/
export GO111MODULE=off GOPATH=/build:/usr/share/gocode GOCACHE=/build/cache CGO_ENABLED=0 HOME=/build
go build -tags include_gcs -ldflags "-s -w" -o /build/registry.bin registry
"""

ENTRYPOINT = """\
#!/bin/sh
set -e
case "$1" in
  *.yaml | *.yml) set -- registry serve "$@" ;;
  serve | garbage-collect | help | -*) set -- registry "$@" ;;
esac
exec "$@"
"""
CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
"""
APPLETS = ("cat", "ls", "sh", "wget")


def full_registry_image() -> Path:
    """The image `REFERENCE` as a `docker save` archive; made when it is not in the cache, in 2-4 min.

    Raises:
        RuntimeError: the build failed; the text has the end of what it wrote.
    """
    with making("full-registry") as cache:
        texts = f"{SUITE} {PACKAGES} {EXCLUDED} {BUILD} {ENTRYPOINT} {CONFIG} {APPLETS}"
        key = hash_of_text(hash_of_files([SOURCES]) + texts)
        archive = cache / f"full-registry-{key}.tar"
        if not archive.exists():
            partial = archive.with_suffix(".partial")
            _write_image(partial, _build())
            for old in cache.glob("full-registry-*.tar"):
                old.unlink()
            partial.rename(archive)
        return archive


def _build() -> bytes:
    """Builds the registry in a root filesystem that exists only meanwhile; returns the program."""
    with TemporaryDirectory(prefix="msrctl-full-registry-") as scratch:
        # mmdebstrap changes into a root of its own: what it runs is in a file that it copies in.
        inside = Path(scratch) / "build"
        shutil.copytree(SOURCES, inside)
        (inside / "build.sh").write_text(BUILD)
        hooks = (
            SOURCE_LISTS,
            f"copy-in {inside} /",
            'chroot "$1" sh /build/build.sh',
            f"copy-out /build/registry.bin {scratch}",
        )
        command = ["mmdebstrap", *MMDEBSTRAP_OPTIONS, *EXCLUDED, f"--include={','.join(PACKAGES)}"]
        done = subprocess.run(
            [*command, *(f"--customize-hook={hook}" for hook in hooks), "--format=null", SUITE, "/dev/null"],
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the registry's build: exit {done.returncode}\n{done.stderr[-3000:]}")
        return (Path(scratch) / "registry.bin").read_bytes()


def _write_image(archive: Path, program: bytes) -> None:
    files = {
        "bin/registry": (program, 0o755),
        "bin/busybox": (busybox().read_bytes(), 0o755),
        "entrypoint.sh": (ENTRYPOINT.encode(), 0o755),
        "etc/docker/registry/config.yml": (CONFIG.encode(), 0o644),
        "etc/passwd": (b"root:x:0:0:root:/root:/bin/sh\n", 0o644),
    }
    links = {f"bin/{name}": "busybox" for name in APPLETS} | {"usr/bin/docker-registry": "/bin/registry"}
    config = {
        "Entrypoint": ["/entrypoint.sh"],
        "Cmd": ["/etc/docker/registry/config.yml"],
        "Env": ["PATH=/usr/bin:/bin"],
        "ExposedPorts": {"5000/tcp": {}},
        "Volumes": {"/var/lib/registry": {}},
    }
    image_archive(archive, REFERENCE, files, links, config)
