//! Completeness rows (完整性行): what one says, whether it counts, and what it shows.

use domain::date::Timestamp;
use domain::ids::IdKey;
use domain::source::Source;
use runtime::config::RowsHold;
use runtime::debezium::{Operation, Rows, Snapshot};
use runtime::dialect::{Classified, ControlKind, Dialects, Field, Kind, SourceMessage, normalise};
use runtime::kafka::TopicNames;

/// A row by which a source says up to when it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletenessRow {
    /// The source.
    pub source: Source,
    /// Every row that the source committed before this time was sent before this row.
    pub time: Timestamp,
    /// It was streamed from the source's log. One read by a snapshot, full or incremental, proves nothing while that snapshot may be
    /// under way: it may have been read first, and every other table follows.
    pub streamed: bool,
    /// A batch row (批次表) whose time is the end of a data date that was over before the load began: the load lies between that time
    /// and the row.
    pub follows_a_load: bool,
    /// When its message was appended, or sent, as the topic says.
    pub appended_at: Timestamp,
    /// A load that followed a truncation is over with it: it is batch control, or the source has none.
    pub ends_loads: bool,
}

/// What is known of a source before a row arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The newest time counted; 0 before the first.
    pub seen: Timestamp,
    /// How its first full load stands.
    pub load: Load,
}

/// How a source's first full load (首次全量) stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Nothing is known. A row that was streamed shows its end: connectors stream only after their initial snapshot.
    Unproved,
    /// Rows of an incremental snapshot stand in the source's topics and it was never complete: connectors stream beside such a snapshot,
    /// so no row shows its end. The operator states it.
    Incremental,
    /// It is through: shown before, stated by the operator or by the connector's notification, or assumed by the settings.
    Passed,
}

/// Why a row does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// An earlier row named the same time or a later one.
    NotNewer,
    /// It is further ahead of our clock than policy tolerates: that clock is wrong.
    AheadOfUs,
    /// It was read by a snapshot that may still be under way: it counts when that is stated to have ended.
    ReadBySnapshot,
    /// The first full load may still be under way, as an incremental snapshot.
    BeforeLoad,
}

impl Discount {
    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotNewer => "not-newer",
            Self::AheadOfUs => "ahead",
            Self::ReadBySnapshot => "read-by-snapshot",
            Self::BeforeLoad => "before-load",
        }
    }
}

/// What a row that counts is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The newest time counted from now on.
    pub seen: Timestamp,
    /// The time up to which the source's topics hold everything now; `None` for nothing new.
    pub claim: Option<Timestamp>,
}

/// Whether a row counts, and up to when the source's topics hold everything at the moment it has arrived.
///
/// It counts when its time exceeds every earlier one and is not ahead of our clock by more than `tolerance` milliseconds, and it was
/// not read by a snapshot or stands in for one that is under way.
///
/// What it shows is a matter of position, never of waiting. A connector sends rows in the order of the source's commits, but an
/// at-least-once one does not see them appended in that order: what it sent before this row may still be on its way to another
/// partition. So a row shows the time of the one before it ([`RowsHold::WithTheNext`]): everything sent before that one had until this
/// one to be appended. A row that is visible only with everything sent before it (an exactly-once connector's, whose transaction is
/// committed before a reader of committed messages sees any of it) shows its own time ([`RowsHold::AtOnce`]). So does a batch row that
/// names a data date: everything committed before the end of that date was sent before the load which lies between.
///
/// # Errors
/// Why not.
pub fn count(known: Known, row: &CompletenessRow, now: Timestamp, tolerance: i64, hold: RowsHold) -> Result<Counted, Discount> {
    if row.time.0 > now.0.saturating_add(tolerance) {
        return Err(Discount::AheadOfUs);
    }
    if row.time <= known.seen {
        return Err(Discount::NotNewer);
    }
    if !row.streamed {
        return Err(Discount::ReadBySnapshot);
    }
    if known.load == Load::Incremental {
        return Err(Discount::BeforeLoad);
    }
    let claim = match hold {
        RowsHold::AtOnce => Some(row.time),
        RowsHold::WithTheNext if row.follows_a_load => Some(row.time),
        RowsHold::WithTheNext => Some(known.seen).filter(|seen| seen.0 > 0),
    };
    Ok(Counted { seen: row.time, claim })
}

/// Reads a message of a completeness table, without its frame; `None` for whatever else it is (the normalisers keep the books of those).
pub fn read(
    names: &TopicNames,
    dialects: &Dialects,
    topic: &str,
    timestamp: Timestamp,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Option<CompletenessRow> {
    let (source, name) = names.table_of(topic)?;
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
    let envelope = table.event(value).ok()??;
    let streamed = matches!(envelope.operation, Operation::Create | Operation::Update) && envelope.snapshot() == Snapshot::No;
    // Loaded before its data date was over, a batch says no more than that it was loaded.
    let ends_a_day = time == time.day_in_shanghai().start_in_shanghai();
    Some(CompletenessRow {
        source,
        time,
        streamed,
        follows_a_load: ends_a_day && table.column(Field::DataDate).is_some(),
        appended_at: timestamp,
        ends_loads: table.column(Field::DataDate).is_some() || !has_batch_control(dialects, source),
    })
}

fn has_batch_control(dialects: &Dialects, source: Source) -> bool {
    let mut tables = dialects.tables(source);
    tables.any(|table| table.kind == Kind::Completeness && table.column(Field::DataDate).is_some())
}

/// Up to which time of messages loads are over once a row counts that may end one, when the row of that kind before it was appended at
/// `before`: everything sent ahead of a row has arrived with it, or with the next one, see [`count`].
pub fn load_ended(row: &CompletenessRow, before: Timestamp, hold: RowsHold) -> Timestamp {
    match hold {
        RowsHold::AtOnce => row.appended_at,
        RowsHold::WithTheNext => before,
    }
}

/// Whether a message of a source's topics, without its frame, is a row of an incremental snapshot, or may be one and does not say.
pub fn is_incremental(names: &TopicNames, dialects: &Dialects, topic: &str, value: Option<&[u8]>) -> bool {
    let rows = names
        .table_of(topic)
        .and_then(|(source, name)| dialects.find(source, name))
        .map_or(Rows::Envelope, |table| table.rows);
    let envelope = rows.parse(value).ok().flatten();
    envelope.is_some_and(|envelope| envelope.snapshot() == Snapshot::Incremental)
}

#[cfg(test)]
mod tests;
