//! What is known of a person, field by field, with the source record that states it.

use super::report::origin;
use domain::date::Day;
use domain::division::Division;
use domain::facts::{CardStatus, Facts};
use domain::golden::{Golden, Sourced};
use domain::horizon::Horizon;
use domain::neighbourhood::Member as Placed;
use domain::sex::Sex;
use serde::Serialize;

/// A field of the golden record (黄金记录).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Which.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Source system and table that state it: `human-resources.3201 ac01`.
    pub source: String,
    /// The source record.
    pub record: String,
}

pub(super) fn fields(golden: &Golden, members: &[Placed], today: Day) -> Vec<Field> {
    let place = |place: &Division| match place.name(today) {
        Some(name) => format!("{place} {name}"),
        None => place.to_string(),
    };
    let workplace = |place: &domain::golden::Workplace| {
        let parts = [place.unit.as_deref(), place.name.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let death = |death: &domain::golden::Death| death.date.map_or_else(|| "date unknown".to_owned(), |date| date.to_string());
    let mut list = List {
        members,
        fields: Vec::new(),
    };
    list.add("name", golden.name.as_ref(), |name| name.reveal().to_owned());
    list.add("sex", golden.sex.as_ref(), |sex| sex_name(*sex).to_owned());
    list.add("birth date", golden.birth.as_ref(), ToString::to_string);
    list.add("ethnicity", golden.ethnicity.as_ref(), |code| format!("{code:02}"));
    list.add("nationality", golden.nationality.as_ref(), Clone::clone);
    list.add("hukou", golden.hukou.as_ref(), place);
    list.add("hukou address", golden.hukou_address.as_ref(), |address| {
        address.reveal().to_owned()
    });
    list.add("hukou status", golden.hukou_status.as_ref(), |status| {
        status.as_str().to_owned()
    });
    list.add("residence", golden.residence.as_ref(), place);
    list.add("residence address", golden.residence_address.as_ref(), |address| {
        address.reveal().to_owned()
    });
    list.add("phone", golden.phone.as_ref(), |phone| phone.reveal().to_owned());
    list.add("death", golden.death.as_ref(), death);
    list.add("marital status", golden.marital.as_ref(), |status| status.as_str().to_owned());
    list.add("occupation", golden.occupation.as_ref(), |occupation| {
        occupation.as_str().to_owned()
    });
    list.add("post", golden.post.as_ref(), |post| post.as_str().to_owned());
    list.add("workplace", golden.workplace.as_ref(), workplace);
    list.add("card", golden.card.as_ref(), |card: &CardStatus| card.as_str().to_owned());
    list.add("hardship", golden.hardship.as_ref(), |kind| kind.as_str().to_owned());
    list.circumstances(today);
    list.fields
}

fn sex_name(sex: Sex) -> &'static str {
    match sex {
        Sex::Male => "male",
        Sex::Female => "female",
        Sex::Unknown => "unknown",
        Sex::Unstated => "unstated",
    }
}

struct List<'a> {
    members: &'a [Placed],
    fields: Vec<Field>,
}

impl List<'_> {
    fn add<T>(&mut self, name: &'static str, field: Option<&Sourced<T>>, show: impl FnOnce(&T) -> String) {
        if let Some(Sourced { value, record }) = field {
            let source = origin(*record, self.members);
            self.fields.push(Field {
                name,
                value: show(value),
                source,
                record: record.to_string(),
            });
        }
    }

    /// The circumstances in force, each from its own record: several can be so at once.
    fn circumstances(&mut self, today: Day) {
        let horizon = Horizon::new(today);
        for placed in self.members {
            let record = &placed.record;
            let Facts::Circumstance(row) = &record.facts else { continue };
            if row.stands(&horizon) {
                let bound = |word: &str, day: Option<Day>| day.map_or_else(String::new, |day| format!(" {word} {day}"));
                self.fields.push(Field {
                    name: "circumstance",
                    value: format!(
                        "{}{}{}",
                        row.kind.as_str(),
                        bound("from", row.from),
                        bound("until", row.until)
                    ),
                    source: origin(record.id, self.members),
                    record: record.id.to_string(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sample::change;
    use domain::facts::{Circumstance, CircumstanceKind};
    use domain::record::Change;
    use std::sync::Arc;

    #[test]
    fn a_circumstance_is_shown_while_it_is_in_force() {
        let Change::Upsert(mut record) = change(1, 5, "张三") else {
            panic!("an upsert")
        };
        Arc::make_mut(&mut record).facts = Facts::Circumstance(Circumstance {
            kind: CircumstanceKind::Sentenced,
            from: Some(Day(0)),
            until: Some(Day(30)),
            place: None,
        });
        let members = [Placed::home(record)];
        let shown = |today: i32| -> Vec<String> {
            let fields = fields(&Golden::default(), &members, Day(today));
            fields
                .into_iter()
                .map(|field| format!("{} {}", field.name, field.value))
                .collect()
        };
        assert_eq!(shown(30), ["circumstance sentenced from 1970-01-01 until 1970-01-31"]);
        assert_eq!(shown(31), Vec::<String>::new());
    }
}
