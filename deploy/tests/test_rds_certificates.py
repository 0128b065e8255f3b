from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import DEPLOY


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which its files can be fetched."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A copy of the script in a folder of its own, beside which it writes."""
    return Path(shutil.copy(DEPLOY / "rds_certificates.sh", tmp_path))


def certificate(folder: Path, organization: str) -> bytes:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *(
                "-subj",
                f"/O={organization}/CN=root",
                "-keyout",
                "/dev/null",
                "-out",
                str(folder / "made.pem"),
            ),
        ],
        check=True,
        capture_output=True,
    )
    return (folder / "made.pem").read_bytes()


def fetch(script: Path, url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RDS_CERTIFICATES_URL": url, "no_proxy": "127.0.0.1"}
    return subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, check=False)


def test_certificates_of_rds_are_put_where_the_image_takes_them_from(
    served: tuple[Path, str], script: Path, tmp_path: Path
) -> None:
    folder, url = served
    bundle = certificate(tmp_path, "Amazon Web Services, Inc.") + certificate(
        tmp_path, "Amazon Web Services, Inc."
    )
    (folder / "bundle.pem").write_bytes(bundle)
    ended = fetch(script, f"{url}/bundle.pem")
    assert (ended.returncode, ended.stdout) == (0, "2 certificates of RDS\n")
    assert (tmp_path / "rds-certificates.pem").read_bytes() == bundle


def test_what_is_not_a_certificate_of_rds_is_refused_and_the_old_file_stays(
    served: tuple[Path, str], script: Path, tmp_path: Path
) -> None:
    folder, url = served
    (tmp_path / "rds-certificates.pem").write_text("old")
    (folder / "foreign.pem").write_bytes(
        certificate(tmp_path, "Amazon Web Services, Inc.") + certificate(tmp_path, "Somebody")
    )
    (folder / "page.pem").write_text("<html>Log in to the network</html>")
    for name, said in (("foreign", "not those of RDS"), ("page", "no certificates"), ("nowhere", "404")):
        ended = fetch(script, f"{url}/{name}.pem")
        assert ended.returncode != 0
        assert said in ended.stderr
    assert (tmp_path / "rds-certificates.pem").read_text() == "old"
    assert [path.name for path in tmp_path.glob("rds-certificates.pem*")] == ["rds-certificates.pem"]
