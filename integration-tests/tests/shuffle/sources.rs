//! The sources of the random worlds, and what normalisers make of them.

use domain::citizen_id::CitizenId;
use domain::correction::{self, Statement};
use domain::date::{Day, Timestamp};
use domain::decision::{Decision, Verdict};
use domain::document::{Document, DocumentKind};
use domain::facts::{Card, CardStatus, Correction, Facts, HukouStatus, Resident};
use domain::ids::{IdKey, RecordId};
use domain::input::{Input, SnapshotFloor};
use domain::name::Name;
use domain::personal::Personal;
use domain::record::{Change, Deletion, Identity, SourceRecord, Unread};
use domain::shard::Shard;
use domain::source::{Agency, Source, TableName, Version};
use proptest::prelude::*;
use std::sync::Arc;

/// Rows of the random world: three of public security's register, one of its correction table, three cards of human resources.
const ROWS: u8 = 7;
const REGISTER: std::ops::Range<u8> = 0..3;
const CORRECTIONS: std::ops::Range<u8> = 3..4;

/// What happens to a row.
#[derive(Debug, Clone)]
pub enum Happening {
    /// It is written: with one of the numbers or none, one of the names or none.
    Write {
        number: Option<usize>,
        name: Option<usize>,
        birth: Option<usize>,
        /// By a snapshot or after the connector was down: nobody saw what it said before.
        unseen: bool,
    },
    /// Its number is mistyped, perhaps as somebody else's, and put right.
    Mistype { number: usize, unseen: bool },
    /// It is deleted; the event carries its content, or only its key.
    Delete { content: bool },
    /// It is written, and only its key can be read.
    Unread,
    /// The connector of its table sends the last events again.
    Rewind { events: usize },
    /// A full snapshot of its table is complete that began so many events ago.
    Snapshot { events: usize },
    /// A reviewer decides on it and another row; perhaps it is withdrawn.
    Decide {
        same: bool,
        other: u8,
        keep: Option<usize>,
        withdrawn: bool,
    },
}

/// A happening, and the row that it happens to.
pub fn happening() -> impl Strategy<Value = (u8, Happening)> {
    let write = (
        prop::option::weighted(0.9, 0..NUMBERS),
        prop::option::weighted(0.85, 0..4usize),
        prop::option::of(0..2usize),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(number, name, birth, unseen)| Happening::Write {
            number,
            name,
            birth,
            unseen,
        });
    let happening = prop_oneof![
        12 => write,
        3 => (0..NUMBERS, prop::bool::weighted(0.3)).prop_map(|(number, unseen)| Happening::Mistype { number, unseen }),
        2 => any::<bool>().prop_map(|content| Happening::Delete { content }),
        2 => Just(Happening::Unread),
        1 => (1..6usize).prop_map(|events| Happening::Rewind { events }),
        1 => (0..6usize).prop_map(|events| Happening::Snapshot { events }),
        2 => (prop::bool::weighted(0.7), 0..ROWS, prop::option::weighted(0.7, 0..NUMBERS), prop::bool::weighted(0.2))
            .prop_map(|(same, other, keep, withdrawn)| Happening::Decide { same, other, keep, withdrawn }),
    ];
    (0..ROWS, happening)
}

const NUMBERS: usize = 5;

/// Five numbers: two of one birth date (one shard, two neighbourhoods), three of other shards.
fn number(index: usize) -> CitizenId {
    let (day, sequence) = [(7_000, 11), (7_000, 12), (7_001, 11), (9_500, 21), (-10_000, 11)][index];
    CitizenId::from_parts(320_102, Day(day), sequence).expect("a valid number")
}

fn name(index: usize) -> Name {
    Name::parse(["张大伟", "张小伟", "张?伟", "李娜"][index]).expect("a name")
}

/// The key of identifiers.
pub fn key() -> IdKey {
    IdKey::new(1, &[7; 32])
}

