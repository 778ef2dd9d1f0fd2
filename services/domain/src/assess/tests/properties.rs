//! What holds of every person: order does not matter, and nothing changes before the next date.

use proptest::prelude::*;

use crate::date::{Day, Month};
use crate::facts::{
    Benefit, BenefitKind, BenefitStatus, Card, CardStatus, Circumstance, CircumstanceKind, ContributionStatus, EmployerKind,
    Employment, EmploymentForm, Enrolment, Facts, FactsKind, Funeral, Hardship, HardshipKind, HukouStatus, MaritalStatus,
    Marriage, Occupation, PersonFacts, Post, Resident, TemporaryResident,
};
use crate::finding::Finding;
use crate::ids::RecordId;
use crate::person::Standing;
use crate::policy::Policy;
use crate::sample::{Sample, county, day};
use crate::scheme::Scheme;
use crate::source::Agency;

/// From the first day of the policy on, three years: dates are dense enough to meet each other.
fn days() -> impl Strategy<Value = Day> {
    (0..1200_i32).prop_map(|after| day("2025-01-01").plus(after))
}

fn months() -> impl Strategy<Value = Month> {
    days().prop_map(Day::month)
}

fn some<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.7, strategy)
}

fn rarely<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.2, strategy)
}

fn any_of<T: Copy + std::fmt::Debug>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn city() -> impl Strategy<Value = u16> {
    prop_oneof![Just(3201), Just(3205), Just(3200)]
}

fn enrolment() -> impl Strategy<Value = Facts> {
    let schemes = any_of(Scheme::ALL);
    let status = any_of(ContributionStatus::ALL);
    let dates = (some(days()), rarely(days()), rarely(months()), some(months()));
    let flags = (rarely(months()), proptest::bool::weighted(0.2), city());
    (schemes, status, dates, flags).prop_map(|(scheme, status, dates, flags)| {
        let (from, until, first_month, paid_through) = dates;
        let (deferred_until, transferring, city) = flags;
        Facts::Enrolment(Enrolment {
            scheme,
            status,
            from,
            until,
            first_month,
            paid_through,
            deferred_until,
            transferring,
            unit: None,
            place: county(u32::from(city) * 100 + 2),
        })
    })
}

fn employment() -> impl Strategy<Value = Facts> {
    let kinds = (any_of(EmployerKind::ALL), any_of(EmploymentForm::ALL));
    (kinds, days(), rarely(days())).prop_map(|((employer, form), from, until)| {
        Facts::Employment(Employment {
            unit: None,
            unit_name: None,
            employer,
            form,
            from,
            until,
            place: None,
        })
    })
}

fn benefit() -> impl Strategy<Value = Facts> {
    let kinds = (any_of(BenefitKind::ALL), any_of(BenefitStatus::ALL));
    let schemes = prop_oneof![Just(Scheme::EmployeePension), Just(Scheme::ResidentPension)];
    (schemes, kinds, some(days()), rarely(days())).prop_map(|(scheme, (kind, status), from, until)| {
        Facts::Benefit(Benefit {
            scheme,
            kind,
            status,
            from,
            until,
            place: county(320_102),
        })
    })
}

fn person() -> impl Strategy<Value = Facts> {
    let nation = prop_oneof![Just("CHN"), Just("DEU"), Just("USA")];
    let stated = (rarely(any_of(Occupation::ALL)), some(any_of(Post::ALL)), rarely(nation));
    stated.prop_map(|(occupation, post, nationality)| {
        Facts::Person(PersonFacts {
            ethnicity: Some(1),
            occupation,
            post,
            nationality: nationality.map(str::to_owned),
            phone: None,
            address: None,
            place: None,
        })
    })
}

fn resident() -> impl Strategy<Value = Facts> {
    (rarely(days()), any_of(HukouStatus::ALL), any::<bool>()).prop_map(|(death, status, normal)| {
        Facts::Resident(Resident {
            former_name: None,
            ethnicity: None,
            hukou: Some(county(320_102)),
            hukou_address: None,
            residence: None,
            residence_address: None,
            death,
            status: if normal { HukouStatus::Registered } else { status },
            phone: None,
        })
    })
}

fn circumstance() -> impl Strategy<Value = Facts> {
    (any_of(CircumstanceKind::ALL), some(days()), some(days())).prop_map(|(kind, from, until)| {
        Facts::Circumstance(Circumstance {
            kind,
            from,
            until,
            place: None,
        })
    })
}

