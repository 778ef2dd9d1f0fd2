//! Marker rows: of invented people whom the simulator cannot have, each about to open one finding.

use super::super::stack::Stack;
use crate::encode::envelope;
use anyhow::Context;
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::ids::{IdKey, RecordId};
use domain::source::{Source, TableName};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord};
use runtime::debezium::{Key, KeyColumn, KeyType};
use serde_json::{Value, json};
use std::time::Duration;

/// Keys above any of the simulator's.
const KEYS: u64 = 9_000_000_000_000;
/// 1985-01-01; Beijing's first district, where none of the simulator's people is registered.
const BIRTH: i32 = 5_479;
const DIVISION: u32 = 110_101;

/// What a marker's finding waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Double enrolment: told at once by the run's policy.
    AtOnce,
    /// Enrolled after death: told when the sources concerned are complete.
    Heartbeat,
}

/// A row that opens a finding, and the row that stands before it.
pub struct Marker {
    /// Which finding.
    pub kind: Kind,
    /// The marker's record.
    pub record: RecordId,
    /// The record that stands before it.
    pub before: RecordId,
    person: CitizenId,
    number: u64,
}

/// Makes and sends markers.
pub struct Markers {
    key: IdKey,
    producer: BaseProducer,
    first: u64,
}

impl Markers {
    /// Markers whose keys begin at `first`: different for every rate of a run.
    ///
    /// # Errors
    /// When the key or the producer's settings are refused.
    pub fn new(stack: &Stack, first: u64) -> anyhow::Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &stack.broker.settings().kafka)
            .set("enable.idempotence", "true")
            // More under way can lose a refused first message to a new partition.
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", "0")
            .create()?;
        Ok(Self {
            key: IdKey::from_hex(stack.id_key()).context("CANBAO_ID_KEY")?,
            producer,
            first,
        })
    }

    /// The marker of a number.
    ///
    /// # Errors
    /// When there are more than people can be invented for.
    pub fn marker(&self, at: usize) -> anyhow::Result<Marker> {
        let number = self.first + at as u64;
        let (day, sequence) = ((number / 90 % 12_000) as i32, 900 + (number % 90) as u16);
        let person = CitizenId::from_parts(DIVISION, Day(BIRTH + day), sequence).context("a day without a number")?;
        let kind = if at.is_multiple_of(2) { Kind::AtOnce } else { Kind::Heartbeat };
        let marker = Marker {
            kind,
            record: RecordId::default(),
            before: RecordId::default(),
            person,
            number,
        };
        Ok(Marker {
            record: self.record(&Self::row(&marker))?,
            before: self.record(&Self::row_before(&marker))?,
            ..marker
        })
    }

    fn record(&self, row: &Row) -> anyhow::Result<RecordId> {
        let bytes = serde_json::to_vec(&row.key)?;
        let column = KeyColumn {
            name: row.column.to_owned(),
            kind: KeyType::Any,
        };
        let text = Key::parse(Some(&bytes), &[column])?.text;
        let source: Source = row.source.parse()?;
        Ok(self.key.record(source, &TableName::new(row.table), &text))
    }

    fn row_before(marker: &Marker) -> Row {
        enrolment("human-resources.3201", "320105", marker, 2 * marker.number)
    }

    fn row(marker: &Marker) -> Row {
        match marker.kind {
            Kind::AtOnce => enrolment("human-resources.3202", "320205", marker, 2 * marker.number + 1),
            Kind::Heartbeat => {
                let key = format!("M{:013}", marker.number);
                let died = chrono::Utc::now().timestamp() / 86_400 - 100;
                Row {
                    source: "public-security.3201",
                    table: "czrk",
                    column: "rybh",
                    key: json!({ "rybh": key }),
                    columns: json!({
                        "rybh": key, "gmsfhm": marker.person.text(), "xm": "钱标", "xb": "1", "mz": "01",
                        "csrq": marker.person.birth_date().0, "hjdqh": "320105", "xzdqh": "320105001001",
                        "xzdz": "虚构路1号", "swrq": died, "hkzt": "2", "cym": null, "hjdz": null, "lxdh": null,
                    }),
                }
            }
        }
    }

    /// Sends the marker.
    ///
    /// # Errors
    /// When the producer refuses it.
    pub fn send(&self, marker: &Marker) -> anyhow::Result<()> {
        self.produce(&Self::row(marker))
    }

    /// Sends what stands before it.
    ///
    /// # Errors
    /// When the producer refuses it.
    pub fn send_before(&self, marker: &Marker) -> anyhow::Result<()> {
        self.produce(&Self::row_before(marker))
    }

    /// Lets the producer work.
    pub fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    fn produce(&self, row: &Row) -> anyhow::Result<()> {
        let topic = format!("{}.public.{}", row.source, row.table);
        let (key, value) = (
            serde_json::to_vec(&row.key)?,
            serde_json::to_vec(&envelope("c", None, row.columns.as_object()))?,
        );
        let record = BaseRecord::to(&topic).key(&key).payload(&value);
        self.producer.send(record).map_err(|(error, _)| error.into())
    }
}

struct Row {
    source: &'static str,
    table: &'static str,
    column: &'static str,
    key: Value,
    columns: Value,
}

/// A paying enrolment in the employees' pension.
fn enrolment(source: &'static str, place: &str, marker: &Marker, number: u64) -> Row {
    let key = KEYS + number;
    let today = chrono::Utc::now().date_naive();
    let month = today.format("%Y%m").to_string().parse::<i32>().unwrap_or(0);
    Row {
        source,
        table: "ac02",
        column: "baz001",
        key: json!({ "baz001": key }),
        columns: json!({
            "baz001": key, "aac002": marker.person.text(), "aac003": "钱标", "aae140": "110", "aac031": "1",
            "aae030": 18_000, "aac049": 201_904, "aae003": month, "aab001": "D000001", "aab301": place,
            "aae031": null, "aaz288": null, "aaz289": null,
        }),
    }
}
