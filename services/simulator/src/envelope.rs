//! Debezium's messages, as Debezium 3.7.0 for PostgreSQL writes them through Kafka Connect's JSON converter.
//!
//! What it really sends was captured; every field, marker and header here is one of the capture.

use std::io::Write;

use domain::source::Agency;

use crate::dossier::Change;
use crate::tables::{Row, Table};

/// Version of the connector that was captured.
const VERSION: &str = "3.7.0.Final";
/// The schema of `source`, of the connector for PostgreSQL.
const SOURCE_SCHEMA: &str = r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},{"type":"string","optional":false,"field":"connector"},{"type":"string","optional":false,"field":"name"},{"type":"int64","optional":false,"field":"ts_ms"},{"type":"string","optional":true,"name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":"true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},"default":"false","field":"snapshot"},{"type":"string","optional":false,"field":"db"},{"type":"string","optional":true,"field":"sequence"},{"type":"int64","optional":true,"field":"ts_us"},{"type":"int64","optional":true,"field":"ts_ns"},{"type":"string","optional":false,"field":"schema"},{"type":"string","optional":false,"field":"table"},{"type":"int64","optional":true,"field":"txId"},{"type":"int64","optional":true,"field":"lsn"},{"type":"int64","optional":true,"field":"xmin"},{"type":"string","optional":true,"field":"origin"},{"type":"int64","optional":true,"field":"origin_lsn"}],"optional":false,"name":"io.debezium.connector.postgresql.Source","version":1,"field":"source"}"#;
/// The schemas of the fields after `source`.
const TAIL_SCHEMA: &str = r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"id"},{"type":"int64","optional":false,"field":"total_order"},{"type":"int64","optional":false,"field":"data_collection_order"}],"optional":true,"name":"event.block","version":1,"field":"transaction"},{"type":"string","optional":false,"field":"op"},{"type":"int64","optional":true,"field":"ts_ms"},{"type":"int64","optional":true,"field":"ts_us"},{"type":"int64","optional":true,"field":"ts_ns"}"#;

/// A message for a topic.
pub(crate) struct Message<'a> {
    /// Topic.
    pub(crate) topic: &'a str,
    /// Key: JSON.
    pub(crate) key: &'a [u8],
    /// Value: JSON; `None` for a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    /// A header, for changes of keys.
    pub(crate) header: Option<(&'static str, &'a [u8])>,
}

/// Where messages go.
pub(crate) trait Sink {
    /// Takes a message; an error when the sink cannot go on.
    fn send(&mut self, message: &Message<'_>) -> anyhow::Result<()>;
}

/// A table's topic and what every message of it begins with.
struct Topic {
    name: String,
    /// `{"schema":…,"payload":` or nothing.
    key_start: String,
    value_start: String,
}

/// A connector on the database of one agency in one city.
pub(crate) struct Connector {
    name: String,
    database: &'static str,
    topics: Vec<(Table, Topic)>,
    with_schema: bool,
    snapshot_us: i64,
    snapshot_lsn: u64,
    /// Rows of the snapshot that wait for the next of their table, because the last one is marked.
    held: Vec<(Table, Row)>,
    begun: Vec<Table>,
    /// End of the last transaction; `None` before the first.
    committed: Option<u64>,
    /// Next position in the log.
    lsn: u64,
    transaction: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What stands in one message.
struct Event<'a> {
    table: Table,
    before: Option<&'a Row>,
    after: Option<&'a Row>,
    op: &'static str,
    snapshot: &'static str,
    lsn: u64,
    /// Order in the transaction and among the transaction's changes of this table.
    order: Option<(u32, u32)>,
    source_us: i64,
    now_us: i64,
}

impl Connector {
    /// A connector whose snapshot was begun at an instant (microseconds); log positions go on from there.
    pub(crate) fn new(agency: Agency, city: u16, with_schema: bool, snapshot_us: i64) -> Self {
        let name = format!("{agency}.{city}");
        let topics = Table::of(agency)
            .iter()
            .map(|table| (*table, Topic::new(&name, *table, with_schema)));
        // A later run writes later positions: one byte of log per millisecond is less than any real system writes.
        let lsn = (snapshot_us / 1000) as u64;
        Self {
            topics: topics.collect(),
            name,
            database: match agency {
                Agency::PUBLIC_SECURITY => "ga",
                Agency::CIVIL_AFFAIRS => "mz",
                _ => "hr",
            },
            with_schema,
            snapshot_us,
            snapshot_lsn: lsn,
            held: Vec::new(),
            begun: Vec::new(),
            committed: None,
            lsn: lsn + 1_000,
            transaction: 789,
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// The names of its topics and their tables.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&str, Table)> {
        self.topics.iter().map(|(table, topic)| (topic.name.as_str(), *table))
    }

    /// Reads a row for the snapshot.
    pub(crate) fn snapshot(&mut self, row: Row, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        let table = row.table();
        if !self.begun.contains(&table) {
            let marker = if self.begun.is_empty() {
                "first"
            } else {
                "first_in_data_collection"
            };
            self.begun.push(table);
            return self.read(&row, marker, now_us, sink);
        }
        let held = self.held.iter_mut().find(|(of, _)| *of == table);
        if let Some((_, waiting)) = held {
            let row = std::mem::replace(waiting, row);
            return self.read(&row, "true", now_us, sink);
        }
        self.held.push((table, row));
        Ok(())
    }

    /// Ends the snapshot with a row that states the completeness of the source.
    pub(crate) fn finish_snapshot(&mut self, control: &Row, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        for (_, row) in std::mem::take(&mut self.held) {
            self.read(&row, "last_in_data_collection", now_us, sink)?;
        }
        self.read(control, "last", now_us, sink)
    }

    fn read(&mut self, row: &Row, snapshot: &'static str, now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        let event = Event {
            table: row.table(),
            before: None,
            after: Some(row),
            op: "r",
            snapshot,
            lsn: self.snapshot_lsn,
            order: None,
            source_us: self.snapshot_us,
            now_us,
        };
        self.emit(&event, None, sink)
    }

