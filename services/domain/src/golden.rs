//! The golden record: what is known of a person, and from which source record.

mod survivorship;

use serde::{Deserialize, Serialize};

use crate::citizen_id::CitizenId;
use crate::date::Day;
use crate::division::Division;
use crate::facts::{CardStatus, Facts, HardshipKind, HukouStatus, MaritalStatus, Occupation, Post, TemporaryResident};
use crate::horizon::Horizon;
use crate::ids::RecordId;
use crate::name::Name;
use crate::personal::Personal;
use crate::record::SourceRecord;
use crate::sex::Sex;
use crate::shard::is_placeholder;

use crate::source::{Agency, Authority};
use survivorship::Survivors;
pub(crate) use survivorship::business_date;

/// A value with the source record that states it (来源).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The record that states it.
    pub record: RecordId,
}

/// A confirmed death (死亡).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Death {
    /// The day, or the day of cremation where only that is stated; `None` when the register says no more than that they died.
    pub date: Option<Day>,
}

/// Where a person works (工作单位).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workplace {
    /// Internal unit number (单位编号).
    pub unit: Option<String>,
    /// Name of the unit.
    pub name: Option<String>,
}

/// The golden record (黄金记录) of a person on a business date.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Golden {
    /// The number, for its holder.
    pub number: Option<CitizenId>,
    /// Name.
    pub name: Option<Sourced<Name>>,
    /// Sex, male or female; of the number where public security does not state it.
    pub sex: Option<Sourced<Sex>>,
    /// Birth date; of the number where public security does not state it.
    pub birth: Option<Sourced<Day>>,
    /// Ethnicity (民族), GB/T 3304.
    pub ethnicity: Option<Sourced<u8>>,
    /// Nationality (国籍), ISO 3166 alpha-3.
    pub nationality: Option<Sourced<String>>,
    /// Household-register place (户籍地).
    pub hukou: Option<Sourced<Division>>,
    /// Address there.
    pub hukou_address: Option<Sourced<Personal>>,
    /// Usual residence (常住地): a valid temporary residence, else the register's, else the household-register place.
    pub residence: Option<Sourced<Division>>,
    /// Address there.
    pub residence_address: Option<Sourced<Personal>>,
    /// Phone.
    pub phone: Option<Sourced<Personal>>,
    /// Death, if one is confirmed: the earliest of public security and civil affairs.
    pub death: Option<Sourced<Death>>,
    /// State of the household registration.
    pub hukou_status: Option<Sourced<HukouStatus>>,
    /// Marital status.
    pub marital: Option<Sourced<MaritalStatus>>,
    /// Occupation on the form.
    pub occupation: Option<Sourced<Occupation>>,
    /// Post, which decides when a woman retires.
    pub post: Option<Sourced<Post>>,
    /// The employer of the newest employment that lasts.
    pub workplace: Option<Sourced<Workplace>>,
    /// Social security card: active if any of theirs is.
    pub card: Option<Sourced<CardStatus>>,
    /// Social assistance that lasts.
    pub hardship: Option<Sourced<HardshipKind>>,
    /// The next date on which some field differs without any new fact, such as the end of a temporary residence.
    pub changes_on: Option<Day>,
}

