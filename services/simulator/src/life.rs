//! What happens in a life, and which rows it changes in which agency.
//!
//! An event is a kind and a day; what it does follows from the person and the event's number alone, so that the state of anybody
//! who was touched is remembered as a short list of events and computed again when needed.

use domain::date::Day;

use crate::dossier::Pen;
use crate::tables::Row;
use crate::world::{Fate, Role};

mod civil;
mod repair;
mod routine;
mod trouble;
mod work;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $weight:literal $apply:path,)*) => {
        /// A kind of event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// How often it is chosen, relative to the others; 0 for what only follows from another event.
            pub(crate) fn weight(self) -> u32 {
                match self { $(Self::$kind => $weight,)* }
            }

            fn function(self) -> fn(&mut Pen<'_>) -> Outcome {
                match self { $(Self::$kind => $apply,)* }
            }
        }
    };
}

kinds! {
    /// The enrolments of an employee are paid for another month.
    Pay = 300 routine::pay,
    /// Another phone.
    Phone = 150 routine::phone,
    /// Another address in the same county.
    Address = 100 routine::address,
    /// A card issued.
    CardIssued = 15 routine::card_issued,
    /// A card lost and replaced.
    CardLost = 80 routine::card_lost,
    /// A row gets another key in its system.
    KeyChange = 4 routine::key_change,
    /// A row deleted by mistake; [`Kind::Recreate`] follows.
    Erase = 2 routine::erase,
    /// The row written anew.
    Recreate = 0 routine::recreate,
    /// Hired, and enrolled at once.
    Hire = 75 work::hire,
    /// Left the employer; the enrolments are suspended.
    Leave = 60 work::leave,
    /// An employment that had ended before it was reported.
    LateHire = 5 work::late_hire,
    /// Moved to an employer in another city, with the relation; [`Kind::TransferDone`] follows.
    MoveCity = 20 work::move_city,
    /// The transfer is done: the old relation ends.
    TransferDone = 0 work::transfer_done,
    /// Retired.
    Retire = 10 work::retire,
    /// Enrolled in the residents' schemes.
    EnrolResident = 30 work::enrol_resident,
    /// Married.
    Marry = 20 civil::marry,
    /// Minimum living allowance granted.
    Hardship = 10 civil::hardship,
    /// Number corrected by public security; [`Kind::HumanResourcesFollow`] follows.
    NumberCorrection = 5 civil::number_correction,
    /// Name corrected by public security; [`Kind::HumanResourcesFollow`] follows.
    NameCorrection = 5 civil::name_correction,
    /// Human resources take over number and name.
    HumanResourcesFollow = 0 civil::human_resources_follow,
    /// Joined the army.
    JoinArmy = 2 civil::join_army,
    /// Settled abroad.
    GoAbroad = 3 civil::go_abroad,
    /// Died; funeral first, [`Kind::StrikeOff`] and [`Kind::EndAll`] follow.
    Death = 8 civil::death,
    /// Public security strikes the dead off.
    StrikeOff = 0 civil::strike_off,
    /// Everything of a dead person ends at human resources.
    EndAll = 0 repair::end_all,
    /// Hired more than 30 days ago, reported today, not enrolled; [`Kind::EnrolLate`] follows.
    HireUnenrolled = 7 trouble::hire_unenrolled,
    /// The late enrolment.
    EnrolLate = 0 repair::enrol_late,
    /// Enrolled in a second city; [`Kind::EndSecondCity`] follows.
    SecondCity = 5 trouble::second_city,
    /// The second city's relation ends.
    EndSecondCity = 0 repair::end_second_city,
    /// An employee enrolled in the residents' pension as well; [`Kind::EndResident`] follows.
    ResidentOverlap = 3 trouble::resident_overlap,
    /// An employee enrolled in the residents' medical insurance as well; [`Kind::EndResident`] follows.
    MedicalTwice = 3 trouble::medical_twice,
    /// The residents' relations end.
    EndResident = 0 repair::end_resident,
    /// Found suspended for months; [`Kind::Resume`] follows.
    Suspend = 6 trouble::suspend,
    /// Paying again, arrears included.
    Resume = 0 repair::resume,
}

/// Something that happened to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// What.
    pub(crate) kind: Kind,
    /// On which day it was written down.
    pub(crate) day: Day,
}

/// What an event did.
pub(crate) enum Outcome {
    /// It does not fit this person.
    Impossible,
    /// Done.
    Done,
    /// Done, and these follow some time later.
    Followed(&'static [Kind]),
}

/// Applies an event's kind to the dossier of the pen.
pub(crate) fn apply(pen: &mut Pen<'_>, kind: Kind) -> Outcome {
    kind.function()(pen)
}

/// Whether the person lives here as far as anybody knows.
fn is_here(pen: &Pen<'_>) -> bool {
    pen.dossier.person.fate == Fate::Here
}

/// A healthy employee: employed full time, paying, nothing wrong, so that one trouble is seen by itself.
fn is_healthy_employee(pen: &Pen<'_>) -> bool {
    let person = &pen.dossier.person;
    let employed = matches!(person.role, Role::Employee(job) if job.form == "1");
    is_here(pen) && employed && person.trouble.is_none() && pen.dossier.expected.is_empty() && !schemes_paying(pen).is_empty()
}

/// The positions of the paying enrolments of the employment.
fn schemes_paying(pen: &Pen<'_>) -> Vec<usize> {
    pen.dossier.all(|row| {
        matches!(row, Row::Ac02(row)
            if row.aac031.as_deref() == Some("1") && row.aab001.is_some())
    })
}

/// The city where human resources opened the latest file about the person.
fn file_city(pen: &Pen<'_>) -> Option<u16> {
    let latest = pen
        .dossier
        .records
        .iter()
        .rev()
        .find(|record| matches!(record.row, Row::Ac01(_)))?;
    Some(latest.city)
}
