//! Examples and properties of rulings.

use super::*;
use proptest::prelude::*;

fn record(name: u8) -> RecordId {
    RecordId([name; 16])
}

fn decision(id: u64, verdict: Verdict, one: u8, other: u8) -> (u64, Option<Decision>) {
    let decision = Decision {
        id,
        verdict,
        record: record(one),
        other: record(other),
        number: None,
    };
    (id, Some(decision))
}

#[test]
fn same_is_transitive_and_different_holds_between_classes() {
    let rulings = Rulings::default().with([
        decision(1, Verdict::Same, 1, 2),
        decision(2, Verdict::Same, 2, 3),
        decision(3, Verdict::Different, 3, 9),
    ]);
    assert_eq!(rulings.class(record(3)), Some(record(1)));
    assert_eq!(rulings.class(record(9)), None, "set apart, one with nobody");
    assert_eq!(rulings.apart(record(1)), [record(9)]);
    assert_eq!(rulings.apart(record(9)), [record(1)]);
    assert!(rulings.cases().is_empty());
}

#[test]
fn a_contradiction_binds_nobody_until_it_is_withdrawn() {
    let rulings = Rulings::default().with([
        decision(1, Verdict::Same, 1, 2),
        decision(2, Verdict::Same, 2, 3),
        decision(3, Verdict::Different, 1, 3),
    ]);
    let case = Case {
        records: [1, 2, 3].map(record).to_vec(),
        why: Contradiction::OneAndTwo,
    };
    assert_eq!(rulings.cases(), [case]);
    assert!((1..=3).all(|name| rulings.class(record(name)).is_none() && rulings.apart(record(name)).is_empty()));
    let mended = rulings.with([(2, None)]);
    assert_eq!(mended.class(record(2)), Some(record(1)));
    assert_eq!(mended.apart(record(3)), [record(1)]);
    assert_eq!(mended.changed(&rulings), [1, 2, 3].map(record).into());
}

fn number(sequence: u16) -> CitizenId {
    CitizenId::from_parts(320_102, crate::date::Day(7_000), sequence).expect("a number")
}

fn keep(id: u64, one: u8, other: u8, own: u16) -> (u64, Option<Decision>) {
    let (id, made) = decision(id, Verdict::Same, one, other);
    let number = Some(number(own));
    (id, made.map(|decision| Decision { number, ..decision }))
}

#[test]
fn the_last_number_decided_on_is_where_they_meet() {
    let key = IdKey::new(1, &[7; 32]);
    let rulings = Rulings::default().with([keep(5, 1, 2, 12), keep(4, 2, 3, 11)]);
    for name in 1..=3 {
        let met = rulings.meeting(record(name), true, &key).map(|(_, anchor)| anchor);
        assert_eq!(met, Some(key.number(number(12))));
    }
    let nameless = Rulings::default().with([decision(1, Verdict::Same, 1, 2)]);
    assert_eq!(
        nameless.meeting(record(2), true, &key),
        None,
        "a number is not left for nothing"
    );
    let met = nameless.meeting(record(2), false, &key);
    assert!(met.is_some() && met == nameless.meeting(record(1), false, &key));
}

/// Record 1 is called one person with the holder of number 11, record 2, and with that of number 12, record 3.
#[test]
fn a_third_record_joins_no_two_holders() {
    let first = Rulings::default().with([keep(1, 1, 2, 11)]);
    let both = first.with([keep(2, 1, 3, 12)]);
    let case = Case {
        records: [1, 2, 3].map(record).to_vec(),
        why: Contradiction::TwoNumbers,
    };
    assert_eq!(both.cases(), [case]);
    assert!((1..=3).all(|name| both.class(record(name)).is_none()));
    assert_eq!(both.changed(&first), [1, 2, 3].map(record).into());
    assert_eq!(both.with([(2, None)]).class(record(1)), Some(record(1)));
    let said = both.with([keep(3, 2, 3, 12)]);
    assert!(said.cases().is_empty(), "somebody called the holders one");
    assert_eq!(said.class(record(3)), Some(record(1)));
    let other_way = Rulings::default().with([keep(1, 2, 1, 11), keep(2, 3, 1, 12)]);
    assert_eq!(other_way.cases().len(), 1, "no record has two numbers");
    let through_two = first.with([decision(2, Verdict::Same, 1, 4), keep(3, 4, 3, 12)]);
    assert_eq!(through_two.cases().len(), 1, "nor do two records");
    assert_eq!(both.own_number(record(3)), Some(number(12)));
    assert_eq!(both.own_number(record(1)), None);
}

/// Records 3 and 5, holders of numbers 11 and 12, are called one person; elsewhere record 2 joins other holders of the same two.
#[test]
fn numbers_are_one_persons_whoever_else_holds_them() {
    let third = Rulings::default().with([keep(1, 2, 1, 11), keep(2, 2, 4, 12), keep(3, 6, 5, 12)]);
    assert_eq!(third.cases().len(), 1);
    let joined = third.with([keep(4, 5, 3, 11)]);
    assert!(joined.cases().is_empty());
    assert_eq!(joined.class(record(4)), Some(record(1)));
    // The decision names neither 1, 2 nor 4, and yet binds them.
    assert_eq!(joined.changed(&third), (1..=6).map(record).collect());
    assert_eq!(third.changed(&joined), (1..=6).map(record).collect());
    let contradicted = joined.with([decision(5, Verdict::Different, 6, 3)]);
    let whys: Vec<Contradiction> = contradicted.cases().iter().map(|case| case.why).collect();
    assert_eq!(
        whys,
        [Contradiction::TwoNumbers, Contradiction::OneAndTwo],
        "nor does it bind then"
    );
    assert_eq!(contradicted.changed(&joined), (1..=6).map(record).collect());
}