/// Makes the golden record of a person's records, in any order.
///
/// Survivorship is declared per field (ARCHITECTURE.md, Identity): whoever states it whom policy believes first (`first`; who is not named
/// there comes after those, by code), except that sex and birth date are those of the agency that decides of them
/// ([`crate::source::Authority`]), else the number's own. Ties go to the newest business date a row states, then to the lowest record id:
/// never to the order of arrival or to clocks of different systems. `today` decides which temporary residence, employment and
/// assistance last; see [`Golden::changes_on`].
pub fn golden(members: &[&SourceRecord], number: Option<CitizenId>, first: &[Agency], today: Day) -> Golden {
    let horizon = Horizon::new(today);
    let all = Survivors::new(members, first);
    let mut golden = Golden {
        number,
        name: all.identity(|identity| identity.name.clone()),
        sex: all.vital(Authority::Sex, number, CitizenId::sex, |identity| {
            identity.sex.filter(|sex| sex.is_stated())
        }),
        birth: all.vital(Authority::Birth, number, CitizenId::birth_date, |identity| {
            identity.birth.filter(|birth| !is_placeholder(*birth))
        }),
        ethnicity: all
            .of_register(|row| row.ethnicity)
            .or_else(|| all.of_person(|row| row.ethnicity)),
        nationality: all.of_person(|row| row.nationality.clone()),
        hukou: all
            .of_register(|row| row.hukou)
            .or_else(|| all.pick(|facts| temporary(facts).and_then(|row| row.hukou))),
        hukou_address: all.of_register(|row| row.hukou_address.clone()),
        death: death(&all, &horizon),
        hukou_status: all.of_register(|row| Some(row.status)),
        marital: all.pick(|facts| match facts {
            Facts::Marriage(row) if row.status != MaritalStatus::Unstated => Some(row.status),
            _ => None,
        }),
        occupation: all.of_person(|row| row.occupation),
        post: all.of_person(|row| row.post),
        workplace: all.pick(|facts| match facts {
            Facts::Employment(row) if horizon.within(Some(row.from), row.until) => Some(Workplace {
                unit: row.unit.clone(),
                name: row.unit_name.clone(),
            }),
            _ => None,
        }),
        card: card(&all),
        hardship: all.pick(|facts| match facts {
            Facts::Hardship(row) if horizon.within(row.from, row.until) => Some(row.kind),
            _ => None,
        }),
        ..Golden::default()
    };
    residence(&mut golden, &all, &horizon);
    golden.changes_on = horizon.next();
    golden
}

fn temporary(facts: &Facts) -> Option<&TemporaryResident> {
    match facts {
        Facts::TemporaryResident(row) => Some(row),
        _ => None,
    }
}

/// A temporary residence that lasts comes before the register's residence, and that before the household-register place. The
/// address and the phone follow the same way.
fn residence(golden: &mut Golden, all: &Survivors, horizon: &Horizon) {
    let staying = |facts: &Facts| {
        temporary(facts)
            .filter(|row| horizon.within(row.from, row.until) && row.cancelled.is_none_or(|day| !horizon.reached(day)))
            .cloned()
    };
    let stay = all.pick(|facts| staying(facts).filter(|row| row.residence.is_some()));
    golden.phone = all
        .pick(|facts| staying(facts).and_then(|row| row.phone))
        .or_else(|| all.of_register(|row| row.phone.clone()))
        .or_else(|| all.of_person(|row| row.phone.clone()));
    let Some(stay) = stay else {
        golden.residence = all.of_register(|row| row.residence).or_else(|| golden.hukou.clone());
        golden.residence_address = all
            .of_register(|row| row.residence_address.clone())
            .or_else(|| all.of_person(|row| row.address.clone()));
        return;
    };
    let record = stay.record;
    // The address of another place would be wrong, so that a stay without one has none.
    golden.residence_address = stay.value.residence_address.map(|value| Sourced { value, record });
    golden.residence = stay.value.residence.map(|value| Sourced { value, record });
}

/// The earliest confirmed death (RULES.md, Dirty data); withdrawn with the record that states it. A day that has not come is nobody's
/// day of death.
fn death(all: &Survivors, horizon: &Horizon) -> Option<Sourced<Death>> {
    let reached = |day: Option<Day>| day.filter(|day| horizon.reached(*day));
    let stated = |facts: &Facts| match facts {
        Facts::Resident(row) => {
            let date = reached(row.death);
            (date.is_some() || row.status == HukouStatus::Dead).then_some(Death { date })
        }
        Facts::Funeral(row) => Some(Death {
            date: reached(row.death).or_else(|| reached(row.cremation)),
        }),
        _ => None,
    };
    all.every(stated)
        .min_by_key(|found| (found.value.date.is_none(), found.value.date, found.record))
}

/// A card that works, else the newest that does not.
fn card(all: &Survivors) -> Option<Sourced<CardStatus>> {
    let of = |wanted: fn(CardStatus) -> bool| {
        all.pick(|facts| match facts {
            Facts::Card(row) if wanted(row.status) => Some(row.status),
            _ => None,
        })
    };
    of(|status| status == CardStatus::Active).or_else(|| of(|_| true))
}

#[cfg(test)]
mod tests;
