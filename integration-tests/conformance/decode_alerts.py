"""Reads the alert topics as any subscriber would, and checks what is promised of events.

A standard client (confluent-kafka's AvroDeserializer) and the embedded schema registry decode every alert and every record of
`findings`. Promised, and checked here (ARCHITECTURE.md, Findings and release):

- every event id comes once for a subscriber that reads committed;
- per finding the revisions are dense, and alternate open, amend*, clear;
- a baseline stands in `findings` only;
- folding the alerts, seeded with the baseline, gives what `findings` says.

Environment: CANBAO_KAFKA (bootstrap servers), CANBAO_SCHEMA_REGISTRY_URL. Run it when nothing is in flight.
Exit code: 0 all promises hold, 1 one is broken, 2 could not run.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

ALERTS = re.compile(r"^alerts\.(?P<kind>[a-z-]+)\.(?P<city>\d{4})$")
FINDINGS = "findings"
MASKED = re.compile(r"^[0-9]{4}\*{12}[0-9X]{2}$")
# Fields of an alert that the state of its finding repeats.
SHARED = (
    "cause kind rule scheme person masked_number city county since business_date overlap reason places evidence remedy scope"
    " announced_at"
).split()
# Seconds without a message after which a topic counts as read: both topics are written in one transaction, but read one by one.
SETTLED = 2.0
# Broken promises printed; the rest is counted.
SHOWN = 20

Record = dict[str, Any]


@dataclass
class Finding:
    """What the topics say of one finding."""

    alerts: dict[int, Record] = field(default_factory=dict)
    baselines: dict[int, Record] = field(default_factory=dict)
    latest: Record | None = None
    # The lowest revision that `findings` still holds: compaction may have taken those before it.
    oldest_kept: int | None = None


class Report:
    """Collects broken promises."""

    def __init__(self) -> None:
        self.broken: list[str] = []

    def expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.broken.append(text)


def read(bootstrap: str) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    """Topic, key and value of every committed message of the alert topics and of `findings`."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "canbao-conformance",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        topics = consumer.list_topics(timeout=30).topics
        wanted = {name: topic for name, topic in topics.items() if name == FINDINGS or ALERTS.match(name)}
        if FINDINGS not in wanted:
            raise RuntimeError("there is no topic 'findings' on this broker: has the publisher run?")
        partitions = [(name, number) for name, topic in wanted.items() for number in topic.partitions]
        consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for name, number in partitions])
        waiting = set(partitions)
        last_message = time.monotonic()
        while waiting or time.monotonic() - last_message < SETTLED:
            message = consumer.poll(0.2)
            if message is None:
                continue
            place = (message.topic(), message.partition())
            error = message.error()
            if error is None:
                last_message = time.monotonic()
                yield message.topic(), message.key(), message.value()
            elif error.code() == KafkaError._PARTITION_EOF:
                waiting.discard(place)
            else:
                raise KafkaException(error)
    finally:
        consumer.close()


def collect(bootstrap: str, registry: str, report: Report) -> tuple[dict[str, Finding], Counter[str]]:
    """Decodes everything; returns findings by id, and counts."""
    client = SchemaRegistryClient({"url": registry})
    # A registry that does not answer is no verdict; a value that cannot be decoded is one.
    client.get_subjects()
    deserializer = AvroDeserializer(client)
    findings: dict[str, Finding] = defaultdict(Finding)
    counts: Counter[str] = Counter()
    event_ids: set[str] = set()
    for topic, key, value in read(bootstrap):
        try:
            record = deserializer(value, SerializationContext(topic, MessageField.VALUE))
        except Exception as error:
            report.expect(False, f"{topic}: a value that does not decode ({type(error).__name__})")
            continue
        name = ALERTS.match(topic)
        if record is None:
            # A finding that is long cleared may be taken out of the compacted topic.
            report.expect(name is None, f"{topic}: an alert without a value")
            continue
        finding = findings[record["finding_id"]]
        report.expect(key == record["finding_id"].encode(), f"{topic}: the key is not the finding's id")
        revision = record["revision"]
        masked = record["masked_number"]
        report.expect(masked is None or bool(MASKED.match(masked)), f"{topic}: a number is not masked")
        if name is None:
            counts["findings: records"] += 1
            report.expect(
                finding.latest is None or finding.latest["revision"] < revision,
                f"finding {record['finding_id']}: revision {revision} in findings after a later or the same one",
            )
            finding.latest = record
            finding.oldest_kept = min(revision, finding.oldest_kept or revision)
            if record["cause"] == "baseline":
                counts["findings: baseline"] += 1
                finding.baselines[revision] = record
            continue
        counts[f"alerts: {record['kind']}, {record['action']}"] += 1
        report.expect(record["event_id"] not in event_ids, f"{topic}: event {record['event_id']} comes twice")
        event_ids.add(record["event_id"])
        report.expect(revision not in finding.alerts, f"finding {record['finding_id']}: revision {revision} comes twice")
        finding.alerts[revision] = record
        report.expect(record["cause"] != "baseline", f"{topic}: a baseline, which is no alert")
        report.expect(
            (record["kind"], str(record["city"])) == (name["kind"], name["city"]),
            f"{topic}: event {record['event_id']} is of another kind or city",
        )
    return findings, counts


