//! What a register row says by changing its number or its name: its person's number was corrected (公民身份号码更正), its person was
//! renamed (更名), or the row was reused for somebody else (一号换人).
//!
//! The next version of the row forgets its images, so what they say is kept in statements with ids of their own. A statement is only
//! what the row said once; whether it still counts is judged where it stands, see [`crate::neighbourhood`].

use crate::citizen_id::CitizenId;
use crate::date::Day;
use crate::facts::Correction;
use crate::ids::{IdKey, RecordId};
use crate::name::{Name, NameMatch};
use crate::record::Identity;
use crate::sex::Sex;
use crate::shard::{Shard, is_placeholder};

/// A version of a statement that a row's images make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// It is made.
    Made {
        /// Its id.
        id: RecordId,
        /// Whom it is about, with the number it stands with.
        identity: Identity,
        /// What it says.
        correction: Correction,
    },
    /// If it was ever made it holds no more.
    Withdrawn {
        /// Its id.
        id: RecordId,
        /// The shard of the number it stands with.
        home: Shard,
    },
}

/// What an update of the register row `row` states by its images. Nothing unless both carry a usable number, and not the same number
/// and name.
///
/// A row that keeps its number and takes another name renamed its person (户口登记条例 art. 18): other agencies write the former name
/// for months, and often nobody fills 曾用名 in. If the stated sex or birth date became another too, the row says that it was mistaken
/// about who has the number, and states no former name.
/// `former_name` (曾用名) is what the row after states of its person. A person whose number was corrected gave one number up and took
/// the other. A row that was reused takes its new person's number and leaves the former one to whoever has it: what an earlier
/// version said of that number is withdrawn with it.
pub fn of_update(row: RecordId, before: &Identity, after: &Identity, former_name: Option<&Name>, key: &IdKey) -> Vec<Statement> {
    let (Some(former), Some(heir)) = (before.number(), after.number()) else {
        return Vec::new();
    };
    if former == heir {
        return renaming(row, former, before, after, key).into_iter().collect();
    }
    if !is_one_person(before, after, former_name) {
        return vec![withdrawn(row, former, key)];
    }
    let correction = Correction { former, heir };
    let given_up = Identity {
        name: before.name.clone().or_else(|| after.name.clone()),
        ..before.clone()
    };
    vec![
        Statement::Made {
            id: key.correction(row, former),
            identity: given_up,
            correction: correction.clone(),
        },
        Statement::Made {
            id: key.taken(row, heir),
            identity: after.clone(),
            correction,
        },
    ]
}

fn renaming(row: RecordId, number: CitizenId, before: &Identity, after: &Identity, key: &IdKey) -> Option<Statement> {
    let (old, new) = before.name.as_ref().zip(after.name.as_ref())?;
    let contradicts = stated_sex(before)
        .zip(stated_sex(after))
        .is_some_and(|(one, other)| one != other)
        || stated_birth(before)
            .zip(stated_birth(after))
            .is_some_and(|(one, other)| one != other);
    let renamed = old.compare(new) == NameMatch::Different && !contradicts;
    renamed.then(|| Statement::Made {
        id: key.renamed(row, number, old),
        identity: before.clone(),
        correction: Correction {
            former: number,
            heir: number,
        },
    })
}

/// What a delete of the register row `row` states by its last image: that row carried its number to the end, whatever its images said
/// of that number before.
pub fn of_delete(row: RecordId, last: &Identity, key: &IdKey) -> Option<Statement> {
    last.number().map(|number| withdrawn(row, number, key))
}

fn withdrawn(row: RecordId, former: CitizenId, key: &IdKey) -> Statement {
    Statement::Withdrawn {
        id: key.correction(row, former),
        home: Shard::of_birth_date(former.birth_date()),
    }
}

/// Whether two images of a row whose numbers differ are about one person: of one name, or of one birth date and sex and no other name.
///
/// A name is no other when it is near, or when one of the images states none.
fn is_one_person(before: &Identity, after: &Identity, former_name: Option<&Name>) -> bool {
    let (Some(old), Some(new)) = (&before.name, &after.name) else {
        return is_of_one_birth(before, after);
    };
    let same = |name: &Name| old.compare(name) != NameMatch::Different;
    same(new) || former_name.is_some_and(same) || (old.is_near(new) && is_of_one_birth(before, after))
}

