//! Everyday updates that change nobody's findings.

use domain::date::Month;
use rand::Rng;

use super::{Kind, Outcome, file_city, is_here, schemes_paying};
use crate::dossier::Pen;
use crate::json::Cents;
use crate::random::chance;
use crate::tables::{Row, code, owned};

/// Another month is paid; whoever has paid this one already gets a new base.
pub(super) fn pay(pen: &mut Pen<'_>) -> Outcome {
    let paying = schemes_paying(pen);
    if !is_here(pen) || paying.is_empty() {
        return Outcome::Impossible;
    }
    let this_month = pen.day.month();
    let raise = pen.rng.random_range(1..90) * 1_000;
    for at in paying {
        pen.update_enrolment(at, |row| {
            let paid = row.aae003.and_then(Month::from_yyyymm);
            match paid {
                // Only one month at a time: an advance over arrears would be news.
                Some(paid) if paid.add_months(1) == this_month => row.aae003 = Some(this_month.yyyymm()),
                _ => row.aae180 = row.aae180.map(|base| Cents(base.0 + raise)),
            }
        });
    }
    Outcome::Done
}

/// Another phone, told to public security or to human resources.
pub(super) fn phone(pen: &mut Pen<'_>) -> Outcome {
    let phone = owned(format!("1{}", pen.rng.random_range(3_000_000_000_u64..10_000_000_000)));
    let police = pen.rng.random();
    let at = pen.dossier.find(|row| match row {
        Row::Czrk(_) | Row::Ldrk(_) => police,
        Row::Ac01(_) => !police,
        _ => false,
    });
    let Some(at) = at.filter(|_| is_here(pen)) else {
        return Outcome::Impossible;
    };
    pen.update(at, |row| match row {
        Row::Czrk(row) => row.lxdh = phone,
        Row::Ldrk(row) => row.lxdh = phone,
        Row::Ac01(row) => row.aae005 = phone,
        _ => {}
    });
    Outcome::Done
}

/// Another address in the same county.
pub(super) fn address(pen: &mut Pen<'_>) -> Outcome {
    let county = &pen.world.counties[pen.dossier.person.county];
    let house = pen.rng.random_range(1..500);
    let address = owned(format!("{}{}长江路{house}号", county.city_name, county.name));
    let at = pen.dossier.find(|row| matches!(row, Row::Czrk(_) | Row::Ldrk(_)));
    let Some(at) = at.filter(|_| is_here(pen)) else {
        return Outcome::Impossible;
    };
    pen.update(at, |row| match row {
        Row::Czrk(row) => row.xzdz = address,
        Row::Ldrk(row) => row.xzdz = address,
        _ => {}
    });
    Outcome::Done
}

/// A first card.
pub(super) fn card_issued(pen: &mut Pen<'_>) -> Outcome {
    if !is_here(pen) || pen.dossier.find(|row| matches!(row, Row::Az01(_))).is_some() {
        return Outcome::Impossible;
    }
    let city = file_city(pen).unwrap_or_else(|| pen.home());
    pen.issue_card(city, pen.day, "1");
    Outcome::Done
}

/// A card reported lost and another issued.
pub(super) fn card_lost(pen: &mut Pen<'_>) -> Outcome {
    let active = |row: &Row| matches!(row, Row::Az01(row) if row.aaz502.as_deref() == Some("1"));
    let Some(at) = pen.dossier.find(active).filter(|_| is_here(pen)) else {
        return Outcome::Impossible;
    };
    let city = pen.dossier.records[at].city;
    let cancelled = chance(&mut pen.rng, 0.7);
    pen.update(at, |row| {
        if let Row::Az01(row) = row {
            row.aaz502 = code(if cancelled { "3" } else { "2" });
        }
    });
    pen.issue_card(city, pen.day, "1");
    Outcome::Done
}

/// A system numbers a row anew: delete and create with one log position.
pub(super) fn key_change(pen: &mut Pen<'_>) -> Outcome {
    let Some(at) = pen.dossier.find(|row| matches!(row, Row::Ac02(_))) else {
        return Outcome::Impossible;
    };
    let key = pen.key();
    pen.update(at, |row| {
        if let Row::Ac02(row) = row {
            row.baz001 = key;
        }
    });
    Outcome::Done
}

/// A clerk deletes the wrong row.
pub(super) fn erase(pen: &mut Pen<'_>) -> Outcome {
    let card = pen.dossier.find(|row| matches!(row, Row::Az01(_)));
    let Some(at) = card.filter(|_| pen.dossier.erased.is_none()) else {
        return Outcome::Impossible;
    };
    let record = pen.remove(at);
    pen.dossier.erased = Some(record);
    Outcome::Followed(&[Kind::Recreate])
}

/// The row comes back under its old key.
pub(super) fn recreate(pen: &mut Pen<'_>) -> Outcome {
    let Some(record) = pen.dossier.erased.take() else {
        return Outcome::Impossible;
    };
    pen.add(record.city, record.row);
    Outcome::Done
}
