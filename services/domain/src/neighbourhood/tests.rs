//! Corrections judged by the present, on the function of everything at once.

mod names;

use crate::base::{Base, Person, whole};
use crate::citizen_id::CitizenId;
use crate::correction::{Statement, of_delete, of_update};
use crate::date::{Day, Timestamp};
use crate::decision::Rulings;
use crate::facts::{Card, CardStatus, Correction, Facts, HukouStatus, Resident};
use crate::ids::{IdKey, PersonId, RecordId};
use crate::name::Name;
use crate::person::Standing;
use crate::personal::Personal;
use crate::policy::Policy;
use crate::record::{Change, Deletion, Identity, SourceRecord};
use crate::source::{Agency, Source, TableName, Version};
use proptest::prelude::*;
use std::sync::Arc;

fn key() -> IdKey {
    IdKey::new(1, &[7; 32])
}

/// Numbers of men born on different days, so that each is in a shard of its own.
fn number(index: usize) -> CitizenId {
    CitizenId::from_parts(320_102, Day(5_000 + 400 * index as i32), 11).expect("a number")
}

fn identity(of: usize, name: &str) -> Identity {
    Identity {
        name: Name::parse(name).ok(),
        ..Identity::default()
    }
    .carrying(number(of))
}

/// The changes of a few rows, in the order they happen: of public security's register, its correction table, and cards.
#[derive(Default)]
struct Rows {
    changes: Vec<Change>,
    offset: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Table {
    Register,
    Corrections,
    Cards,
}

impl Table {
    fn source(self) -> (Source, TableName) {
        let (agency, table) = match self {
            Self::Register => (Agency::PUBLIC_SECURITY, "czrk"),
            Self::Corrections => (Agency::PUBLIC_SECURITY, "sfhbg"),
            Self::Cards => (Agency::HUMAN_RESOURCES, "az01"),
        };
        let city = "3201".parse().expect("a city");
        (Source { agency, city }, TableName::new(table))
    }

    fn id(self, row: &str) -> RecordId {
        let (source, table) = self.source();
        key().record(source, &table, row)
    }
}

impl Rows {
    fn put(&mut self, table: Table, row: &str, id: RecordId, identity: Identity, facts: Facts) {
        let (source, table) = table.source();
        self.changes.push(Change::Upsert(Arc::new(SourceRecord {
            id,
            source,
            table,
            key: Personal::new(row),
            version: self.version(),
            appended_at: Timestamp(0),
            identity,
            facts,
        })));
    }

    fn remove(&mut self, table: Table, row: &str, id: RecordId) {
        let (source, table) = table.source();
        self.changes.push(Change::Delete(Deletion {
            id,
            source,
            table,
            key: Personal::new(row),
            version: self.version(),
            appended_at: Timestamp(0),
            home: None,
        }));
    }

    fn version(&self) -> Version {
        Version {
            offset: self.offset,
            mapping: 1,
            ..Version::default()
        }
    }

    fn state(&mut self, row: &str, statements: impl IntoIterator<Item = Statement>) {
        for statement in statements {
            match statement {
                Statement::Made {
                    id,
                    identity,
                    correction,
                } => self.put(Table::Register, row, id, identity, Facts::Correction(correction)),
                Statement::Withdrawn { id, .. } => self.remove(Table::Register, row, id),
            }
        }
    }

    /// A register row is read, without an image before.
    fn read(&mut self, row: &str, now: &Identity) {
        self.offset += 1;
        let facts = Facts::Resident(Resident {
            former_name: None,
            ethnicity: None,
            hukou: None,
            hukou_address: None,
            residence: None,
            residence_address: None,
            death: None,
            status: HukouStatus::Registered,
            phone: None,
        });
        self.put(Table::Register, row, Table::Register.id(row), now.clone(), facts);
    }

    /// A register row changes.
    fn update(&mut self, row: &str, before: &Identity, now: &Identity) {
        self.read(row, now);
        self.state(row, of_update(Table::Register.id(row), before, now, None, &key()));
    }

    /// A register row is struck off.
    fn strike_off(&mut self, row: &str, last: Option<&Identity>) {
        self.offset += 1;
        self.remove(Table::Register, row, Table::Register.id(row));
        let stated = last.and_then(|last| of_delete(Table::Register.id(row), last, &key()));
        self.state(row, stated);
    }

