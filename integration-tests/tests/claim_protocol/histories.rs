//! The histories that the model explores: what the rows of a few records say, version after version.

use crate::state::{Copied, Place};
use domain::base::neighbourhoods;
use domain::citizen_id::CitizenId;
use domain::date::{Day, Timestamp};
use domain::decision::Rulings;
use domain::document::{Document, DocumentKind};
use domain::facts::{Card, CardStatus, Correction, Facts};
use domain::ids::{AnchorId, IdKey, RecordId};
use domain::input::SnapshotFloor;
use domain::name::Name;
use domain::neighbourhood::Member;
use domain::personal::Personal;
use domain::record::{Change, Deletion, Identity, SourceRecord, Unread};
use domain::shard::Shard;
use domain::source::{Agency, Source, TableName, Version};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a version of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// A card under a number (an index into [`Ground::numbers`]).
    Card(usize),
    /// A correction from one number to another.
    Correction(usize, usize),
    /// A delete that states its key only.
    Gone,
    /// A delete with the content that was there: it goes to the same shard.
    GoneWithContent,
    /// A version of which only the key can be read.
    Unread,
}

/// The three shards, and the numbers whose neighbourhoods live there.
pub struct Ground {
    /// The key of identifiers.
    pub key: IdKey,
    /// The shards.
    pub shards: [Shard; 3],
    /// Numbers: two of the first shard, one of the second, one of the third, to which a delete by key alone goes too.
    numbers: Vec<CitizenId>,
    /// Their neighbourhoods.
    pub anchors: Vec<AnchorId>,
}

impl Ground {
    /// The ground of every history.
    pub fn new() -> Self {
        let key = IdKey::new(1, &[7; 32]);
        // The record's key decides where its delete by key goes: to the third shard.
        let third = Shard::of_record(record_id(&key, 0));
        let mut days = (7_000..).map(Day);
        let mut day_of = |fits: &dyn Fn(Shard) -> bool| {
            let mut fitting = days.by_ref().filter(|day| fits(Shard::of_birth_date(*day)));
            fitting.next().expect("every shard has days")
        };
        let first = day_of(&|shard| shard != third);
        let second = day_of(&|shard| shard != third && shard != Shard::of_birth_date(first));
        let last = day_of(&|shard| shard == third);
        let number = |day, sequence| CitizenId::from_parts(320_102, day, sequence).expect("a valid number");
        let numbers = vec![number(first, 11), number(first, 12), number(second, 11), number(last, 11)];
        Self {
            shards: [first, second, last].map(Shard::of_birth_date),
            anchors: numbers.iter().map(|number| key.number(*number)).collect(),
            numbers,
            key,
        }
    }

    /// The small number of a shard.
    pub fn shard(&self, shard: Shard) -> u8 {
        let found = self.shards.iter().position(|known| *known == shard);
        found.expect("nothing leaves the three shards") as u8
    }

    /// The small number of a neighbourhood; 255 for none (a delete's claim names none).
    pub fn anchor(&self, anchor: AnchorId) -> u8 {
        self.anchors
            .iter()
            .position(|known| *known == anchor)
            .map_or(u8::MAX, |found| found as u8)
    }

    /// The neighbourhood of a small number.
    pub fn anchor_id(&self, anchor: u8) -> AnchorId {
        self.anchors.get(usize::from(anchor)).copied().unwrap_or_default()
    }

    fn change(&self, record: usize, said: &[Said], at: usize) -> Change {
        let version = version(at as u8);
        let (id, source, table) = (record_id(&self.key, record), source(), table(record));
        let (key, appended_at) = (Personal::new(record_key(&self.key, record)), Timestamp(0));
        let (number, facts) = match said[at] {
            Said::Card(number) => (
                number,
                Facts::Card(Card {
                    status: CardStatus::Active,
                    issued: None,
                }),
            ),
            Said::Correction(former, heir) => (
                former,
                Facts::Correction(Correction {
                    former: self.numbers[former],
                    heir: self.numbers[heir],
                }),
            ),
            Said::Unread => {
                return Change::Unread(Unread {
                    id,
                    source,
                    table,
                    key,
                    version,
                    appended_at,
                });
            }
            Said::Gone | Said::GoneWithContent => {
                let before = at.checked_sub(1).map(|before| self.change(record, said, before));
                let home = before
                    .as_ref()
                    .filter(|_| said[at] == Said::GoneWithContent)
                    .map(Change::shard);
                return Change::Delete(Deletion {
                    id,
                    source,
                    table,
                    key,
                    version,
                    appended_at,
                    home,
                });
            }
        };
        let document = Document::parse(DocumentKind::ALL[0], &self.numbers[number].text());
        Change::Upsert(Arc::new(SourceRecord {
            id,
            source,
            table,
            key,
            version,
            appended_at,
            identity: Identity {
                document: document.ok(),
                name: Name::parse("李娜").ok(),
                ..Identity::default()
            },
            facts,
        }))
    }
}