#[test]
fn the_number_kept_is_the_second_records_own() {
    let (one, other) = (record(1), record(2));
    let numbers = [None, Some(number(11))];
    assert_eq!(kept((one, numbers[1]), (other, None)), (other, one, numbers[1]));
    assert_eq!(kept((one, None), (other, numbers[1])), (one, other, numbers[1]));
    assert_eq!(kept((one, Some(number(12))), (other, numbers[1])), (one, other, numbers[1]));
    assert_eq!(kept((one, None), (other, None)), (one, other, None));
}

proptest! {
    #[test]
    fn rulings_are_a_function_of_the_set(
        made in prop::collection::vec((any::<bool>(), 0..6u8, 0..6u8, prop::option::of(11..14u16)), 0..8),
        withdrawn in prop::collection::vec(0..8u64, 0..3),
        seed in any::<u64>(),
    ) {
        let mut news: Vec<(u64, Option<Decision>)> = (0u64..)
            .zip(made)
            .map(|(id, made)| match made {
                (true, one, other, Some(own)) => keep(id, one, other, own),
                (true, one, other, None) => decision(id, Verdict::Same, one, other),
                (false, one, other, _) => decision(id, Verdict::Different, one, other),
            })
            .chain(withdrawn.into_iter().map(|id| (id, None)))
            .collect();
        let at_once = Rulings::default().with(news.clone());
        news.sort_by_key(|(id, decision)| mix(seed ^ (id * 2 + u64::from(decision.is_some()))));
        let one_by_one = news.into_iter().fold(Rulings::default(), |rulings, news| rulings.with([news]));
        prop_assert_eq!(at_once.digest(), one_by_one.digest());
        prop_assert_eq!(&at_once, &one_by_one);
        let reread = Rulings::new(at_once.decisions().clone());
        prop_assert_eq!(at_once, reread);
    }

    /// Whoever is bound together by decisions: of any two of their numbers, holders were called one, pair by pair, by decisions that bind.
    #[test]
    fn bound_numbers_are_joined_by_their_holders(
        made in prop::collection::vec((0..6u8, 0..6u8, prop::option::of(11..14u16)), 0..8),
    ) {
        let news = (0u64..).zip(&made).map(|(id, (one, other, own))| match own {
            Some(own) => keep(id, *one, *other, *own),
            None => decision(id, Verdict::Same, *one, *other),
        });
        let rulings = Rulings::default().with(news);
        let own = |name: u8| made.iter().filter(move |(_, other, own)| *other == name && own.is_some()).filter_map(|made| made.2);
        let holders: Vec<u8> = (0..6).filter(|name| rulings.class(record(*name)).is_some() && own(*name).next().is_some()).collect();
        for first in &holders {
            // From a holder along decisions on two holders, or from one to another of the same number.
            let mut reached = vec![*first];
            let mut at = 0;
            while at < reached.len() {
                let from = reached[at];
                at += 1;
                for to in &holders {
                    let called = made.iter().any(|(one, other, _)| [(from, *to), (*to, from)].contains(&(*one, *other)));
                    let one_number = own(from).any(|number| own(*to).any(|other| other == number));
                    if (called || one_number) && !reached.contains(to) {
                        reached.push(*to);
                    }
                }
            }
            let class = rulings.class(record(*first));
            let bound = holders.iter().filter(|holder| rulings.class(record(**holder)) == class);
            let missed: Vec<&u8> = bound.filter(|holder| !reached.contains(holder)).collect();
            prop_assert!(missed.is_empty(), "{first} with {missed:?}");
        }
    }

    /// What changed is what is placed, or set apart, otherwise than before: nobody else need be looked at.
    #[test]
    fn nothing_changes_but_what_is_said_to(
        made in prop::collection::vec((any::<bool>(), 0..6u8, 0..6u8, prop::option::of(11..14u16)), 1..8),
        withdrawn in any::<prop::sample::Index>(),
    ) {
        let news = (0u64..).zip(&made).map(|(id, (same, one, other, own))| match (same, own) {
            (true, Some(own)) => keep(id, *one, *other, *own),
            (true, None) => decision(id, Verdict::Same, *one, *other),
            (false, _) => decision(id, Verdict::Different, *one, *other),
        });
        let key = IdKey::new(1, &[7; 32]);
        let before = Rulings::default().with(news);
        let after = before.with([(withdrawn.index(made.len()) as u64, None)]);
        let changed = after.changed(&before);
        prop_assert_eq!(&changed, &before.changed(&after));
        let stands = |rulings: &Rulings, name: RecordId| {
            let places = [false, true].map(|has_number| rulings.meeting(name, has_number, &key));
            // Also as seen from a record that stands elsewhere.
            let apart = (0..6).map(record).filter(|other| rulings.apart(name).contains(&rulings.called(*other)));
            (rulings.class(name), places, apart.collect::<Vec<_>>())
        };
        for name in (0..6).map(record).filter(|name| !changed.contains(name)) {
            prop_assert_eq!(stands(&before, name), stands(&after, name));
        }
    }
}
