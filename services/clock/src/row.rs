//! Completeness rows (完整性行): what one says, and whether it counts.

use domain::date::Timestamp;
use domain::ids::IdKey;
use domain::source::Source;
use runtime::debezium::{Envelope, Operation, Snapshot, table_of_topic};
use runtime::dialect::{Classified, ControlKind, Dialects, Field, Kind, SourceMessage, normalise};

/// A row by which a source says up to when it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletenessRow {
    /// The source.
    pub source: Source,
    /// Every row the source committed before this time stands in its topics, or is just arriving there.
    pub time: Timestamp,
    /// The row proves that the first full snapshot has ended.
    pub proves: bool,
}

/// What is known of a source before a row arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The newest time counted; 0 before the first.
    pub seen: Timestamp,
    /// Rows count without proof: the operator stated that the snapshot has passed, or the settings assume it.
    pub assumed: bool,
}

/// Why a row does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// An earlier row named the same time or a later one.
    NotNewer,
    /// It is further ahead of our clock than policy tolerates: that clock is wrong.
    AheadOfUs,
    /// The first full snapshot may still be under way.
    BeforeSnapshot,
}

impl Discount {
    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotNewer => "not-newer",
            Self::AheadOfUs => "ahead",
            Self::BeforeSnapshot => "before-snapshot",
        }
    }
}

/// Whether a row counts: its time exceeds every earlier one, is not ahead of our clock by more than `tolerance` milliseconds, and
/// the source's first full snapshot has ended.
///
/// # Errors
/// Why not.
pub fn count(known: Known, row: &CompletenessRow, now: Timestamp, tolerance: i64) -> Result<Timestamp, Discount> {
    if !row.proves && !known.assumed {
        return Err(Discount::BeforeSnapshot);
    }
    if row.time.0 > now.0.saturating_add(tolerance) {
        return Err(Discount::AheadOfUs);
    }
    if row.time <= known.seen {
        Err(Discount::NotNewer)
    } else {
        Ok(row.time)
    }
}

/// Reads a message of a completeness table; `None` for whatever else it is (the normalisers keep the books of those).
///
/// - A heartbeat row proves the end of the snapshot when it was streamed: Debezium writes and streams them only afterwards. One read
///   by a snapshot proves nothing: other tables may still be under way.
/// - A batch row (批次表) proves it however it was read: the load it closes was complete before the row was written.
pub fn read(
    dialects: &Dialects,
    topic: &str,
    timestamp: Timestamp,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Option<CompletenessRow> {
    let (source, name) = table_of_topic(topic)?;
    let table = dialects.find(source, name).filter(|table| table.kind == Kind::Completeness)?;
    let message = SourceMessage {
        source,
        table: name,
        partition: 0,
        offset: 0,
        epoch: 0,
        timestamp,
        key,
        value,
    };
    // Completeness rows have no record id, so any key of ids will do.
    let Classified::Control(ControlKind::Completeness { time }) = normalise(dialects, &IdKey::new(1, &[0; 32]), &message) else {
        return None;
    };
    let envelope = Envelope::parse(value).ok()??;
    let streamed = matches!(envelope.operation, Operation::Create | Operation::Update) && envelope.snapshot() == Snapshot::No;
    let is_batch = table.column(Field::DataDate).is_some();
    Some(CompletenessRow {
        source,
        time,
        proves: streamed || is_batch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::division::City;
    use domain::source::Agency;

    fn row(time: i64, proves: bool) -> CompletenessRow {
        let source = Source {
            agency: Agency::HumanResources,
            city: City::PROVINCE,
        };
        CompletenessRow {
            source,
            time: Timestamp(time),
            proves,
        }
    }

    fn counted(seen: i64, assumed: bool, row: CompletenessRow) -> Result<i64, Discount> {
        count(
            Known {
                seen: Timestamp(seen),
                assumed,
            },
            &row,
            Timestamp(1000),
            50,
        )
        .map(|time| time.0)
    }

    #[test]
    fn only_a_later_time_counts() {
        assert_eq!(counted(0, false, row(900, true)), Ok(900));
        assert_eq!(counted(900, false, row(900, true)), Err(Discount::NotNewer));
        assert_eq!(counted(900, false, row(899, true)), Err(Discount::NotNewer));
    }

    #[test]
    fn a_clock_ahead_of_ours_is_not_believed() {
        assert_eq!(counted(0, false, row(1050, true)), Ok(1050));
        assert_eq!(counted(0, false, row(1051, true)), Err(Discount::AheadOfUs));
        assert_eq!(counted(0, false, row(i64::MAX, true)), Err(Discount::AheadOfUs));
    }

    #[test]
    fn nothing_counts_while_the_snapshot_may_be_under_way() {
        assert_eq!(counted(0, false, row(900, false)), Err(Discount::BeforeSnapshot));
        assert_eq!(counted(0, true, row(900, false)), Ok(900));
    }

    /// What a message with this envelope says in a heartbeat table and in a batch table.
    fn read_from(table: &str, operation: &str, snapshot: &str) -> Option<(i64, bool)> {
        let mut dialects = Dialects::default();
        let dialect = r#"
            name = "test"
            cities = ["*"]
            revision = 1
            agency = "civil-affairs"
            [tables.heartbeat]
            kind = "completeness"
            key = ["id"]
            [tables.heartbeat.fields]
            time = { column = "ts", encoding = "timestamp-text" }
            [tables.batch_control]
            kind = "completeness"
            key = ["id"]
            [tables.batch_control.fields]
            time = { column = "ts", encoding = "timestamp-text" }
            data-date = { column = "day", encoding = "date-days" }
        "#;
        dialects.add(std::path::Path::new("test.toml"), dialect).expect("a dialect");
        let row = r#"{"id":1,"ts":"1970-01-02T00:00:00Z","day":0}"#;
        let value = format!(r#"{{"op":"{operation}","before":null,"after":{row},"source":{{"snapshot":"{snapshot}"}}}}"#);
        let topic = format!("civil-affairs.3201.public.{table}");
        let read = read(&dialects, &topic, Timestamp(0), Some(br#"{"id":1}"#), Some(value.as_bytes()));
        read.map(|row| (row.time.0, row.proves))
    }

    #[test]
    fn a_streamed_heartbeat_and_any_batch_prove_that_the_snapshot_has_passed() {
        let day = 86_400_000;
        assert_eq!(read_from("heartbeat", "u", "false"), Some((day, true)));
        assert_eq!(read_from("heartbeat", "c", "false"), Some((day, true)));
        assert_eq!(read_from("heartbeat", "r", "last"), Some((day, false)));
        assert_eq!(read_from("heartbeat", "r", "incremental"), Some((day, false)));
        // A batch is complete to the end of its data date in China.
        assert_eq!(read_from("batch_control", "r", "true"), Some((day - 8 * 3_600_000, true)));
        assert_eq!(read_from("other", "u", "false"), None);
    }
}
