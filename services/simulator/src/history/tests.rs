use super::*;
use crate::tables::Table;
use domain::citizen_id::CitizenId;
use std::collections::{BTreeMap, BTreeSet};

const TODAY: Day = Day(20_781);

fn dossiers(residents: u64, seed: u64, rates: &Rates) -> Vec<Dossier> {
    let world = World::new(seed, residents, TODAY);
    (0..world.blocks()).flat_map(|at| block(&world, rates, at)).collect()
}

#[test]
fn numbers_are_valid_unique_and_fit_the_person() {
    let mut seen = BTreeSet::new();
    let dossiers = dossiers(60_000, 1, &Rates::default());
    assert_eq!(dossiers.len(), 60_000);
    for dossier in dossiers {
        let person = dossier.person;
        assert!(CitizenId::parse(&person.number.text()) == Ok(person.number));
        assert!(person.number.birth_date() == person.birth && person.birth <= TODAY);
        assert!((person.number.sex() == domain::sex::Sex::Male) == person.male);
        assert!(seen.insert(person.number), "a number given out twice");
    }
}

#[test]
fn one_person_is_the_same_alone_and_in_the_crowd() {
    let rates = Rates::default();
    let world = World::new(9, 4_000, TODAY);
    let all = dossiers(4_000, 9, &rates);
    for index in [0, 7, 8, 1_234, 3_999] {
        let alone = of(&world, &rates, index).expect("there");
        let rows = |dossier: &Dossier| {
            let mut out = Vec::new();
            dossier.records.iter().for_each(|record| record.row.write(&mut out));
            out
        };
        assert!(rows(&alone) == rows(&all[index as usize]) && !rows(&alone).is_empty());
    }
    assert!(of(&world, &rates, 4_000).is_none());
    let other = dossiers(4_000, 10, &rates);
    assert!(other[5].person.name != all[5].person.name || other[5].person.number != all[5].person.number);
}

#[test]
fn volumes_and_troubles_are_as_in_the_real_province() {
    let residents = 40_000;
    let dossiers = dossiers(residents, 2, &Rates::default());
    let mut tables: BTreeMap<Table, u64> = BTreeMap::new();
    let mut expected: BTreeMap<Rule, u64> = BTreeMap::new();
    let (mut employed, mut twins, mut cities) = (0, 0, BTreeSet::new());
    for dossier in &dossiers {
        for record in &dossier.records {
            *tables.entry(record.row.table()).or_default() += 1;
            cities.insert((record.row.agency(), record.city));
        }
        for rule in &dossier.expected {
            *expected.entry(*rule).or_default() += 1;
        }
        employed += u64::from(dossier.open_job().is_some());
    }
    for pair in dossiers.windows(2) {
        let (one, two) = (&pair[0].person, &pair[1].person);
        twins += u64::from(one.household == two.household && one.birth == two.birth);
    }
    let share = |count: u64| count as f64 / residents as f64;
    let within = |what: &str, count: u64, low: f64, high: f64| {
        assert!((low..=high).contains(&share(count)), "{what}: {:.4}", share(count));
    };
    within("employed", employed, 0.24, 0.33);
    within("ac01", tables[&Table::Ac01], 0.5, 0.7);
    within("ac02", tables[&Table::Ac02], 1.5, 2.4);
    within("registered", tables[&Table::Czrk] + tables[&Table::Ldrk], 1.0, 1.15);
    within("az01", tables[&Table::Az01], 0.85, 0.95);
    within("ac60", tables[&Table::Ac60], 0.1, 0.25);
    within("never enrolled", expected[&Rule::NeverEnrolled], 0.002, 0.004);
    within("lapsed", expected[&Rule::Lapsed], 0.002, 0.004);
    within("double", expected[&Rule::DoubleEnrolled], 0.004, 0.007);
    within("after death", expected[&Rule::AfterDeath], 0.001, 0.004);
    within("twins", twins, 0.000_2, 0.01);
    assert_eq!(cities.len(), 13 * 3 + 1);
}

#[test]
fn healthy_employees_are_paid_up_in_everything_they_must_have() {
    let last = TODAY.month().add_months(-1).yyyymm();
    for dossier in dossiers(8_000, 3, &Rates::default().scaled(0.0)) {
        let Role::Employee(job) = dossier.person.role else { continue };
        if dossier.person.trouble.is_some() || dossier.person.fate != Fate::Here {
            continue;
        }
        let row = dossier.open_job().map(|at| &dossier.records[at].row);
        let Some(Row::Ac21(row)) = row else {
            panic!("employed without an employment")
        };
        let kind = row.aab019.as_deref().expect("a type").to_owned();
        for scheme in schemes(&kind, job.form) {
            let at = dossier.paying(scheme).expect("paying");
            let Row::Ac02(row) = &dossier.records[at].row else {
                panic!("an enrolment")
            };
            assert!(row.aae003 >= Some(last) && row.aae031.is_none());
        }
        let neighbours = dossier.expected.iter().all(|rule| *rule == Rule::IdentityConflict);
        assert!(neighbours, "nothing but a neighbour with the same number");
    }
}