fn source() -> Source {
    Source {
        agency: Agency::HUMAN_RESOURCES,
        city: "3201".parse().expect("a city"),
    }
}

fn table(record: usize) -> TableName {
    TableName::new(["az01", "sfhbg", "sfhbg"][record])
}

/// The key columns of a record. They decide where its delete by key alone goes: the third shard, for every record.
fn record_key(key: &IdKey, record: usize) -> String {
    let third = Shard::of_record(key.record(source(), &table(0), "0"));
    let mut keys = (record * 1000..).map(|number| number.to_string());
    let found = keys.find(|text| Shard::of_record(key.record(source(), &table(record), text)) == third);
    found.expect("every shard has keys")
}

fn record_id(key: &IdKey, record: usize) -> RecordId {
    key.record(source(), &table(record), &record_key(key, record))
}

/// A history, and what the function makes of all of it at once.
pub struct History {
    /// What was said, for messages.
    pub said: Vec<Vec<Said>>,
    /// The versions of each record, in order.
    pub versions: Vec<Vec<Change>>,
    /// A complete snapshot of the first record's table.
    pub floor: Option<SnapshotFloor>,
    /// Every copy, homes and guests, at the end.
    pub expected: BTreeMap<Place, Vec<Copied>>,
}

impl History {
    /// A history of some records; a snapshot of the first one's table began before its version `floor`.
    pub fn new(ground: &Ground, said: &[Vec<Said>], floor: Option<u64>) -> Self {
        let versions: Vec<Vec<Change>> = said
            .iter()
            .enumerate()
            .map(|(record, said)| (0..said.len()).map(|at| ground.change(record, said, at)).collect())
            .collect();
        let floor = floor.map(|begin| SnapshotFloor {
            source: source(),
            table: table(0),
            epoch: 0,
            offsets: vec![begin],
        });
        let mut history = Self {
            said: said.to_vec(),
            versions,
            floor,
            expected: BTreeMap::new(),
        };
        let expected = neighbourhoods(
            history.versions.iter().flatten(),
            history.floor.as_slice(),
            &Rulings::default(),
            &ground.key,
        );
        history.expected = expected
            .into_iter()
            .filter(|(_, members)| !members.is_empty())
            .map(|((shard, anchor), members)| {
                let place = Place {
                    shard: ground.shard(shard),
                    anchor: ground.anchor(anchor),
                };
                (place, members.iter().map(|member| history.copied(ground, member)).collect())
            })
            .collect();
        history
    }

    /// The small name of a copy.
    pub fn copied(&self, ground: &Ground, member: &Member) -> Copied {
        let version = member.record.version.offset as u8;
        let record = self.record(member.record.id);
        let is_unreadable = matches!(member.record.facts, Facts::Unreadable(_));
        assert_eq!(
            self.read(record, version, is_unreadable),
            member.record,
            "a copy is a version as it was read, or unreadable since"
        );
        Copied {
            record,
            version,
            is_unreadable,
            unread: member.unread.map(|unread| unread.offset as u8),
            path: member.path.iter().map(|anchor| ground.anchor(*anchor)).collect(),
            from: member.from.map(|shard| ground.shard(shard)),
            sent: member.sent.map(|(shard, anchor)| Place {
                shard: ground.shard(shard),
                anchor: ground.anchor(anchor),
            }),
        }
    }

    /// The copy of a small name.
    pub fn member(&self, ground: &Ground, copied: &Copied) -> Member {
        Member {
            record: self.read(copied.record, copied.version, copied.is_unreadable),
            unread: copied.unread.map(version),
            path: copied.path.iter().map(|anchor| ground.anchor_id(*anchor)).collect(),
            from: copied.from.map(|shard| ground.shards[usize::from(shard)]),
            sent: copied
                .sent
                .map(|place| (ground.shards[usize::from(place.shard)], ground.anchor_id(place.anchor))),
        }
    }