    /// Streams the changes of one transaction, twice when the connector is to repeat it.
    pub(crate) fn transaction(
        &mut self,
        changes: &[&Change],
        repeated: bool,
        now_us: i64,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<()> {
        let (committed, lsn) = (self.committed, self.lsn);
        self.transaction += 1;
        self.stream(changes, now_us, sink)?;
        if repeated {
            // The connector crashed before it noted its position: the same messages, with the same positions, once more.
            (self.committed, self.lsn) = (committed, lsn);
            self.stream(changes, now_us, sink)?;
        }
        Ok(())
    }

    fn stream(&mut self, changes: &[&Change], now_us: i64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        let mut orders: Vec<(Table, u32)> = Vec::with_capacity(2);
        let mut total = 0;
        let mut next_order = |table: Table| {
            total += 1;
            if let Some((_, order)) = orders.iter_mut().find(|(of, _)| *of == table) {
                *order += 1;
                (total, *order)
            } else {
                orders.push((table, 1));
                (total, 1)
            }
        };
        let mut first = true;
        for change in changes {
            let (before, after) = (change.before.as_ref(), change.after.as_ref());
            let Some(row) = after.or(before) else {
                continue;
            };
            let table = row.table();
            if !first {
                self.lsn += 136;
            }
            let lsn = self.lsn;
            let mut event = Event {
                table,
                before,
                after,
                op: "u",
                snapshot: "false",
                lsn,
                order: None,
                source_us: now_us,
                // The connector reads the log some milliseconds later.
                now_us: now_us + 3_000,
            };
            match (before, after) {
                (Some(old), Some(new)) if old.key() != new.key() => {
                    let (old_key, new_key) = (old.key(), new.key());
                    event.order = Some(next_order(table));
                    (event.op, event.after) = ("d", None);
                    let header = Some(("__debezium.newkey", new_key.as_slice()));
                    self.emit(&event, header, sink)?;
                    self.tombstone(table, old, header, sink)?;
                    event.order = Some(next_order(table));
                    (event.op, event.before, event.after) = ("c", None, Some(new));
                    self.emit(&event, Some(("__debezium.oldkey", &old_key)), sink)?;
                }
                (Some(old), None) => {
                    event.order = Some(next_order(table));
                    event.op = "d";
                    self.emit(&event, None, sink)?;
                    self.tombstone(table, old, None, sink)?;
                }
                (old, _) => {
                    event.order = Some(next_order(table));
                    event.op = if old.is_some() { "u" } else { "c" };
                    self.emit(&event, None, sink)?;
                }
            }
            if first {
                // Seen in the capture: within a transaction the last commit's position is that of its first change.
                self.committed = Some(lsn);
                first = false;
            }
        }
        self.lsn += 224;
        Ok(())
    }

    fn tombstone(
        &mut self,
        table: Table,
        row: &Row,
        header: Option<(&'static str, &[u8])>,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<()> {
        let mut key = std::mem::take(&mut self.key);
        let topic = self.topic(table)?;
        write_key(&mut key, topic, row, self.with_schema);
        sink.send(&Message {
            topic: &topic.name,
            key: &key,
            value: None,
            header,
        })?;
        self.key = key;
        Ok(())
    }

    fn topic(&self, table: Table) -> anyhow::Result<&Topic> {
        let found = self.topics.iter().find(|(of, _)| *of == table).map(|(_, topic)| topic);
        found.ok_or_else(|| anyhow::anyhow!("{} has no table {}", self.name, table.name()))
    }

    fn emit(&mut self, event: &Event<'_>, header: Option<(&'static str, &[u8])>, sink: &mut dyn Sink) -> anyhow::Result<()> {
        let Some(row) = event.after.or(event.before) else {
            return Ok(());
        };
        let (mut key, mut value) = (std::mem::take(&mut self.key), std::mem::take(&mut self.value));
        let topic = self.topic(event.table)?;
        write_key(&mut key, topic, row, self.with_schema);
        value.clear();
        value.extend_from_slice(topic.value_start.as_bytes());
        self.write_value(event, &mut value);
        if self.with_schema {
            value.push(b'}');
        }
        sink.send(&Message {
            topic: &topic.name,
            key: &key,
            value: Some(&value),
            header,
        })?;
        (self.key, self.value) = (key, value);
        Ok(())
    }

    fn write_value(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"before\":");
        write_row(out, event.before);
        out.extend_from_slice(b",\"after\":");
        write_row(out, event.after);
        let Self {
            name,
            database,
            transaction,
            ..
        } = self;
        let Event {
            lsn,
            snapshot,
            source_us: us,
            op,
            now_us: now,
            ..
        } = event;
        let (ms, table) = (us / 1000, event.table.name());
        let expected = "a vector takes all";
        write!(
            out,
            r#","source":{{"version":"{VERSION}","connector":"postgresql","name":"{name}","ts_ms":{ms},"snapshot":"{snapshot}","db":"{database}","sequence":"[{}\"{lsn}\"]","ts_us":{us},"ts_ns":{us}000,"schema":"public","table":"{table}","txId":{transaction},"lsn":{lsn},"xmin":null,"origin":null,"origin_lsn":null}},"transaction":"#,
            Committed(self.committed.filter(|_| event.op != "r")),
        )
        .expect(expected);
        match event.order {
            None => out.extend_from_slice(b"null"),
            Some((total, table)) => write!(
                out,
                r#"{{"id":"{transaction}:{lsn}","total_order":{total},"data_collection_order":{table}}}"#
            )
            .expect(expected),
        }
        write!(out, r#","op":"{op}","ts_ms":{},"ts_us":{now},"ts_ns":{now}000}}"#, now / 1000).expect(expected);
    }
}

/// The first element of `sequence`: the position of the last commit.
struct Committed(Option<u64>);

impl std::fmt::Display for Committed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(lsn) => write!(f, r#"\"{lsn}\","#),
            None => f.write_str("null,"),
        }
    }
}

