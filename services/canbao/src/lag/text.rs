//! `lag` as text.

use super::{Lag, SourceLag};
use crate::output::{Table, local_time, or_dash};
use domain::date::Timestamp;

/// The report as text.
pub fn render(lag: &Lag) -> String {
    let mut table = Table::new([
        "agency",
        "city",
        "topics",
        "held",
        "behind",
        "unread",
        "complete until",
        "age s",
    ]);
    for source in &lag.sources {
        let until = match source.complete_until {
            _ if !source.in_scope => "not in scope".to_owned(),
            Some(until) => local_time(Timestamp(until)),
            None if source.snapshot_passed => "snapshot passed".to_owned(),
            None => "no full snapshot yet".to_owned(),
        };
        table.row([
            source.agency.to_owned(),
            source.city.to_string(),
            source.topics.to_string(),
            source.held.to_string(),
            source.behind.map_or_else(|| "unread".to_owned(), |behind| behind.to_string()),
            source.unread.to_string(),
            until,
            or_dash(source.age_seconds),
        ]);
    }
    let mut text = table.render();
    let waits = |source: &SourceLag| {
        let (agency, city) = (source.agency, source.city);
        let waits = source.waits.as_ref()?;
        Some(format!("\n{agency}.{city} is not complete further on: {waits}\n"))
    };
    text.extend(lag.sources.iter().filter_map(waits));
    let waived = |source: &SourceLag| {
        let (agency, city) = (source.agency, source.city);
        let waived = source.waived.as_ref()?;
        Some(format!("\n{agency}.{city} is {waived}\n"))
    };
    text.extend(lag.sources.iter().filter_map(waived));
    let holding = lag.sources.iter().filter(|source| !source.holds_back.is_empty());
    text.extend(holding.map(|source| {
        let (agency, city) = (source.agency, source.city);
        format!(
            "\n{agency}.{city} holds back findings until it is complete further on: {}\n",
            source.holds_back
        )
    }));
    text.extend(
        lag.date_held
            .iter()
            .map(|held| format!("\nthe business date stands still: {held}\n")),
    );
    text.extend(lag.removals_held.iter().map(|held| format!("\n{held}\n")));
    text.extend(
        lag.waiting
            .iter()
            .map(|waiting| format!("\n{} (since {})\n", waiting.why, local_time(Timestamp(waiting.since)))),
    );
    let registry = &lag.registry;
    let mut totals = Table::new(["", "rows"]);
    totals.row(["person.records behind".into(), registry.behind.to_string()]);
    totals.row(["shards behind".into(), registry.shards_behind.to_string()]);
    totals.row(["shards without an owner".into(), registry.shards_without_owner.to_string()]);
    totals.row(["messages between shards".into(), lag.messages.to_string()]);
    totals.row(["events not published".into(), lag.outbox.to_string()]);
    totals.row(["persons waiting for completeness".into(), lag.pending.to_string()]);
    text.push('\n');
    text.push_str(&totals.render());
    text
}