/// The sources as they run: partitions of messages, and what each row last said.
#[derive(Default)]
pub struct Sources {
    /// By partition: messages of inputs; offsets are positions. Each table has two partitions.
    pub partitions: Vec<Vec<(u8, Vec<Input>)>>,
    /// What each row says now.
    pub rows: [Option<Identity>; ROWS as usize],
    /// Complete snapshots.
    pub floors: Vec<SnapshotFloor>,
    /// What reviewers decided, and what they withdrew.
    pub decisions: Vec<(u64, Option<Decision>)>,
}

fn table(row: u8) -> (usize, Source, TableName) {
    let (at, agency, name) = match row {
        row if REGISTER.contains(&row) => (0, Agency::PUBLIC_SECURITY, "czrk"),
        row if CORRECTIONS.contains(&row) => (2, Agency::PUBLIC_SECURITY, "sfhbg"),
        _ => (4, Agency::HUMAN_RESOURCES, "az01"),
    };
    (
        at,
        Source {
            agency,
            city: "3201".parse().expect("a city"),
        },
        TableName::new(name),
    )
}

fn record_id(row: u8) -> RecordId {
    let (_, source, table) = table(row);
    key().record(source, &table, &format!("{row}"))
}

/// A correction row names the former number by its stated birth date here: two of the five numbers.
fn former_of(row: &Identity) -> CitizenId {
    number(if row.birth.is_some() { 0 } else { 3 })
}

impl Sources {
    fn version(&self, row: u8) -> (usize, Version) {
        let at = table(row).0 + usize::from(row % 2);
        let offset = self.partitions[at].len() as u64;
        (
            at,
            Version {
                epoch: 0,
                partition: u16::from(row % 2),
                offset,
                mapping: 1,
            },
        )
    }

    fn record(&self, row: u8, id: RecordId, identity: Identity, facts: Facts) -> Input {
        let (_, source, table) = table(row);
        let (_, version) = self.version(row);
        let key = Personal::new(format!("{row}"));
        let appended_at = Timestamp(0);
        Input::Change(Change::Upsert(Arc::new(SourceRecord {
            id,
            source,
            table,
            key,
            version,
            appended_at,
            identity,
            facts,
        })))
    }

    fn deletion(&self, row: u8, id: RecordId, home: Option<Shard>) -> Input {
        let (_, source, table) = table(row);
        let (_, version) = self.version(row);
        let key = Personal::new(format!("{row}"));
        Input::Change(Change::Delete(Deletion {
            id,
            source,
            table,
            key,
            version,
            appended_at: Timestamp(0),
            home,
        }))
    }

    fn unread(&self, row: u8) -> Input {
        let (_, source, table) = table(row);
        Input::Change(Change::Unread(Unread {
            id: record_id(row),
            source,
            table,
            key: Personal::new(format!("{row}")),
            version: self.version(row).1,
            appended_at: Timestamp(0),
        }))
    }

    fn push(&mut self, row: u8, inputs: Vec<Input>) {
        let (at, _) = self.version(row);
        self.partitions[at].push((row, inputs));
    }

    fn state(&self, row: u8, statement: Statement) -> Input {
        match statement {
            Statement::Made {
                id,
                identity,
                correction,
            } => self.record(row, id, identity, Facts::Correction(correction)),
            Statement::Withdrawn { id, home } => self.deletion(row, id, Some(home)),
        }
    }

    /// The inputs that a normaliser makes of a write, as `runtime::dialect::normalise` does.
    fn write(&mut self, row: u8, identity: Identity, unseen: bool) {
        let id = record_id(row);
        let inputs = if REGISTER.contains(&row) {
            let mut inputs = vec![self.record(row, id, identity.clone(), Facts::Resident(resident()))];
            let before = self.rows[usize::from(row)].as_ref().filter(|_| !unseen);
            let stated = before.map(|before| correction::of_update(id, before, &identity, None, &key()));
            inputs.extend(stated.into_iter().flatten().map(|statement| self.state(row, statement)));
            inputs
        } else if CORRECTIONS.contains(&row) {
            let former = former_of(&identity);
            match identity.number() {
                Some(heir) if heir != former => {
                    let facts = Facts::Correction(Correction { former, heir });
                    vec![self.record(row, id, identity.clone().carrying(former), facts)]
                }
                _ => vec![self.deletion(row, id, identity.clone().carrying(former).shard())],
            }
        } else {
            let facts = Facts::Card(Card {
                status: CardStatus::Active,
                issued: None,
            });
            vec![self.record(row, id, identity.clone(), facts)]
        };
        self.push(row, inputs);
        self.rows[usize::from(row)] = Some(identity);
    }