def check(findings: dict[str, Finding], report: Report) -> None:
    """The promises per finding."""
    for identifier, finding in findings.items():
        about = f"finding {identifier}"
        both = finding.alerts.keys() & finding.baselines.keys()
        report.expect(not both, f"{about}: revisions {sorted(both)} are alert and baseline")
        steps = {revision: "open" for revision in finding.baselines}
        steps |= {revision: alert["action"] for revision, alert in finding.alerts.items()}
        known, is_open = 0, False
        for revision in sorted(steps):
            missing = range(known + 1, revision)
            # A baseline is in `findings` only, where a later revision of the same finding may have displaced it.
            compacted = finding.oldest_kept is not None and finding.oldest_kept >= revision
            if missing and compacted:
                is_open = steps[revision] != "open"
            else:
                report.expect(not missing, f"{about}: revision {known} is followed by {revision}")
            fits = not is_open if steps[revision] == "open" else is_open
            report.expect(fits, f"{about}: revision {revision}, {steps[revision]}, while {'open' if is_open else 'not open'}")
            is_open = steps[revision] != "clear"
            known = revision
        if finding.latest is None:
            report.expect(False, f"{about}: has alerts, and no state in findings")
            continue
        folded = finding.alerts.get(known) or finding.baselines[known]
        report.expect(finding.latest["revision"] == known, f"{about}: folds to {known}, not {finding.latest['revision']}")
        state = "open" if is_open else "cleared"
        report.expect(finding.latest["state"] == state, f"{about}: folds to {state}, not {finding.latest['state']}")
        if finding.latest["revision"] == known:
            differing = [name for name in SHARED if folded[name] != finding.latest[name]]
            report.expect(not differing, f"{about}: the fold and findings differ in {', '.join(differing)}")


def main() -> int:
    bootstrap, registry = os.environ.get("CANBAO_KAFKA"), os.environ.get("CANBAO_SCHEMA_REGISTRY_URL")
    if not bootstrap or not registry:
        print("set CANBAO_KAFKA and CANBAO_SCHEMA_REGISTRY_URL", file=sys.stderr)
        return 2
    report = Report()
    try:
        findings, counts = collect(bootstrap, registry, report)
    except Exception as error:  # whatever keeps it from running is said and is no verdict
        print(f"could not run: {error}", file=sys.stderr)
        return 2
    check(findings, report)
    latest = [finding.latest for finding in findings.values() if finding.latest is not None]
    counts["findings: open"] = sum(record["state"] == "open" for record in latest)
    counts["findings: cleared"] = sum(record["state"] == "cleared" for record in latest)
    for name in sorted(counts):
        print(f"{counts[name]:>9}  {name}")
    # Promises about nothing hold: what has no events proves none.
    report.expect(counts["findings: records"] > 0, "findings is empty: there is nothing to check")
    report.expect(any(name.startswith("alerts: ") for name in counts), "no alert was told: there is nothing to check")
    for text in report.broken[:SHOWN]:
        print(f"broken: {text}")
    print(f"{len(report.broken)} promises broken" if report.broken else "every promise holds")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