    fn card(&mut self, row: &str, of: &Identity) {
        self.offset += 1;
        let facts = Facts::Card(Card {
            status: CardStatus::Active,
            issued: None,
        });
        self.put(Table::Cards, row, Table::Cards.id(row), of.clone(), facts);
    }

    fn correct(&mut self, row: &str, name: &str, former: usize, heir: usize) {
        self.offset += 1;
        let (former, heir) = (number(former), number(heir));
        let facts = Facts::Correction(Correction { former, heir });
        let identity = identity(0, name).carrying(former);
        self.put(Table::Corrections, row, Table::Corrections.id(row), identity, facts);
    }

    fn base(&self) -> Base {
        whole(
            &self.changes,
            &[],
            &Rulings::default(),
            Some(&Policy::embedded()),
            Day(20_000),
            &key(),
        )
    }

    /// The persons in words: whose id, standing, number, former numbers, rows.
    fn persons(&self) -> Vec<String> {
        let base = self.base();
        let persons = base.values().flat_map(|described| &described.persons);
        let mut persons: Vec<String> = persons.map(line).collect();
        persons.sort_unstable();
        persons
    }
}

fn line(person: &Person) -> String {
    let index = |wanted: CitizenId| {
        (0..9)
            .find(|index| number(*index) == wanted)
            .expect("a number of these tests")
    };
    let of_number = (0..9).find(|index| PersonId::from(key().number(number(*index))) == person.id);
    let id = of_number.map_or_else(|| "row".to_owned(), |index| index.to_string());
    let former: Vec<usize> = person.former_numbers.iter().map(|former| index(*former)).collect();
    let rows = person.members.iter().filter(|member| !member.record.is_statement());
    let mut rows: Vec<&str> = rows.map(|member| member.record.key.reveal()).collect();
    rows.sort_unstable();
    match person.standing {
        Standing::Holder => format!(
            "{} held by {id} once {former:?}: {}",
            person
                .number
                .map_or_else(|| "-".to_owned(), |number| index(number).to_string()),
            rows.join(" ")
        ),
        standing => format!("{}: {}", standing.as_str(), rows.join(" ")),
    }
}

const FANG: &str = "方小甲";
const YUAN: &str = "袁乙";

#[test]
fn a_correction_leads_and_retires() {
    let (old, new) = (identity(1, FANG), identity(2, FANG));
    let mut rows = Rows::default();
    rows.read("R", &old);
    rows.card("c", &old);
    rows.update("R", &old, &new);
    assert_eq!(rows.persons(), ["2 held by 2 once [1]: R c"]);
    rows.read("R", &new);
    assert_eq!(rows.persons(), ["2 held by 2 once [1]: R c"], "a snapshot forgets nothing");
    rows.strike_off("R", None);
    assert_eq!(
        rows.persons(),
        ["2 held by 2 once [1]: c"],
        "guests alone hold the heir number"
    );
    let twice = identity(3, FANG);
    rows.read("R", &new);
    rows.update("R", &new, &twice);
    assert_eq!(rows.persons(), ["3 held by 3 once [1, 2]: R c"]);
}

#[test]
fn a_row_that_states_the_number_again_never_gave_it_up() {
    let (own, error) = (identity(1, FANG), identity(2, FANG));
    let expected = ["1 held by 1 once []: R c"];
    for by_update in [true, false] {
        let mut rows = Rows::default();
        rows.read("R", &own);
        rows.card("c", &own);
        rows.update("R", &own, &error);
        if by_update {
            rows.update("R", &error, &own);
        } else {
            rows.read("R", &own);
        }
        assert_eq!(rows.persons(), expected);
        // Struck off, nobody has come to carry the error.
        rows.strike_off("R", Some(&own));
        assert_eq!(rows.persons(), ["1 held by 1 once []: c"]);
    }
    let mut rows = Rows::default();
    rows.card("c", &own);
    rows.read("R", &own);
    rows.update("R", &own, &error);
    rows.update("R", &error, &own);
    rows.strike_off("R", None);
    assert_eq!(rows.persons(), ["1 held by 1 once []: c"]);
}

#[test]
fn a_number_mistyped_as_somebody_elses_is_put_right() {
    let (fang, yuan, typed) = (identity(1, FANG), identity(2, YUAN), identity(2, FANG));
    for yuan_is_registered in [true, false] {
        let mut rows = Rows::default();
        rows.read("F", &fang);
        rows.card("f", &fang);
        rows.card("y", &yuan);
        let mut expected = vec!["1 held by 1 once []: F f", "2 held by 2 once []: y"];
        if yuan_is_registered {
            rows.read("Y", &yuan);
            expected[1] = "2 held by 2 once []: Y y";
        }
        assert_eq!(rows.persons(), expected);
        rows.update("F", &fang, &typed);
        rows.update("F", &typed, &fang);
        assert_eq!(rows.persons(), expected);
        // Human resources copied the mistake.
        rows.card("g", &typed);
        expected[0] = "1 held by 1 once []: F f g";
        assert_eq!(rows.persons(), expected);
    }
}

#[test]
fn a_row_typed_in_with_somebody_elses_number_retires_nothing() {
    let (typed, yuan, right) = (identity(2, FANG), identity(2, YUAN), identity(1, FANG));
    let mut rows = Rows::default();
    rows.read("F", &typed);
    rows.read("Y", &yuan);
    rows.card("y", &yuan);
    rows.card("f", &typed);
    rows.update("F", &typed, &right);
    assert_eq!(rows.persons(), ["1 held by 1 once []: F f", "2 held by 2 once []: Y y"]);
}

#[test]
fn exchanged_numbers_are_former_numbers_of_both() {
    let (jia, yi) = (identity(1, FANG), identity(2, YUAN));
    let (jia_now, yi_now) = (identity(2, FANG), identity(1, YUAN));
    let mut rows = Rows::default();
    rows.read("J", &jia);
    rows.read("Y", &yi);
    rows.card("j", &jia);
    rows.update("J", &jia, &jia_now);
    rows.update("Y", &yi, &yi_now);
    let exchanged = ["1 held by row once [2]: Y", "2 held by row once [1]: J j"];
    assert_eq!(rows.persons(), exchanged);
    rows.update("J", &jia_now, &jia);
    rows.update("Y", &yi_now, &yi);
    assert_eq!(
        rows.persons(),
        ["1 held by 1 once []: J j", "2 held by 2 once []: Y"],
        "exchanged back, nothing was"
    );
}

#[test]
fn a_chain_through_somebody_elses_number_ends_at_the_right_one() {
    let (first, typed, right) = (identity(1, FANG), identity(2, FANG), identity(3, FANG));
    let yuan = identity(2, YUAN);
    let mut rows = Rows::default();
    rows.read("Y", &yuan);
    rows.read("F", &first);
    rows.card("f", &first);
    rows.update("F", &first, &typed);
    rows.update("F", &typed, &right);
    assert_eq!(rows.persons(), ["2 held by 2 once []: Y", "3 held by 3 once [1]: F f"]);
}

#[test]
fn a_detour_through_two_numbers_is_forgotten() {
    let way = [identity(1, FANG), identity(2, FANG), identity(3, FANG)];
    let mut rows = Rows::default();
    rows.read("F", &way[0]);
    rows.card("f", &way[0]);
    for (before, now) in [(0, 1), (1, 2), (2, 0)] {
        rows.update("F", &way[before], &way[now]);
    }
    assert_eq!(rows.persons(), ["1 held by 1 once []: F f"]);
}

#[test]
fn a_reused_row_leaves_the_number_where_it_is() {
    let (he, hao) = (identity(1, "贺甲"), identity(2, "郝乙"));
    let mut rows = Rows::default();
    rows.read("1", &he);
    rows.read("2", &he);
    rows.card("h", &he);
    rows.card("k", &hao);
    rows.update("1", &he, &hao);
    assert_eq!(rows.persons(), ["1 held by 1 once []: 2 h", "2 held by 2 once []: 1 k"]);
    rows.strike_off("2", Some(&he));
    assert_eq!(rows.persons(), ["1 held by 1 once []: h", "2 held by 2 once []: 1 k"]);
    // What the row had said before of the number goes with its person.
    let mut rows = Rows::default();
    rows.card("h", &he);
    rows.read("1", &he);
    rows.update("1", &he, &identity(3, "贺甲"));
    rows.read("1", &he);
    rows.update("1", &he, &hao);
    assert_eq!(rows.persons(), ["1 held by 1 once []: h", "2 held by 2 once []: 1"]);
}

#[test]
fn a_name_corrected_with_the_number_is_known_by_both() {
    let one = |of, name| Identity {
        birth: Some(Day(5_400)),
        ..identity(of, name)
    };
    let (old, new) = (one(1, "方小甲"), one(2, "方晓甲"));
    let mut rows = Rows::default();
    rows.read("F", &old);
    rows.card("o", &old);
    rows.card("n", &new);
    rows.update("F", &old, &new);
    let expected = ["2 held by 2 once [1]: F n o"];
    assert_eq!(rows.persons(), expected);
    rows.strike_off("F", Some(&new));
    assert_eq!(rows.persons(), ["2 held by 2 once [1]: n o"]);
}

#[test]
fn a_correction_alone_is_never_a_person() {
    let (old, new) = (identity(1, FANG), identity(2, FANG));
    let mut rows = Rows::default();
    rows.read("F", &old);
    rows.update("F", &old, &new);
    rows.strike_off("F", Some(&new));
    rows.correct("B", YUAN, 3, 4);
    rows.correct("C", FANG, 5, 3);
    assert_eq!(rows.persons(), [""; 0]);
    rows.card("y", &identity(3, YUAN));
    assert_eq!(rows.persons(), ["4 held by 4 once [3]: y"]);
    rows.strike_off("F", None);
    rows.changes.retain(|change| change.id() != Table::Corrections.id("B"));
    assert_eq!(
        rows.persons(),
        ["3 held by 3 once []: y"],
        "5 was corrected to it, but not for this name"
    );
}

#[test]
fn a_correction_table_does_not_retire_what_the_register_states() {
    let mut rows = Rows::default();
    rows.read("Y", &identity(1, YUAN));
    rows.card("y", &identity(1, YUAN));
    rows.card("f", &identity(1, FANG));
    rows.correct("B", FANG, 1, 2);
    assert_eq!(rows.persons(), ["1 held by 1 once []: Y y", "2 held by 2 once [1]: f"]);
}

const NAMES: [&str; 3] = [FANG, YUAN, "方晓甲"];

proptest! {
    /// A number mistyped as any other, free or somebody's, and put right by whatever shows it: persons, ids, holders and former numbers
    /// are what they would be had nobody mistyped it. (Cards of the name under the number typed may follow: they copied the mistake.)
    #[test]
    fn a_mistake_put_right_leaves_no_trace(
        register in prop::collection::vec((0..4usize, 0..3usize), 1..4),
        cards in prop::collection::vec((0..4usize, 0..3usize), 0..5),
        typed in prop::collection::vec(0..4usize, 1..3),
        unseen in any::<bool>(),
        struck_off in prop::option::of(any::<bool>()),
    ) {
        let (of, name) = register[0];
        prop_assume!(typed.iter().all(|typed| *typed != of && !cards.contains(&(*typed, name))));
        // Who came by one number and left by another had it, as far as that number knows.
        prop_assume!(typed.len() == 1 || cards.iter().all(|(of, _)| !typed.contains(of)));
        let own = identity(of, NAMES[name]);
        let mut rows = Rows::default();
        for (at, (of, name)) in register.iter().enumerate() {
            rows.read(&format!("R{at}"), &identity(*of, NAMES[*name]));
        }
        for (at, (of, name)) in cards.iter().enumerate() {
            rows.card(&format!("c{at}"), &identity(*of, NAMES[*name]));
        }
        let mut clean = Rows { changes: rows.changes.clone(), offset: rows.offset };
        let mut now = own.clone();
        for typed in &typed {
            let next = identity(*typed, NAMES[name]);
            rows.update("R0", &now, &next);
            now = next;
        }
        if unseen {
            rows.read("R0", &own);
        } else {
            rows.update("R0", &now, &own);
        }
        if let Some(content) = struck_off {
            // What the images of a deleted row no longer show, and no row states, cannot be known.
            prop_assume!(if content { typed.len() == 1 } else { !unseen });
            rows.strike_off("R0", Some(&own).filter(|_| content));
            clean.strike_off("R0", Some(&own).filter(|_| content));
        }
        prop_assert_eq!(rows.persons(), clean.persons());
    }
}
