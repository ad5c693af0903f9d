"""S3 by Ceph's object gateway over TLS with a private CA: one monitor, one object store, no manager.

Without a manager nothing watches placement groups; for one daemon that lives minutes nothing must. cephx is
off: that needs ``ms_mon_client_mode=crc`` for the gateway and ``--no-mon-config``. `rgw_dns_name` stays
unset, or requests by address would be taken for another host's.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING

from labs.stores.certificates import server_files
from labs.stores.ports import free_ports, listens
from labs.stores.roots import package_root
from labs.stores.running import store_machine
from labs.stores.s3 import BUCKET, S3Store
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labs.stores.certificates import ServerFiles
    from labs.stores.running import StoreMachine

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw", "ceph-common")
START_TIMEOUT = 120

# memstore would never give memory back; bluestore lives in a sparse file.
CONFIG = """\
[global]
fsid = {fsid}
mon_host = [v2:{address}:{mon},v1:{address}:{mon1}]
public_network = {address}/32
ms_bind_port_min = {low}
ms_bind_port_max = {high}
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
run_dir = {home}
log_file = {home}/$name.log
admin_socket = {home}/$name.asok
pid_file = {home}/$name.pid
[mon.a]
mon_data = {home}/mon
mon_osd_full_ratio = .99
mon_osd_backfillfull_ratio = .985
mon_osd_nearfull_ratio = .98
mon_data_avail_warn = 1
mon_data_avail_crit = 1
[osd.0]
osd_data = {home}/osd
osd_objectstore = bluestore
bluestore_block_size = 17179869184
bluestore_block_db_create = false
bluestore_block_wal_create = false
bluestore_fsck_on_mount = false
osd_memory_target = 939524096
osd_class_load_list = *
osd_class_default_list = *
[client.rgw.a]
rgw_data = {home}/rgw
ms_mon_client_mode = crc
ms_mode = crc
ms_client_mode = crc
ms_cluster_mode = crc
ms_service_mode = crc
rgw_frontends = beast ssl_endpoint={address}:{port} ssl_certificate={certificate} ssl_private_key={key}
rgw_thread_pool_size = 64
rgw_enable_usage_log = false
rgw_gc_max_objs = 7
rgw_run_sync_thread = false
rgw_enable_lc_threads = false
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
rgw_gc_processor_max_time = 10
"""

# Makes and starts everything in turn; each daemon but the gateway goes into the background when it is ready.
BRING_UP = """\
set -e
mkdir -p "$HOME_DIR/mon" "$HOME_DIR/osd" "$HOME_DIR/rgw"
monmaptool --create --clobber --fsid "$FSID" --addv a "$MON" "$HOME_DIR/monmap" >/dev/null
ceph-mon -i a --mkfs --monmap "$HOME_DIR/monmap"
ceph-mon -i a
ceph osd new "$OSD"
ceph-osd -i 0 --mkfs --osd-uuid "$OSD"
ceph-osd -i 0
exec radosgw -f --no-mon-config -n client.rgw.a
"""


def root() -> Path:
    """The root filesystem with Ceph; made when it is not in the cache, in 30-90 s."""
    return package_root("ceph", PACKAGES)


@contextlib.contextmanager
def ceph(address: str) -> Iterator[S3Store]:
    """An S3 store with one bucket; measured: up in 15-20 s, 0.4 GB of memory.

    Arguments:
        address: the address of this machine to listen on.

    Raises:
        RuntimeError: it did not start; the text has the ends of its logs.
    """
    with store_machine("ceph", root()) as machine:
        (port,) = free_ports(address, 1)
        files = server_files(machine.directory, address)
        ca_file = machine.directory / "ca.crt"
        ca_file.write_text(files.ca)
        _bring_up(machine, address, port, files)
        machine.wait_for(lambda: listens(address, port), START_TIMEOUT, "Ceph's gateway answers")
        key, secret = _make_user(machine)
        store = S3Store(
            endpoint=f"https://{address}:{port}",
            container=BUCKET,
            ca=files.ca,
            machine=machine,
            access_key=key,
            secret_key=secret,
            ca_file=ca_file,
        )
        store.bucket(BUCKET)
        yield store


def _bring_up(machine: StoreMachine, address: str, port: int, files: ServerFiles) -> None:
    # The object store's daemon needs a range of ports for itself.
    mon, mon1, low = free_ports(address, 3)
    fsid = str(uuid.uuid4())
    config = CONFIG.format(
        fsid=fsid,
        address=address,
        port=port,
        mon=mon,
        mon1=mon1,
        low=low,
        high=low + 30,
        home=machine.directory,
        certificate=files.certificate,
        key=files.key,
    )
    path = machine.directory / "ceph.conf"
    path.write_text(config)
    machine.start(
        *("ceph", "bash", "-c", BRING_UP),
        env={
            "CEPH_CONF": str(path),
            "HOME_DIR": str(machine.directory),
            "FSID": fsid,
            "OSD": str(uuid.uuid4()),
            "MON": f"[v2:{address}:{mon},v1:{address}:{mon1}]",
        },
    )


def _make_user(machine: StoreMachine) -> tuple[str, Secret]:
    done = machine.run(
        *(
            "radosgw-admin",
            "-c",
            str(machine.directory / "ceph.conf"),
            "-n",
            "client.rgw.a",
            "--no-mon-config",
        ),
        *("user", "create", "--uid=registry", "--display-name=registry"),
        timeout=START_TIMEOUT,
    )
    keys = json.loads(done.stdout)["keys"][0]
    return keys["access_key"], Secret(keys["secret_key"])
