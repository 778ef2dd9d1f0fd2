//! The embedded schema registry (模式注册表): which subject has which schema, under which id.
//!
//! Ids and versions never change once shipped: they stand in stored topics. A changed schema is a new entry with the next id, whose
//! text must stay readable by every earlier one and the other way round (`FULL_TRANSITIVE`).

use apache_avro::Schema;
use domain::division::City;
use domain::finding::AlertKind;
use domain::source::Agency;
use std::sync::LazyLock;

/// The compatibility rule of every subject, in Confluent's words.
pub const COMPATIBILITY: &str = "FULL_TRANSITIVE";

/// Topic of the shards' logs; several kinds share it, so its subjects carry the record's name (TopicRecordNameStrategy).
pub const PERSON_RECORDS: &str = "person.records";
/// Compacted topic of the latest announced state of every finding.
pub const FINDINGS: &str = "findings";
/// Compacted topic of the latest state of every person.
pub const PERSON_REGISTRY: &str = "person.registry";

/// A kind of value in Canbao's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A version of a source record about a person (来源记录).
    PersonRecord,
    /// A version of a source record about a person of which only the key could be read (不可读).
    UnreadRecord,
    /// A version of a source record about something else (实体).
    EntityRecord,
    /// A message between shards (分片间消息).
    ShardMessage,
    /// A message between shards about a version of which only the key could be read.
    UnreadNotice,
    /// A statement of the clock or of an operator (控制消息).
    Control,
    /// A table was truncated at its source (清空).
    Truncation,
    /// A policy that comes into force (政策).
    Policy,
    /// An alert (预警事件).
    AlertEvent,
    /// The latest announced state of a finding (疑点).
    FindingState,
    /// The latest state of a person (人员).
    PersonState,
    /// A message that could not be read (死信).
    DeadLetter,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::PersonRecord,
        Self::UnreadRecord,
        Self::EntityRecord,
        Self::ShardMessage,
        Self::UnreadNotice,
        Self::Control,
        Self::Truncation,
        Self::Policy,
        Self::AlertEvent,
        Self::FindingState,
        Self::PersonState,
        Self::DeadLetter,
    ];

    /// Those that stand in the shards' logs.
    const LOG: [Self; 8] = [
        Self::PersonRecord,
        Self::UnreadRecord,
        Self::EntityRecord,
        Self::ShardMessage,
        Self::UnreadNotice,
        Self::Control,
        Self::Truncation,
        Self::Policy,
    ];

    /// The full name of its Avro record.
    pub fn record_name(self) -> &'static str {
        match self {
            Self::PersonRecord => "cn.canbao.PersonRecord",
            Self::UnreadRecord => "cn.canbao.UnreadRecord",
            Self::EntityRecord => "cn.canbao.EntityRecord",
            Self::ShardMessage => "cn.canbao.ShardMessage",
            Self::UnreadNotice => "cn.canbao.UnreadNotice",
            Self::Control => "cn.canbao.Control",
            Self::Truncation => "cn.canbao.Truncation",
            Self::Policy => "cn.canbao.Policy",
            Self::AlertEvent => "cn.canbao.AlertEvent",
            Self::FindingState => "cn.canbao.FindingState",
            Self::PersonState => "cn.canbao.PersonState",
            Self::DeadLetter => "cn.canbao.DeadLetter",
        }
    }

    /// The kind of value under a subject; `None` for a subject of no topic of Canbao.
    pub fn of_subject(subject: &str) -> Option<Self> {
        if let Some(record) = subject.strip_prefix(PERSON_RECORDS).and_then(|rest| rest.strip_prefix('-')) {
            return Self::LOG.into_iter().find(|kind| kind.record_name() == record);
        }
        let topic = subject.strip_suffix("-value")?;
        match topic {
            FINDINGS => return Some(Self::FindingState),
            PERSON_REGISTRY => return Some(Self::PersonState),
            _ => {}
        }
        let mut parts = topic.split('.');
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        if first == "alerts" {
            (AlertKind::from_name(second).is_some() && third.parse::<City>().is_ok()).then_some(Self::AlertEvent)
        } else {
            (first.parse::<Agency>().is_ok() && second.parse::<City>().is_ok() && third == "dlq").then_some(Self::DeadLetter)
        }
    }
}

/// A shipped version of a schema.
#[derive(Debug)]
pub struct SchemaVersion {
    /// What it describes.
    pub kind: Kind,
    /// Version under each of its subjects, 1 or more.
    pub version: u32,
    /// Id in Confluent frames, when no other registry assigns one.
    pub id: u32,
    /// Its text, complete in itself.
    pub text: String,
    /// The text parsed.
    pub schema: Schema,
}