    /// Lets something happen to a row.
    pub fn happen(&mut self, row: u8, happening: &Happening) {
        match happening {
            Happening::Write {
                number: stated,
                name: named,
                birth,
                unseen,
            } => {
                let document = stated
                    .map(number)
                    .and_then(|number| Document::parse(DocumentKind::ALL[0], &number.text()).ok());
                let birth = birth.map(|index| Day([7_000, 3_333][index]));
                let identity = Identity {
                    document,
                    name: named.map(name),
                    birth,
                    sex: None,
                };
                if !identity.is_empty() {
                    self.write(row, identity, *unseen);
                }
            }
            Happening::Mistype { number: typed, unseen } => {
                if let Some(right) = self.rows[usize::from(row)].clone() {
                    self.write(row, right.clone().carrying(number(*typed)), false);
                    self.write(row, right, *unseen);
                }
            }
            Happening::Delete { content } => {
                let Some(identity) = self.rows[usize::from(row)].take() else {
                    return;
                };
                let last = if CORRECTIONS.contains(&row) {
                    identity.clone().carrying(former_of(&identity))
                } else {
                    identity
                };
                let id = record_id(row);
                let mut inputs = vec![self.deletion(row, id, last.shard().filter(|_| *content))];
                if *content && REGISTER.contains(&row) {
                    inputs.extend(correction::of_delete(id, &last, &key()).map(|statement| self.state(row, statement)));
                }
                self.push(row, inputs);
            }
            Happening::Unread => self.push(row, vec![self.unread(row)]),
            Happening::Rewind { events } => {
                for partition in [table(row).0, table(row).0 + 1] {
                    let from = self.partitions[partition].len().saturating_sub(*events);
                    for at in from..self.partitions[partition].len() {
                        let (row, mut inputs) = self.partitions[partition][at].clone();
                        let (_, version) = self.version(row);
                        for input in &mut inputs {
                            match input {
                                Input::Change(Change::Upsert(record)) => Arc::make_mut(record).version = version,
                                Input::Change(Change::Delete(deletion)) => deletion.version = version,
                                Input::Change(Change::Unread(unread)) => unread.version = version,
                                _ => {}
                            }
                        }
                        self.push(row, inputs);
                    }
                }
            }
            Happening::Decide {
                same,
                other,
                keep,
                withdrawn,
            } => {
                let id = self.decisions.len() as u64;
                let decision = Decision {
                    id,
                    verdict: if *same { Verdict::Same } else { Verdict::Different },
                    record: record_id(row),
                    other: record_id(*other),
                    number: keep.map(number),
                };
                self.decisions.push((id, Some(decision)));
                self.decisions.extend(withdrawn.then_some((id, None)));
            }
            Happening::Snapshot { events } => {
                let (at, source, table) = table(row);
                let begin = |partition: usize| self.partitions[partition].len().saturating_sub(*events) as u64;
                let mut offsets = vec![begin(at), begin(at + 1)];
                if let Some(before) = self.floors.iter().rev().find(|floor| floor.table == table) {
                    offsets
                        .iter_mut()
                        .zip(&before.offsets)
                        .for_each(|(begin, before)| *begin = (*begin).max(*before));
                }
                self.floors.push(SnapshotFloor {
                    source,
                    table,
                    epoch: 0,
                    offsets,
                });
            }
        }
    }
}

fn resident() -> Resident {
    Resident {
        former_name: None,
        ethnicity: None,
        hukou: None,
        hukou_address: None,
        residence: None,
        residence_address: None,
        death: None,
        status: HukouStatus::Registered,
        phone: None,
    }
}
