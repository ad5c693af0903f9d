"""Serves Keystone, one request after the other (SQLite allows no more); runs with the Python that has it."""

import sqlite3
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

from keystone.server.flask.core import initialize_application  # type: ignore[import-not-found]

CONFIG = "/srv/keystone/keystone.conf"
DATABASE = "/srv/keystone/keystone.db"


class Handler(WSGIRequestHandler):
    def address_string(self) -> str:
        return str(
            self.client_address[0]
        )  # without asking for a name, which takes its time where there is no DNS


def main() -> None:
    address, port = sys.argv[1], int(sys.argv[2])
    sys.argv[1:] = []
    # Keystone commits while it still reads on another connection: with a write-ahead log it may.
    sqlite3.connect(DATABASE).execute("PRAGMA journal_mode = WAL").close()
    application = initialize_application("public", config_files=[CONFIG])
    make_server(address, port, application, handler_class=Handler).serve_forever()


if __name__ == "__main__":
    main()