/// Kind, version, id and file: append only.
const SHIPPED: &[(Kind, u32, u32, &str)] = &[
    (Kind::PersonRecord, 1, 1, include_str!("../avro/person-record.v1.avsc")),
    (Kind::EntityRecord, 1, 2, include_str!("../avro/entity-record.avsc")),
    (Kind::ShardMessage, 1, 3, include_str!("../avro/shard-message.v1.avsc")),
    (Kind::Control, 1, 4, include_str!("../avro/control.avsc")),
    (Kind::AlertEvent, 1, 5, include_str!("../avro/alert-event.avsc")),
    (Kind::FindingState, 1, 6, include_str!("../avro/finding-state.avsc")),
    (Kind::PersonState, 1, 7, include_str!("../avro/person-state.v1.avsc")),
    (Kind::DeadLetter, 1, 8, include_str!("../avro/dead-letter.avsc")),
    (Kind::ShardMessage, 2, 9, include_str!("../avro/shard-message.avsc")),
    (Kind::Policy, 1, 10, include_str!("../avro/policy.avsc")),
    (Kind::PersonState, 2, 11, include_str!("../avro/person-state.avsc")),
    (Kind::UnreadRecord, 1, 12, include_str!("../avro/unread-record.avsc")),
    (Kind::UnreadNotice, 1, 13, include_str!("../avro/unread-notice.avsc")),
    (Kind::Truncation, 1, 14, include_str!("../avro/truncation.avsc")),
    // No version 2: a record has the number of the message that nests it.
    (Kind::PersonRecord, 3, 15, include_str!("../avro/person-record.avsc")),
    (Kind::ShardMessage, 3, 16, include_str!("../avro/shard-message.avsc")),
];

static VERSIONS: LazyLock<Vec<SchemaVersion>> = LazyLock::new(|| {
    SHIPPED
        .iter()
        .map(|&(kind, version, id, file)| {
            let text = match kind {
                Kind::ShardMessage => with_person_record(file, version),
                _ => file.to_owned(),
            };
            let schema = Schema::parse_str(&text).expect("the shipped schemas parse: a test reads each");
            SchemaVersion {
                kind,
                version,
                id,
                text,
                schema,
            }
        })
        .collect()
});

/// A shard message nests the newest person record that is not of a later version. Its file names it; what is served and parsed holds it, so that
/// no reader needs the registry's references.
fn with_person_record(file: &str, version: u32) -> String {
    let nested = SHIPPED
        .iter()
        .rfind(|(kind, number, ..)| *kind == Kind::PersonRecord && *number <= version);
    let (.., text) = nested.expect("the first version is shipped: a test reads each");
    file.replacen("\"cn.canbao.PersonRecord\"", text.trim_end(), 1)
}

/// Every shipped version, oldest first.
pub fn all() -> &'static [SchemaVersion] {
    &VERSIONS
}

/// The newest version of a kind: what is written.
///
/// # Panics
/// When a kind has no shipped schema, which tests rule out.
pub fn newest(kind: Kind) -> &'static SchemaVersion {
    all()
        .iter()
        .rfind(|version| version.kind == kind)
        .expect("every kind is shipped: a test reads each")
}

/// Every subject, sorted.
pub fn subjects() -> Vec<String> {
    let mut subjects: Vec<String> = Kind::LOG
        .iter()
        .map(|kind| format!("{PERSON_RECORDS}-{}", kind.record_name()))
        .collect();
    subjects.extend([format!("{FINDINGS}-value"), format!("{PERSON_REGISTRY}-value")]);
    for city in City::all() {
        subjects.extend(
            AlertKind::ALL
                .iter()
                .map(|kind| format!("{}-value", alert_topic(*kind, city))),
        );
        subjects.extend(Agency::all().map(|agency| format!("{agency}.{city}.dlq-value")));
    }
    subjects.sort_unstable();
    subjects
}

/// The subjects of a kind, sorted.
pub fn subjects_of(kind: Kind) -> Vec<String> {
    let mut subjects = subjects();
    subjects.retain(|subject| Kind::of_subject(subject) == Some(kind));
    subjects
}

/// The topic of a kind of alerts of a city.
pub fn alert_topic(kind: AlertKind, city: City) -> String {
    format!("alerts.{}.{city}", kind.as_str())
}

/// The version with an id.
pub fn schema_by_id(id: u32) -> Option<&'static SchemaVersion> {
    all().iter().find(|version| version.id == id)
}

/// The versions of a subject, oldest first; `None` for an unknown subject.
pub fn versions(subject: &str) -> Option<Vec<&'static SchemaVersion>> {
    let kind = Kind::of_subject(subject)?;
    Some(all().iter().filter(|version| version.kind == kind).collect())
}

/// The newest version of a subject; `None` for an unknown subject.
pub fn latest(subject: &str) -> Option<&'static SchemaVersion> {
    Kind::of_subject(subject).map(newest)
}

/// The version of a subject that equals a schema, but for documentation and layout; `None` when there is none.
pub fn lookup(subject: &str, text: &str) -> Option<&'static SchemaVersion> {
    let wanted = Schema::parse_str(text).ok()?.canonical_form();
    versions(subject)?
        .into_iter()
        .find(|version| version.schema.canonical_form() == wanted)
}