/// One sex and one birth date. Either date may be what was corrected, that of the number or the stated one: one of them agrees.
fn is_of_one_birth(before: &Identity, after: &Identity) -> bool {
    let of_number = |identity: &Identity| identity.number().map(CitizenId::birth_date);
    let agrees = |one: Option<_>, other: Option<_>| one.is_some() && one == other;
    let sex = |identity: &Identity| stated_sex(identity).or_else(|| identity.number().map(CitizenId::sex));
    let births = agrees(stated_birth(before), stated_birth(after)) || agrees(of_number(before), of_number(after));
    sex(before) == sex(after) && births
}

fn stated_sex(identity: &Identity) -> Option<Sex> {
    identity.sex.filter(|sex| matches!(sex, Sex::Male | Sex::Female))
}

fn stated_birth(identity: &Identity) -> Option<Day> {
    identity.birth.filter(|day| !is_placeholder(*day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const ROW: RecordId = RecordId([9; 16]);

    fn key() -> IdKey {
        IdKey::new(1, &[7; 32])
    }

    fn number(birth: i32, sequence: u16) -> CitizenId {
        CitizenId::from_parts(320_102, Day(birth), sequence).expect("a number")
    }

    fn image(number: CitizenId, name: &str, birth: Option<i32>, sex: Option<Sex>) -> Identity {
        let identity = Identity {
            document: None,
            name: Name::parse(name).ok(),
            birth: birth.map(Day),
            sex,
        };
        identity.carrying(number)
    }

    const MAN: Option<Sex> = Some(Sex::Male);
    const WOMAN: Option<Sex> = Some(Sex::Female);

    #[rstest]
    #[case::birth_date_corrected(("贺甲", Some(3_777), MAN, 3_777, 15), ("贺甲", Some(3_800), MAN, 3_800, 15), true)]
    #[case::sex_corrected(("贺甲", Some(3_777), MAN, 3_777, 15), ("贺甲", Some(3_777), WOMAN, 3_777, 16), true)]
    #[case::reused(("贺甲", Some(3_777), MAN, 3_777, 15), ("郝乙", Some(7_461), WOMAN, 7_461, 22), false)]
    #[case::reused_in_the_family(("贺甲", Some(3_777), MAN, 3_777, 15), ("贺乙", Some(13_001), MAN, 13_001, 15), false)]
    #[case::reused_for_a_namesake_of_the_day(("贺甲", Some(3_777), MAN, 3_777, 15), ("郝乙", Some(3_777), MAN, 3_777, 17), false)]
    #[case::name_corrected_too(("贺小甲", Some(3_777), MAN, 3_777, 15), ("贺晓甲", Some(3_777), MAN, 3_777, 17), true)]
    #[case::name_and_typed_date(("贺小甲", Some(3_777), MAN, 3_778, 15), ("贺晓甲", Some(3_777), MAN, 3_777, 17), true)]
    #[case::near_name_of_the_other_sex(("贺小甲", Some(3_777), MAN, 3_777, 15), ("贺晓甲", Some(3_777), WOMAN, 3_777, 16), false)]
    #[case::no_names(("", Some(3_777), MAN, 3_777, 15), ("", Some(3_777), MAN, 3_778, 15), true)]
    #[case::no_names_another_birth(("", Some(3_777), MAN, 3_777, 15), ("", Some(7_461), MAN, 7_461, 15), false)]
    #[case::no_name_before(("", None, None, 3_777, 15), ("贺甲", Some(3_777), MAN, 3_777, 17), true)]
    #[case::placeholder_dates_agree_on_nothing(("", Some(-25_567), MAN, 3_777, 15), ("", Some(-25_567), MAN, 7_461, 15), false)]
    fn a_correction_needs_a_fitting_person(
        #[case] before: (&str, Option<i32>, Option<Sex>, i32, u16),
        #[case] after: (&str, Option<i32>, Option<Sex>, i32, u16),
        #[case] fits: bool,
    ) {
        let image = |(name, birth, sex, of_number, sequence)| image(number(of_number, sequence), name, birth, sex);
        let (before, after) = (image(before), image(after));
        let (former, heir) = (before.number().expect("a number"), after.number().expect("a number"));
        let stated = of_update(ROW, &before, &after, None, &key());
        if !fits {
            let home = Shard::of_birth_date(former.birth_date());
            let id = key().correction(ROW, former);
            assert_eq!(stated, [Statement::Withdrawn { id, home }]);
            return;
        }
        let [
            Statement::Made {
                id,
                identity,
                correction,
            },
            Statement::Made {
                id: taken,
                identity: now,
                ..
            },
        ] = &stated[..]
        else {
            panic!("{stated:?}")
        };
        assert_eq!((*id, *taken), (key().correction(ROW, former), key().taken(ROW, heir)));
        assert_eq!((identity.number(), now.number()), (Some(former), Some(heir)));
        assert_eq!(*correction, Correction { former, heir });
    }

    #[test]
    fn a_stated_former_name_is_the_same_person() {
        let before = image(number(3_777, 15), "贺甲", Some(3_777), MAN);
        let after = image(number(7_461, 15), "郝乙", Some(7_461), MAN);
        let former_name = Name::parse("贺甲").ok();
        assert_eq!(of_update(ROW, &before, &after, former_name.as_ref(), &key()).len(), 2);
    }

    #[rstest]
    #[case::renamed(("贺甲", Some(3_777), MAN), ("郝乙", Some(3_777), MAN), Some("贺甲"))]
    #[case::nothing_else_stated(("贺甲", None, None), ("郝乙", None, None), Some("贺甲"))]
    #[case::birth_filled_in(("贺甲", Some(-25_567), None), ("郝乙", Some(3_777), MAN), Some("贺甲"))]
    #[case::one_name_written_otherwise(("賀甲", Some(3_777), MAN), ("贺甲", Some(3_777), MAN), None)]
    #[case::character_exchanged(("贺昇", Some(3_777), MAN), ("贺升", Some(3_777), MAN), None)]
    #[case::no_name_before(("", Some(3_777), MAN), ("贺甲", Some(3_777), MAN), None)]
    #[case::no_name_after(("贺甲", Some(3_777), MAN), ("", Some(3_777), MAN), None)]
    #[case::somebody_else_by_birth(("贺甲", Some(3_778), MAN), ("郝乙", Some(3_777), MAN), None)]
    #[case::somebody_else_by_sex(("贺甲", Some(3_777), WOMAN), ("郝乙", Some(3_777), MAN), None)]
    fn a_renaming_states_the_former_name(
        #[case] before: (&str, Option<i32>, Option<Sex>),
        #[case] after: (&str, Option<i32>, Option<Sex>),
        #[case] former: Option<&str>,
    ) {
        let image = |(name, birth, sex)| image(number(3_777, 15), name, birth, sex);
        let (before, after) = (image(before), image(after));
        let stated = of_update(ROW, &before, &after, None, &key());
        let Some(former) = former.map(|name| Name::parse(name).expect("a name")) else {
            assert_eq!(stated, []);
            return;
        };
        let number = number(3_777, 15);
        let correction = Correction {
            former: number,
            heir: number,
        };
        let id = key().renamed(ROW, number, &former);
        let identity = before;
        assert_eq!(identity.name, Some(former));
        assert_eq!(
            stated,
            [Statement::Made {
                id,
                identity,
                correction
            }]
        );
    }

    proptest! {
        /// Whoever is one person there is one back: a mistake can be put right.
        #[test]
        fn there_and_back_are_judged_alike(
            one in (0..3usize, prop::option::of(0..2i32), 0..3i32, 10..14u16),
            other in (0..3usize, prop::option::of(0..2i32), 0..3i32, 10..14u16),
        ) {
            let image = |(name, birth, of_number, sequence): (usize, Option<i32>, i32, u16)| {
                image(number(7_000 + of_number, sequence), ["", "张小伟", "张晓伟"][name], birth.map(|day| 7_000 + day), None)
            };
            let (one, other) = (image(one), image(other));
            let there = of_update(ROW, &one, &other, None, &key());
            let back = of_update(ROW, &other, &one, None, &key());
            prop_assert_eq!(there.len(), back.len());
        }
    }
}