fn others() -> impl Strategy<Value = Facts> {
    let stay = (some(days()), some(days()), rarely(days())).prop_map(|(from, until, cancelled)| {
        Facts::TemporaryResident(TemporaryResident {
            hukou: None,
            residence: Some(county(320_506)),
            residence_address: None,
            from,
            until,
            cancelled,
            phone: None,
        })
    });
    let funeral = some(days()).prop_map(|death| Facts::Funeral(Funeral { death, cremation: None }));
    let marriage = (any_of(MaritalStatus::ALL), some(days()))
        .prop_map(|(status, registered)| Facts::Marriage(Marriage { status, registered }));
    let hardship = (any_of(HardshipKind::ALL), some(days()), some(days())).prop_map(|(kind, from, until)| {
        Facts::Hardship(Hardship {
            kind,
            from,
            until,
            place: None,
        })
    });
    let card = (any_of(CardStatus::ALL), some(days())).prop_map(|(status, issued)| Facts::Card(Card { status, issued }));
    let unreadable = any_of(FactsKind::ALL).prop_map(Facts::Unreadable);
    prop_oneof![3 => stay, 1 => funeral, 1 => marriage, 2 => hardship, 1 => card, 1 => unreadable]
}

fn agency(facts: &Facts) -> Agency {
    match facts.kind() {
        FactsKind::Resident | FactsKind::TemporaryResident | FactsKind::Correction => Agency::PUBLIC_SECURITY,
        FactsKind::Funeral | FactsKind::Marriage | FactsKind::Hardship => Agency::CIVIL_AFFAIRS,
        _ => Agency::HUMAN_RESOURCES,
    }
}

/// Persons of every age around the limits of the rules, mostly holders.
fn samples() -> impl Strategy<Value = Sample> {
    let facts = prop_oneof![
        8 => enrolment(), 5 => employment(), 2 => benefit(), 2 => person(), 1 => resident(), 2 => circumstance(), 2 => others()
    ];
    let births = prop_oneof![
        Just(1964),
        Just(1965),
        Just(1974),
        Just(1975),
        Just(1984),
        Just(1990),
        Just(2009),
        Just(2010)
    ];
    let standing = prop_oneof![9 => Just(Standing::Holder), 1 => any_of(Standing::ALL)];
    let records = proptest::collection::vec((facts, city()), 1..8);
    (births, 1..365_i32, 11..13_u16, standing, records, 0..8_u8).prop_map(
        |(year, after, sequence, standing, records, conflicts)| {
            let birth = day(&format!("{year}-01-01")).plus(after);
            let mut sample = Sample::new(&birth.to_string(), sequence);
            for (facts, city) in records {
                sample = sample.with(agency(&facts), city, facts);
            }
            sample.standing = standing;
            sample.conflicting = (6..conflicts).map(|id| RecordId([100 + id; 16])).collect();
            sample
        },
    )
}

proptest! {
    #[test]
    fn order_does_not_matter(sample in samples(), today in days(), seed in any::<u64>()) {
        let policy = Policy::embedded();
        let mut shuffled = sample.clone();
        shuffled.records.clear();
        let mut rest = sample.records.clone();
        let mut seed = seed;
        while !rest.is_empty() {
            shuffled.records.push(rest.swap_remove(seed as usize % rest.len()));
            seed = seed.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        shuffled.conflicting.reverse();
        prop_assert_eq!(sample.golden(today), shuffled.golden(today));
        prop_assert_eq!(sample.assess(&policy, today), shuffled.assess(&policy, today));
    }

    #[test]
    fn nothing_changes_before_the_next_date(sample in samples(), today in days()) {
        let policy = Policy::embedded();
        let mut now = today;
        let mut due = sample.assess(&policy, now);
        let mut known = sample.golden(now);
        let end = today.plus(500);
        while now < end {
            now = now.plus(1);
            let found = sample.assess(&policy, now);
            let golden = sample.golden(now);
            if due.next_due.is_none_or(|next| now < next) {
                prop_assert_eq!(&found, &due, "assessed on {}", now);
                prop_assert_eq!(&golden, &known, "known on {}", now);
            }
            (due, known) = (found, golden);
        }
    }

    /// Whoever states it, and whatever else is known: no absence is claimed on a day on which somebody is exempt.
    #[test]
    fn nothing_is_absent_while_a_circumstance_exempts(sample in samples(), today in days(), kind in any_of(CircumstanceKind::ALL)) {
        let policy = Policy::embedded();
        let [from, until] = [-9, 9].map(|days| today.plus(days).to_string());
        let sample = sample.circumstance(kind, Some(&from), Some(&until));
        let absent = sample.assess(&policy, today).open.iter().any(|finding| finding.rule.claims_absence());
        prop_assert!(!absent || !policy.exempts(kind));
    }

    #[test]
    fn findings_are_sorted_unique_and_grounded(sample in samples(), today in days()) {
        let open = sample.assess(&Policy::embedded(), today).open;
        let about: Vec<[u8; 2]> = open.iter().map(Finding::about).collect();
        prop_assert!(about.windows(2).all(|pair| pair[0] < pair[1]));
        for finding in &open {
            prop_assert!(!finding.evidence.is_empty());
            prop_assert!(finding.evidence.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(finding.places.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(finding.since <= today, "{:?}", finding);
            let absence = finding.rule.claims_absence();
            prop_assert!(!absence || sample.standing == Standing::Holder);
        }
    }
}
