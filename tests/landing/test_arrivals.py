"""Arrival by event: the sensor with a real SQS-compatible server and a real bucket.

SeaweedFS holds the objects and moto's server the queue; what S3 would send is sent by the tests.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3
import dagster as dg
import psycopg
import pytest
from botocore.exceptions import ClientError

from assets.ingested import UNKNOWN_KEY
from assets.warehouse import Warehouse
from sensors import sight as sight_module
from sensors.landing import landing_sensor
from sensors.memory import Memory
from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.finding import Finding
from shs_pipeline.ingest.changes import Books, changed_folders, partition_folder, read_books, reference_folder
from shs_pipeline.landing.arrivals import ArrivalsQueue, Named, _reason, objects_named
from shs_pipeline.landing.listing import Drop
from shs_pipeline.landing.zone import Landing
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.settings import Settings, load_settings
from shs_pipeline.sources.registry import source_named
from shs_pipeline.system.doctor import examine

if TYPE_CHECKING:
    from tests.conftest import Zone

CREATED, REMOVED = "ObjectCreated:Put", "ObjectRemoved:Delete"
MARCH = date(2025, 3, 1)
pytestmark = pytest.mark.slow
AWS_QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/shs-arrivals"


@pytest.fixture(scope="module")
def sqs_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of moto's server, which speaks the protocol of SQS."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    program = Path(sys.executable).with_name("moto_server")
    with log.open("wb") as handle:
        process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)], stdout=handle, stderr=handle
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@dataclass
class Queue:
    """A queue with a dead-letter queue, on the server for the tests."""

    address: str
    name: str
    sqs: Any = None
    url: str = ""
    dead_url: str = ""

    def make(self, redrive_after: int = 5) -> Queue:
        self.sqs = boto3.client(
            "sqs",
            endpoint_url=self.address,
            region_name="us-east-1",
            aws_access_key_id="tester",
            aws_secret_access_key="secret-of-the-test",
        )
        self.dead_url = self.sqs.create_queue(QueueName=f"{self.name}-dead")["QueueUrl"]
        asked = self.sqs.get_queue_attributes(QueueUrl=self.dead_url, AttributeNames=["QueueArn"])
        redrive = {
            "deadLetterTargetArn": asked["Attributes"]["QueueArn"],
            "maxReceiveCount": str(redrive_after),
        }
        self.url = self.sqs.create_queue(
            QueueName=self.name,
            # As short as can be, so that what was not acknowledged comes again within the test.
            Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(redrive)},
        )["QueueUrl"]
        return self

    def send(self, body: object) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.sqs.send_message(QueueUrl=self.url, MessageBody=text)

    def count(self, url: str = "") -> int:
        """How many messages it holds, received or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        asked = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)
        return sum(int(asked["Attributes"][name]) for name in names)


