//! What a person is otherwise busy with: at school, in the army, abroad, in prison.

use super::{HukouStatus, coded};
use crate::date::Day;
use crate::division::Division;
use crate::horizon::Horizon;
use serde::{Deserialize, Serialize};

coded! {
    /// Kind of personal circumstance (个人状况), in the words of the registration form: part one 在校学生, part three 参军、出国、判刑.
    CircumstanceKind {
        /// At school (在校学生).
        Student = 1 "student",
        /// Serving in the army (参军).
        Soldier = 2 "soldier",
        /// Abroad (出国).
        Abroad = 3 "abroad",
        /// Serving a sentence (判刑).
        Sentenced = 4 "sentenced",
    }
}

impl CircumstanceKind {
    /// The state of a household registration that says the same, so that policy exempts both alike; no register knows of schools.
    pub fn as_hukou(self) -> Option<HukouStatus> {
        match self {
            Self::Student => None,
            Self::Soldier => Some(HukouStatus::Army),
            Self::Abroad => Some(HukouStatus::Abroad),
            Self::Sentenced => Some(HukouStatus::Sentenced),
        }
    }
}

/// A personal circumstance (个人状况), as justice, education, the army's registration or border control state it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Circumstance {
    /// Its kind.
    pub kind: CircumstanceKind,
    /// First day.
    pub from: Option<Day>,
    /// Last day; `None` while nothing says that it ends.
    pub until: Option<Day>,
    /// Where.
    pub place: Option<Division>,
}

impl Circumstance {
    /// Whether it is in force on the business date.
    pub fn stands(&self, horizon: &Horizon) -> bool {
        horizon.within(self.from, self.until)
    }

    /// Its last day, once that is over; a period that ends before it begins never was.
    pub(crate) fn ended(&self, horizon: &Horizon) -> Option<Day> {
        self.until
            .filter(|until| self.from.is_none_or(|from| from <= *until) && horizon.passed(*until))
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{Circumstance, CircumstanceKind, Facts, FactsKind};

    /// Stored facts are known by their place among the variants: what was stored before this kind came is read as it was.
    #[test]
    fn the_stored_forms_of_before_stay() {
        let unreadable = Facts::Unreadable(FactsKind::Card);
        assert_eq!(postcard::to_stdvec(&unreadable).expect("serialises"), [11, 10]);
        let circumstance = Facts::Circumstance(Circumstance {
            kind: CircumstanceKind::Sentenced,
            from: None,
            until: None,
            place: None,
        });
        let stored = postcard::to_stdvec(&circumstance).expect("serialises");
        assert_eq!(stored, [12, 3, 0, 0, 0]);
        assert_eq!(postcard::from_bytes(&stored), Ok(circumstance));
        assert_eq!(
            postcard::to_stdvec(&Facts::Unreadable(FactsKind::Circumstance)).expect("serialises"),
            [11, 11]
        );
    }
}