fn write_row(out: &mut Vec<u8>, row: Option<&Row>) {
    match row {
        Some(row) => row.write(out),
        None => out.extend_from_slice(b"null"),
    }
}

fn write_key(out: &mut Vec<u8>, topic: &Topic, row: &Row, with_schema: bool) {
    out.clear();
    out.extend_from_slice(topic.key_start.as_bytes());
    row.write_key(out);
    if with_schema {
        out.push(b'}');
    }
}

impl Topic {
    fn new(connector: &str, table: Table, with_schema: bool) -> Self {
        let name = format!("{connector}.public.{}", table.name());
        if !with_schema {
            return Self {
                name,
                key_start: String::new(),
                value_start: String::new(),
            };
        }
        let (columns, key) = table.schema();
        let columns = columns.join(",");
        let side = |field: &str| {
            format!(r#"{{"type":"struct","fields":[{columns}],"optional":true,"name":"{name}.Value","field":"{field}"}}"#)
        };
        Self {
            key_start: format!(
                r#"{{"schema":{{"type":"struct","fields":[{key}],"optional":false,"name":"{name}.Key"}},"payload":"#
            ),
            value_start: format!(
                r#"{{"schema":{{"type":"struct","fields":[{},{},{SOURCE_SCHEMA},{TAIL_SCHEMA}],"optional":false,"name":"{name}.Envelope","version":2}},"payload":"#,
                side("before"),
                side("after"),
            ),
            name,
        }
    }
}

#[cfg(test)]
mod tests;