@dataclass
class House:
    """A bucket, its queue, a database, and the sensor in a process that may die."""

    zone: Zone
    queue: Queue
    instance: dg.DagsterInstance
    cursor: str | None = None
    listed: list[str] = field(default_factory=list)
    objects_listed: int = 0
    folders_read: int = 0
    sensor: dg.SensorDefinition = field(default_factory=lambda: landing_sensor(5, 20))

    def look(self, *, is_kept: bool = True) -> dg.SensorResult:
        """One look of the sensor; its cursor is kept unless something died in between."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"warehouse": Warehouse()}
        )
        result = self.sensor(context)
        assert isinstance(result, dg.SensorResult), result
        if is_kept:
            self.cursor = result.cursor
        return result

    def why_not(self) -> str:
        """Why a look requests nothing."""
        reason = self.look().skip_reason
        assert reason is not None
        return reason.skip_message or ""

    def requested(self, *, is_kept: bool = True) -> list[tuple[str, str | None]]:
        """The assets that a look requests, each with its month."""
        return [
            (key.path[-1], request.partition_key)
            for request in self.look(is_kept=is_kept).run_requests or ()
            for key in request.asset_selection or ()
        ]

    def die(self) -> None:
        """Begin a new process: what the old one knew besides the cursor is lost."""
        self.sensor = landing_sensor(5, 20)

    def tell(
        self, path: str, event: str = CREATED, bucket: str = "", below: str | None = None, actor: str = ""
    ) -> None:
        """Send what S3 sends when something happens to an object."""
        own, _, prefix = self.zone.url.removeprefix("s3://").partition("/")
        key = f"{prefix if below is None else below}/{path}".lstrip("/")
        about: dict[str, object] = {"key": quote_plus(key, safe="/"), "size": 1}
        record: dict[str, object] = {"eventSource": "aws:s3", "eventName": event}
        if actor:
            (about["eTag"],) = {
                drop.etag.strip('"') for drop in self.zone.landing.drops() if drop.path == path
            }
            record["userIdentity"] = {"principalId": actor}
        record["s3"] = {"bucket": {"name": bucket or own}, "object": about}
        self.queue.send({"Records": [record]})

    def actors(self) -> list[tuple[str, str | None]]:
        """Who brought which version, oldest first."""
        return [(path, actor) for path, actor in self.zone.query(
            "select path, actor from ops.files order by file_id"
        )]  # fmt: skip

    def settled(self) -> None:
        """Ingest all there is, have it listed, and forget what was counted."""
        self.zone.run()
        self.look()
        self.rest()
        self.listed.clear()

    def rest(self) -> None:
        """Let a minute pass, after which a folder is looked at no more."""
        memory = Memory.load(self.cursor)
        memory.dirty = dict.fromkeys(memory.dirty, 0.0)
        self.cursor = memory.dump()
        self.look()

    def let_listing_be_due(self) -> None:
        memory = Memory.load(self.cursor)
        memory.whole_at = memory.not_before = 0.0
        self.cursor = memory.dump()

    def until(self, is_true: Callable[[], bool]) -> None:
        """Look again and again until something is so."""
        deadline = time.monotonic() + 60
        while not is_true():
            assert time.monotonic() < deadline
            self.look()
            time.sleep(0.3)

    @property
    def dirty(self) -> set[str]:
        return set(Memory.load(self.cursor).dirty)


@pytest.fixture
def house(
    s3_zone: Zone, sqs_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[House]:
    queue = Queue(sqs_address, f"arrivals-{s3_zone.url[-8:]}").make()
    for name, value in {
        "SHS_HOME": str(tmp_path / "var"),
        "SHS_LANDING": s3_zone.url,
        "SHS_DATABASE_URL": s3_zone.database_url,
        "SHS_ARRIVALS_QUEUE": queue.url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sight_module, "_SHARE_OF_TIME", 0)
    with dg.DagsterInstance.ephemeral() as instance:
        found = House(s3_zone, queue, instance)
        _count_listings(found, monkeypatch)
        yield found


def _count_listings(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    listing, reading = Landing.drops, sight_module.read_books

    def counted(landing: Landing, under: str = "") -> list[Drop]:
        house.listed.append(under)
        found = listing(landing, under)
        house.objects_listed += len(found)
        return found

    def read(connection: psycopg.Connection, only: list[str] | None = None) -> Books:
        books = reading(connection, only)
        house.folders_read += len(books.fingerprints)
        return books

    monkeypatch.setattr(Landing, "drops", counted)
    monkeypatch.setattr(sight_module, "read_books", read)


@pytest.mark.parametrize("is_late", [False, True])
def test_the_principal_of_an_event_is_who_brought_the_file(house: House, is_late: bool) -> None:
    path = house.zone.drop_sample()
    house.settled()
    house.zone.drop_sample(seed=2)
    if is_late:
        house.zone.run()
    before = house.zone.query("select max(change_no) from ops.files")

    house.tell(path, actor="AWS:AROAEXAMPLE:dana@example.com")
    house.look()

    if is_late:
        # No figure hangs on it, so nothing is due because of it.
        assert house.zone.query("select max(change_no) from ops.files") == before
    else:
        house.zone.run()
    # The version before it was brought by nobody who was named.
    assert house.actors() == [(path, None), (path, "AWS:AROAEXAMPLE:dana@example.com")]


@pytest.mark.parametrize("change", ["new", "corrected", "deleted"])
def test_a_new_a_corrected_and_a_deleted_file_are_heard_of_and_only_their_folder_is_listed(
    house: House, change: str
) -> None:
    path = house.zone.drop_sample()
    house.zone.drop_sample("novo")
    # Not the last file of its source, which would be held.
    house.zone.drop_sample(month="2025-02", seed=7)
    house.settled()
    if change == "new":
        house.tell(house.zone.drop_sample(seed=2, name="second file (2) ü+.xlsx"))
    elif change == "corrected":
        house.tell(house.zone.drop_sample(seed=3))
    else:
        house.zone.delete(path)
        house.tell(path, REMOVED)

    assert house.requested() == [("cygnus", "2025-03")]
    # Whether too much is gone at once, only the whole bucket tells.
    whole = [""] if change == "deleted" else []
    assert house.listed == ["incoming/cygnus/2025-03", *whole]


def test_without_a_message_nothing_is_listed_at_all(house: House) -> None:
    house.zone.drop_sample()
    house.settled()

    for _ in range(3):
        assert house.why_not() == "Nothing changed in the bucket."

    assert house.listed == []


def test_a_message_is_taken_off_the_queue_once_the_cursor_that_knows_its_folder_was_kept(
    house: House,
) -> None:
    house.settled()
    house.tell(house.zone.drop_sample())

    house.look()
    assert (house.queue.count(), house.dirty) == (1, {"cygnus/2025-03"})
    house.look()
    assert (house.queue.count(), house.dirty) == (0, {"cygnus/2025-03"})


def test_a_folder_is_looked_at_until_it_equals_the_books(house: House) -> None:
    house.settled()
    house.tell(house.zone.drop_sample())
    assert house.requested() == [("cygnus", "2025-03")]
    house.rest()
    assert house.dirty == {"cygnus/2025-03"}, "its run has not been"

    house.zone.run()
    house.look()

    assert house.dirty == set()


def test_duplicates_request_nothing_twice(house: House) -> None:
    house.settled()
    path = house.zone.drop_sample()
    for _ in range(3):
        house.tell(path)

    assert house.requested() == [("cygnus", "2025-03")]
    house.zone.run()
    house.tell(path)
    assert house.requested() == []
    house.until(lambda: house.queue.count() == 0)
    assert house.zone.statuses() == [(path, "loaded")]


def test_messages_out_of_order_end_in_the_state_of_the_bucket(house: House) -> None:
    path = house.zone.drop_sample()
    house.settled()
    # Moved and moved back and corrected; the messages come from the last to the first.
    moved = house.zone.move(path, "incoming/cygnus/2025-04/moved.xlsx")
    house.zone.move(moved, path)
    house.zone.drop_sample(seed=2)
    house.tell(moved, REMOVED)
    assert house.requested() == []
    house.tell(path)
    assert house.requested() == [("cygnus", "2025-03")]
    house.tell(path, REMOVED)
    house.tell(moved)
    house.zone.run()

    assert house.requested() == []
    house.rest()
    assert house.dirty == set()


def test_a_message_before_the_object_is_listed_is_no_loss(house: House) -> None:
    house.settled()
    sample = make_sample("cygnus", MARCH, lines=6, seed=1)
    house.tell(sample.path)
    assert house.requested() == []
    assert house.requested() == []

    house.zone.drop(sample.path, sample.content)

    assert house.requested() == [("cygnus", "2025-03")]


def test_more_messages_than_one_answer_holds_are_all_heard(house: House) -> None:
    house.settled()
    for month in range(1, 4):
        for number in range(9):
            house.tell(f"incoming/cygnus/2025-{month:02d}/{number}.xlsx")

    house.look()
    assert house.dirty == {f"cygnus/2025-{month:02d}" for month in range(1, 4)}
    house.look()
    assert house.queue.count() == 0


def test_what_is_nobodys_business_is_taken_off_the_queue_and_nothing_is_listed(house: House) -> None:
    house.settled()
    house.queue.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "landing"})
    house.tell("incoming/cygnus/2025-03/a.xlsx", bucket="another-bucket")
    house.tell("incoming/cygnus/2025-03/a.xlsx", below="another/prefix")
    house.tell("incoming/cygnus/2025-03/a.xlsx", below=f"{house.zone.url.removeprefix('s3://landing/')}-2")
    house.tell("rejected/incoming/cygnus/2025-03/a.xlsx.errors.xlsx")
    house.tell("incoming/nobody/.DS_Store")
    house.tell("incoming/cygnus/~$a.xlsx")
    house.tell("incoming/")
    house.tell("")

    assert house.requested() == house.requested() == []

    assert (house.listed, house.dirty, house.queue.count()) == ([], set(), 0)


def test_garbage_goes_to_the_dead_letters_and_holds_nothing_up(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.settled()
    garbage = ["canary-of-the-test", "[]", "{}", '{"Records": [{"s3": {"bucket": {}}}]}', '{"Records": 3}']
    for body in garbage:
        house.queue.send(body)
    house.tell(house.zone.drop_sample())

    assert house.requested() == [("cygnus", "2025-03")]
    house.until(lambda: house.queue.count(house.queue.dead_url) == len(garbage))

    assert house.queue.count() == 0
    assert "is not a notification of S3" in caplog.text
    assert "canary-of-the-test" not in caplog.text


def test_a_process_that_dies_before_its_cursor_is_kept_hears_the_message_again(house: House) -> None:
    house.settled()
    house.tell(house.zone.drop_sample())
    assert house.requested(is_kept=False) == [("cygnus", "2025-03")]

    house.die()

    house.until(lambda: "cygnus/2025-03" in house.dirty)
    house.until(lambda: house.queue.count() == 0)


def test_a_process_that_dies_after_its_cursor_was_kept_takes_the_message_off_when_it_comes_again(
    house: House,
) -> None:
    house.settled()
    house.tell(house.zone.drop_sample())
    assert house.requested() == [("cygnus", "2025-03")]
    house.zone.run()

    house.die()
    assert house.requested() == []
    assert house.queue.count() == 1, "its receipt was lost"

    house.until(lambda: house.queue.count() == 0)
    assert house.requested() == []


def test_a_look_whose_cursor_is_lost_leaves_its_messages_to_the_next(house: House) -> None:
    house.settled()
    house.tell(house.zone.drop_sample())
    house.look(is_kept=False)

    # At once, long before the queue would give the message again.
    assert house.requested() == [("cygnus", "2025-03")]
    assert house.queue.count() == 1
    house.look()
    assert house.queue.count() == 0


def test_a_queue_that_fails_in_the_middle_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.settled()
    for number in range(15):
        house.tell(f"incoming/cygnus/2025-{number % 12 + 1:02d}/{number}.xlsx")
    receive, calls = ArrivalsQueue._receive_some, []

    def failing(queue: ArrivalsQueue) -> Any:
        calls.append(queue)
        if len(calls) == 2:
            raise ShsError("The queue of arrivals is away.", "Wait.")
        return receive(queue)

    monkeypatch.setattr(ArrivalsQueue, "_receive_some", failing)
    house.look()
    assert house.queue.count() == 15
    assert house.dirty == set()

    house.until(lambda: house.queue.count() == 0)

    assert len(house.dirty) == 12


def test_a_database_that_is_away_leaves_the_messages_in_the_queue(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.settled()
    house.tell(house.zone.drop_sample())
    monkeypatch.setenv("SHS_DATABASE_URL", "postgresql://someone:hidden-word@127.0.0.1:9/nowhere")

    context = dg.build_sensor_context(
        instance=house.instance, cursor=house.cursor, resources={"warehouse": Warehouse()}
    )
    assert isinstance(house.sensor(context), dg.SkipReason)

    received = house.queue.sqs.receive_message(
        QueueUrl=house.queue.url, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=0
    )
    assert received["Messages"][0]["Attributes"]["ApproximateReceiveCount"] == "1"


def test_a_bucket_that_is_away_keeps_what_was_heard(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.settled()
    house.tell(house.zone.drop_sample())

    def away(*_: object) -> None:
        raise ShsError("The landing zone cannot be reached.", "Check the network.")

    with monkeypatch.context() as patched:
        patched.setattr(Landing, "drops_below", away)
        assert "cannot be reached" in house.why_not()
        house.look()
    assert (house.queue.count(), house.dirty) == (0, {"cygnus/2025-03"})

    assert house.requested() == [("cygnus", "2025-03")]


@pytest.mark.parametrize("is_server_away", [False, True])
def test_a_queue_that_is_away_is_said_and_the_bucket_is_listed_at_the_slower_pace(
    house: House, monkeypatch: pytest.MonkeyPatch, is_server_away: bool
) -> None:
    house.settled()
    gone = "http://127.0.0.1:9/123456789012/gone"
    monkeypatch.setenv("SHS_ARRIVALS_QUEUE", gone if is_server_away else f"{house.queue.url}-gone")
    monkeypatch.setenv("SHS_LISTING_MINUTES", "1" if is_server_away else "15")
    house.zone.drop_sample()

    said = house.why_not()
    assert "queue of arrivals http://127.0.0.1" in said
    assert f"listed every {'1 minute' if is_server_away else '15 minutes'}. " in said
    assert "secret-of-the-test" not in said
    assert "\n" not in said
    assert house.listed == []
    house.let_listing_be_due()

    assert house.requested() == [("cygnus", "2025-03")]


def test_doctor_asks_the_queue_and_takes_nothing_from_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finding() -> Finding:
        return next(one for one in examine() if one.what == "Arrivals")

    house.tell("incoming/cygnus/2025-03/a.xlsx")

    assert finding().state == "ok"
    assert "about 1 message wait" in finding().found
    assert house.queue.count() == 1

    monkeypatch.setenv("SHS_ARRIVALS_QUEUE", f"{house.queue.url}-gone")
    assert finding().state == "fail"
    assert "cannot be asked" in finding().found


def test_a_lost_message_is_made_up_for_by_the_listing_of_the_whole_bucket(house: House) -> None:
    house.settled()
    house.zone.drop_sample()
    assert house.requested() == []

    house.let_listing_be_due()

    assert house.requested() == [("cygnus", "2025-03")]
    assert "" in house.listed


def test_the_first_look_lists_the_whole_bucket_and_so_does_one_with_a_cursor_from_before_the_queue(
    house: House,
) -> None:
    house.zone.drop_sample()
    for cursor in (None, '{"not_before": 9e12, "tries": {}}'):
        house.cursor = cursor
        assert house.requested() == [("cygnus", "2025-03")]


def test_without_the_queue_the_sensor_lists_as_before(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.settled()
    house.zone.drop_sample()
    monkeypatch.delenv("SHS_ARRIVALS_QUEUE")

    assert house.requested() == [("cygnus", "2025-03")]
    assert house.listed == [""]


def test_a_message_about_an_unknown_place_has_the_whole_bucket_listed_until_its_run(house: House) -> None:
    house.settled()
    house.tell(house.zone.drop("incoming/nobody/2025-03/a.xlsx", b"x"))

    assert [key for key, _ in house.requested()] == [UNKNOWN_KEY.path[-1]]
    assert house.listed == [""]
    house.zone.run()
    house.look()
    house.listed.clear()
    house.look()

    assert (house.listed, house.dirty) == ([], set())


def test_an_unknown_file_inside_a_month_changes_nothing_of_the_month(house: House) -> None:
    house.zone.drop_sample()
    house.zone.drop("incoming/cygnus/2025-03/nonsense/a.xlsx", b"x")
    house.settled()

    house.tell("incoming/cygnus/2025-03/corrected.xlsx")

    assert house.requested() == []
    assert house.dirty == {"cygnus/2025-03"}


def test_a_new_version_of_a_reference_table_reaches_the_folders_that_are_checked_against_it(
    house: House,
) -> None:
    table = source_named("quickbooks").needs[0]
    house.zone.drop_sample("quickbooks")
    house.settled()
    house.zone.drop_references(table)
    house.zone.job().folder(reference_folder(table))

    assert house.requested() == [("quickbooks", "2025-03")]


def test_a_rejected_copy_is_requested_when_the_file_before_it_goes_without_a_message_of_its_own(
    house: House,
) -> None:
    path = house.zone.drop_sample()
    house.zone.run()
    content = house.zone.landing.read(path)
    assert content is not None
    house.zone.drop("incoming/cygnus/2025-04/copy.xlsx", content)
    house.settled()
    house.zone.delete(path)
    house.tell(path, REMOVED)
    assert house.requested() == [("cygnus", "2025-03")]

    house.zone.job().folder(partition_folder("cygnus", MARCH))

    assert house.requested() == [("cygnus", "2025-04")]


def test_folders_beyond_what_fits_into_a_look_take_turns(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sight_module, "_MOST_FOLDERS", 2)
    house.settled()
    house.zone.drop("incoming/cygnus/2025-05/a.xlsx", b"x")
    for month in range(1, 6):
        house.tell(f"incoming/cygnus/2025-{month:02d}/a.xlsx")

    assert [house.requested() for _ in range(3)] == [[], [], [("cygnus", "2025-05")]]
    assert len(house.listed) == 6


def test_a_failed_folder_waits_for_its_next_try_while_the_others_have_their_turn(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sight_module, "_MOST_FOLDERS", 1)
    house.settled()
    for month in ("01", "02"):
        house.tell(house.zone.drop(f"incoming/cygnus/2025-{month}/a.xlsx", b"x"))

    requested = [house.requested() for _ in range(4)]

    assert requested == [[("cygnus", "2025-01")], [("cygnus", "2025-02")], [], []]


def test_the_cost_of_an_arrival_does_not_grow_with_the_bucket(house: House) -> None:
    costs = []
    house.zone.run()
    for months in (1, 60):
        for number in range(months):
            for name in ("a", "b", "c", "d", "e"):
                house.zone.drop(
                    f"incoming/cygnus/{2020 + number // 12}-{number % 12 + 1:02d}/{name}.xlsx", b"x"
                )
        _book_all(house.zone)
        house.let_listing_be_due()
        house.look()
        house.rest()
        house.listed.clear()
        house.objects_listed = house.folders_read = 0
        path = house.zone.drop("incoming/cygnus/2020-01/a.xlsx", str(months).encode())
        house.tell(path)
        assert house.requested() == [("cygnus", "2020-01")]
        house.look()
        costs.append((len(house.listed), house.objects_listed, house.folders_read))

    assert costs[0] == costs[1] == (2, 10, 2)


def _book_all(zone: Zone) -> None:
    """Have the books say that everything was ingested."""
    with psycopg.connect(zone.database_url) as connection:
        for folder, state in changed_folders(zone.landing.drops(), read_books(connection)).items():
            connection.execute(
                "insert into ops.folders (folder, fingerprint, rows_in_force, rows_before, run_id)"
                " values (%s, %s, 0, 0, 'test') on conflict (folder) do update"
                " set fingerprint = excluded.fingerprint",
                [folder.key, state],
            )


def test_the_cursor_survives_and_an_earlier_one_is_read() -> None:
    memory = Memory(5.0, {"a": ("b", 1, 2.0)}, 7.0, "batch", {"cygnus/2025-03": 3.0}, {"reps": 4})
    assert Memory.load(memory.dump()) == memory
    assert Memory.load('{"not_before": 5.0, "tries": {}}') == Memory(5.0)
    assert Memory.load('{"not_before": 5.0, "tries": {}, "dirty": 3}') == Memory()


@pytest.mark.parametrize(
    ("key", "found"),
    [("a+b/%C3%BC%2B%25.xlsx", "a b/ü+%.xlsx"), ("plain.xlsx", "plain.xlsx")],
)
def test_keys_are_decoded_as_s3_encodes_them(key: str, found: str) -> None:
    body = {"Records": [{"s3": {"bucket": {"name": "landing"}, "object": {"key": key}}}]}

    assert objects_named(json.dumps(body)) == [Named("landing", found)]


def test_an_event_says_who_put_the_file_there() -> None:
    place = {"bucket": {"name": "landing"}, "object": {"key": "reference/aliases.xlsx", "eTag": "0f3a"}}
    record = {"s3": place, "userIdentity": {"principalId": "AWS:AROAEXAMPLE:dana\n@example.com"}}

    assert objects_named(json.dumps({"Records": [record]})) == [
        Named("landing", "reference/aliases.xlsx", "0f3a", "AWS:AROAEXAMPLE:dana\\x0a@example.com")
    ]


def test_an_acknowledgement_of_nothing_deletes_nothing() -> None:
    queue = ArrivalsQueue(AWS_QUEUE, "s3://landing")
    queue._receipts["message"] = "receipt"

    queue.acknowledge("")
    queue.acknowledge("of another process")

    assert queue._receipts == {"message": "receipt"}


@pytest.mark.parametrize(
    ("url", "region", "address"),
    [
        (AWS_QUEUE, "eu-central-1", "https://sqs.eu-central-1.amazonaws.com"),
        ("http://127.0.0.1:5000/123456789012/q", "us-west-2", "http://127.0.0.1:5000"),
    ],
)
def test_the_queue_is_asked_where_its_url_says_whatever_server_holds_the_bucket(
    monkeypatch: pytest.MonkeyPatch, url: str, region: str, address: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "us-west-2")

    client = ArrivalsQueue(url, "s3://landing")._client

    assert (client.meta.region_name, client.meta.endpoint_url) == (region, address)


def test_a_refusal_shows_its_first_line_only() -> None:
    said = {"Error": {"Code": "SignatureDoesNotMatch", "Message": "No match.\ncanary-token"}}

    assert _reason(ClientError(said, "ReceiveMessage")) == "SignatureDoesNotMatch, No match"


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("arrivals", "is not a queue such as https://sqs."),
        ("http://sqs.eu-central-1.amazonaws.com/123456789012/q", "is not a queue such as https://sqs."),
        ("https://sqs.eu-central-1.amazonaws.com/q", "is not a queue such as https://sqs."),
        ("https://me:hush@sqs.eu-central-1.amazonaws.com/123456789012/q", "contains a user or password"),
        (f"{AWS_QUEUE}.fifo", "is a FIFO queue"),
    ],
)
def test_a_queue_that_cannot_be_one_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, url: str, wrong: str
) -> None:
    monkeypatch.setenv("SHS_LANDING", "s3://landing")
    monkeypatch.setenv("SHS_ARRIVALS_QUEUE", url)

    with pytest.raises(ShsError, match=wrong):
        load_settings()


def test_a_queue_for_a_folder_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHS_LANDING", tmp_path.as_uri())
    monkeypatch.setenv("SHS_ARRIVALS_QUEUE", AWS_QUEUE)

    with pytest.raises(ShsError, match="SHS_ARRIVALS_QUEUE is set, but SHS_LANDING is a folder"):
        load_settings()


def test_a_queue_for_a_bucket_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(landing="s3://landing", arrivals_queue=f"{AWS_QUEUE}/").arrivals_queue == AWS_QUEUE
