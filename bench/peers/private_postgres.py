"""A PostgreSQL of one's own for as long as a measurement lasts, with the settings that millrace gives its private one."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

SETTINGS = {
    "listen_addresses": "", "unix_socket_permissions": "0700", "shared_buffers": "128MB", "max_wal_size": "2GB",
    "max_connections": "100", "jit": "off",
}
USER = "millrace"


@contextlib.contextmanager
def running(folder: pathlib.Path, databases: list[str]) -> Iterator[dict[str, str]]:
    """Yields the connection string of each database. PostgreSQL refuses to run as root: then it is run as postgres."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    who = {}
    if os.geteuid() == 0:
        who = {"user": "postgres"}
        shutil.chown(folder, "postgres")
        shutil.chown(data, "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **who}
    subprocess.run([program("initdb"), "-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8"], check=True, **quiet)
    settings = [f"-c{name}={value}" for name, value in (SETTINGS | {"unix_socket_directories": str(folder)}).items()]
    with subprocess.Popen([program("postgres"), "-D", data, *settings], **quiet) as server:
        try:
            for name in databases:
                create(folder, name, quiet)
            yield {name: f"postgres://{USER}@/{name}?host={folder}" for name in databases}
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown


def create(folder: pathlib.Path, name: str, quiet: dict) -> None:
    command = [program("createdb"), "-h", folder, "-U", USER, name]
    for _ in range(300):
        if subprocess.run(command, **quiet).returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError(f"PostgreSQL does not answer in {folder}")


def program(name: str) -> str:
    found = shutil.which(name) or next(map(str, pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        raise FileNotFoundError(f"{name} is not on this machine: install PostgreSQL's server")
    return found
