//! The claim protocol, explored to the last interleaving: records on three shards, with the engine that the registry runs.
//!
//! Free to interleave in any way: deliveries of a record's versions (each record's own order kept, an older one delivered again), what
//! a shard applies and in how large a batch, the relay of messages (in order per sender, begun again after a crash), the statement
//! of a complete snapshot. Sequences of messages only rise, so a run that went on for ever would be a model without end: that the
//! exploration ends is the proof that every run comes to rest.

mod histories;
mod model;
mod state;
mod step;
mod unread;

use histories::{Ground, History};
use model::{About, Claims, Hits};
use stateright::{Checker, Model};
use std::time::Instant;

/// Explores a model to its end, says how large it was, and fails with the shortest way to a state that must not be.
fn explore(name: &str, histories: fn(&Ground) -> Vec<History>, (redeliveries, repeats): (u8, u8), about: About) -> String {
    let ground = Ground::new();
    let model = Claims {
        histories: histories(&ground),
        ground,
        redeliveries: bound("CLAIM_REDELIVERIES").unwrap_or(redeliveries),
        repeats: bound("CLAIM_REPEATS").unwrap_or(repeats),
        about,
        hits: Hits::default(),
    };
    let (count, begun) = (model.histories.len(), Instant::now());
    let checker = model.checker().threads(2).spawn_bfs().join();
    let summary = format!(
        "{name}: {count} histories, {} states, {} steps, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    let seen = checker.model().hits.seen();
    for (what, count) in seen.iter().filter(|_| about == About::Unread) {
        assert!(*count > 0, "{name}: never seen: {what}");
    }
    let summary = format!("{summary}, {seen:?}");
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        if property.expectation == stateright::Expectation::Sometimes {
            assert!(found.is_some(), "{name}: never seen: {}", property.name);
        } else if let Some(path) = found {
            let history = &checker.model().histories[path.last_state().history];
            let steps = path.clone().into_actions();
            let last = path.last_state();
            panic!(
                "{name}: {} does not hold of {:?} after {steps:?}: {last:#?}",
                property.name, history.said
            );
        }
    }
    summary
}

/// The bounds of a run may be raised: `CLAIM_REDELIVERIES`, `CLAIM_REPEATS`.
fn bound(name: &str) -> Option<u8> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_order_of_four_versions() {
    let histories = |ground: &Ground| histories::of_a_card(ground, 4, None);
    println!("{}", explore("four versions", histories, (1, 1), About::Claims));
}

#[test]
fn three_versions_and_a_snapshot() {
    let histories = |ground: &Ground| {
        let begun = |begin| histories::of_a_card(ground, 3, Some(begin));
        (1..=3).flat_map(begun).collect()
    };
    println!(
        "{}",
        explore("three versions and a snapshot", histories, (0, 1), About::Claims)
    );
}

#[test]
fn guests_follow_corrections() {
    println!("{}", explore("guests", histories::with_guests, (1, 0), About::Guests));
}

#[test]
fn unread_versions_in_every_order() {
    let histories = |ground: &Ground| unread::of_a_card(ground, 4);
    println!("{}", explore("unread versions", histories, (1, 0), About::Unread));
}

#[test]
fn guests_of_unread_versions() {
    println!(
        "{}",
        explore("unread guests", unread::with_guests, (1, 1), About::UnreadGuests)
    );
}
