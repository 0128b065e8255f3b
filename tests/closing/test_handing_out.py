"""What a close hands out: complete, the same bytes each time, and never taken for something to read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from openpyxl import load_workbook

from shs_pipeline.base.errors import ShsError
from shs_pipeline.closing.handing_out import hand_out
from shs_pipeline.closing.verifying import verify
from shs_pipeline.landing.zone import Landing
from shs_pipeline.people.access import drop_logins, sync_logins
from shs_pipeline.preview.statements import statement_file
from shs_pipeline.preview.viewer import find_viewer
from shs_pipeline.settings.secret_store import FileSecrets
from tests.conftest import copies
from tests.helpers.closed_house import JANUARY, House, closed, opened

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(january_house: House, postgres_home: Path) -> Iterator[House]:
    """January was closed, opened again and closed."""
    for house in copies(january_house, postgres_home):
        house.ask(opened(JANUARY, "A rate was wrong."))
        house.ask(closed(JANUARY, paid=date(2025, 2, 15)))
        yield house


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        place.relative_to(folder).as_posix(): place.read_bytes()
        for place in sorted(folder.rglob("*"))
        if place.is_file()
    }


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_each_close_is_handed_out_once_and_after_a_kill_again_with_the_same_bytes(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Landing((tmp_path / "landing").as_uri())
    written: list[str] = []
    write = Landing.write

    def killed(self: Landing, path: str, content: bytes) -> None:
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path)
        write(self, path, content)

    monkeypatch.setattr(Landing, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        hand_out(house.connection, landing)
    house.connection.rollback()
    assert "paid/2025-01/receipt.json" not in written
    monkeypatch.undo()

    done = hand_out(house.connection, landing)
    assert [(one.folder, one.statements) for one in done] == [
        ("paid/2025-01", 2),
        ("paid/2025-01-reopened", 0),
        ("paid/2025-01-2", 2),
    ]
    assert hand_out(house.connection, landing) == []
    files = files_below(tmp_path / "landing" / "paid")
    assert {name.split("/", 1)[1] for name in files if name.startswith("2025-01/")} == {
        "statements/P-ANN.pdf", "statements/P-ANN.xlsx", "statements/P-BO.pdf", "statements/P-BO.xlsx",
        "payroll.csv", "payroll.xlsx", "ledger.csv", "receipt.json",
    }  # fmt: skip
    # Nothing of it is ever read, nor called an unknown place.
    assert landing.drops() == []

    payroll = rows_of(files["2025-01-2/payroll.csv"])
    assert [(row["Payee ID"], row["Paid"], row["Pay Date"], row["Paid This Year"]) for row in payroll] == [
        ("P-ANN", "300.00", "2025-02-15", "300.00"),
        ("P-BO", "30.00", "2025-02-15", "30.00"),
    ]
    ledger = rows_of(files["2025-01/ledger.csv"])
    known = [row["id"] for row in ledger if row["record"] == "identity"]
    assert {"P-ANN", "P-BO"} < set(known)
    assert sorted(row["record"] for row in ledger) == sorted(
        ["statement", "entry", "product line", "line"] * 2 + ["identity"] * len(known)
    )
    taken_back = rows_of(files["2025-01-reopened/ledger.csv"])
    assert sorted(row["amount"] for row in taken_back) == ["-30.00", "-300.00"]

    before = None
    for folder in ("2025-01", "2025-01-reopened", "2025-01-2"):
        receipt = json.loads(files[f"{folder}/receipt.json"])
        assert receipt["receipt_before"] == before
        assert receipt["files"] == {
            name.removeprefix(f"{folder}/"): sha256(content).hexdigest()
            for name, content in files.items()
            if name.startswith(f"{folder}/") and not name.endswith("receipt.json")
        }
        assert "reference/pay_periods.xlsx" in receipt["inputs"]
        before = sha256(files[f"{folder}/receipt.json"]).hexdigest()

    _check_verification(house, landing, tmp_path / "landing" / "paid")


def _check_verification(house: House, landing: Landing, paid: Path) -> None:
    """Whatever is changed afterwards is found."""
    sound = verify(house.connection, landing)
    assert (sound.receipts, sound.faults) == (3, [])

    (paid / "2025-01" / "payroll.csv").write_text("nothing")
    (paid / "2025-01-2" / "statements" / "P-BO.pdf").unlink()
    assert verify(house.connection, landing).faults == [
        "paid/2025-01/payroll.csv is not the file that was handed out.",
        "paid/2025-01-2/statements/P-BO.pdf is gone.",
    ]
    # Only whoever switches the triggers off changes the ledger, and that shows.
    with house.connection.transaction(force_rollback=True):
        house.connection.execute("alter table ledger.entries disable trigger never_changed")
        house.connection.execute("update ledger.entries set amount = amount + 1 where close_no = 1")
        assert (
            "The ledger in the database is not the one of receipt 1."
            in verify(house.connection, landing).faults
        )


def test_the_preview_serves_each_person_their_own_statement_as_it_was_handed_out(
    house: House, tmp_path: Path
) -> None:
    landing, secrets = Landing((tmp_path / "landing").as_uri()), FileSecrets(tmp_path / "secrets.json")
    owner = psycopg.connect(house.url, autocommit=True)
    try:
        sync_logins(owner, secrets)
        ann, head = (find_viewer(owner, secrets, house.url, name) for name in ("Ann Gray", "Ada Head"))
        with pytest.raises(ShsError, match=r"paid/2025-01-\d/statements/P-ANN.pdf is not in the landing"):
            statement_file(ann, landing, {"month": "2025-01"}, "pdf")
        landing.write("paid/2025-01-2/statements/P-ANN.pdf", b"Ann's")
        landing.write("paid/2025-01-2/statements/P-BO.pdf", b"Bo's")

        closed_one = statement_file(ann, landing, {"month": "2025-01"}, "pdf")
        assert (closed_one.name, closed_one.content) == ("statement-2025-01-P-ANN-2.pdf", b"Ann's")
        open_one = statement_file(ann, landing, {}, "xlsx")
        assert open_one.name == "statement-2025-02-P-ANN-provisional.xlsx"
        assert "Bo Marsh" not in str(list(load_workbook(io.BytesIO(open_one.content)).active.values))
        assert statement_file(ann, landing, {}, "pdf").content.startswith(b"%PDF")

        with pytest.raises(ShsError, match="no such statement for you"):
            statement_file(ann, landing, {"month": "2025-01", "rep": "Bo Marsh"}, "pdf")
        with pytest.raises(ShsError, match="Choose a rep"):
            statement_file(head, landing, {"month": "2025-01"}, "pdf")
        of_bo = statement_file(head, landing, {"month": "2025-01", "rep": "Bo Marsh"}, "pdf")
        assert of_bo.content == b"Bo's"
    finally:
        drop_logins(owner, secrets)
        owner.close()