    /// A version of a record, as it was read or without what it said.
    fn read(&self, record: u8, version: u8, is_unreadable: bool) -> Arc<SourceRecord> {
        let Change::Upsert(read) = &self.versions[usize::from(record)][usize::from(version)] else {
            panic!("only what was read has a copy");
        };
        let mut read = Arc::clone(read);
        if is_unreadable {
            let kind = read.facts.kind();
            Arc::make_mut(&mut read).facts = Facts::Unreadable(kind);
        }
        read
    }

    /// Whether a version says nothing but that it could not be read.
    pub fn is_unread(&self, record: u8, version: u8) -> bool {
        matches!(self.versions[usize::from(record)][usize::from(version)], Change::Unread(_))
    }

    /// The small number of a record.
    pub fn record(&self, id: RecordId) -> u8 {
        let found = self.versions.iter().position(|versions| versions[0].id() == id);
        found.expect("a record of the history") as u8
    }

    /// A record's id.
    pub fn id(&self, record: u8) -> RecordId {
        self.versions[usize::from(record)][0].id()
    }
}

/// The version of a small number.
pub fn version(version: u8) -> Version {
    Version {
        offset: u64::from(version),
        mapping: 1,
        ..Version::default()
    }
}

/// Every history of one card over `length` versions: any of the four numbers, deletes of both kinds after the first version.
pub fn of_a_card(ground: &Ground, length: u32, floor: Option<u64>) -> Vec<History> {
    let choices = [
        Said::Card(0),
        Said::Card(1),
        Said::Card(2),
        Said::Card(3),
        Said::Gone,
        Said::GoneWithContent,
    ];
    sequences(&choices, length)
        .into_iter()
        .filter(|said| {
            let gone = |said: &Said| matches!(said, Said::Gone | Said::GoneWithContent);
            // The two numbers of the first shard are alike: the first is the one that comes first.
            let second_first = said.iter().position(|said| *said == Said::Card(1)).unwrap_or(usize::MAX)
                < said.iter().position(|said| *said == Said::Card(0)).unwrap_or(usize::MAX);
            // What is gone is not deleted again, and there is no content to state then.
            !gone(&said[0]) && !second_first && said.windows(2).all(|pair| !(gone(&pair[0]) && gone(&pair[1])))
        })
        .map(|said| History::new(ground, &[said], floor))
        .collect()
}

/// Histories in which a card follows a correction as a guest, while card and correction change.
pub fn with_guests(ground: &Ground) -> Vec<History> {
    let cards: Vec<Vec<Said>> = vec![
        vec![Said::Card(0)],
        vec![Said::Card(0), Said::Card(0)],
        vec![Said::Card(0), Said::Card(2)],
        vec![Said::Card(2), Said::Card(0)],
        vec![Said::Card(0), Said::Card(3)],
        vec![Said::Card(0), Said::Card(1)],
        vec![Said::Card(0), Said::Gone],
    ];
    let corrections: Vec<Vec<Said>> = vec![
        vec![Said::Correction(0, 2)],
        vec![Said::Correction(0, 1)],
        vec![Said::Correction(0, 2), Said::Gone],
        vec![Said::Correction(0, 2), Said::Correction(0, 3)],
        vec![Said::Correction(0, 2), Said::Correction(3, 2)],
    ];
    let mut all = Vec::new();
    for card in &cards {
        for correction in &corrections {
            all.push(History::new(ground, &[card.clone(), correction.clone()], None));
        }
    }
    // Chains, a way back, and two heirs.
    for second in [Said::Correction(2, 3), Said::Correction(2, 0), Said::Correction(0, 3)] {
        let said = [vec![Said::Card(0)], vec![Said::Correction(0, 2)], vec![second]];
        all.push(History::new(ground, &said, None));
    }
    all
}

/// Every sequence of some length.
pub fn sequences(choices: &[Said], length: u32) -> Vec<Vec<Said>> {
    (0..length).fold(vec![Vec::new()], |shorter, _| {
        shorter
            .iter()
            .flat_map(|start| {
                choices.iter().map(move |next| {
                    let mut longer = start.clone();
                    longer.push(*next);
                    longer
                })
            })
            .collect()
    })
}
