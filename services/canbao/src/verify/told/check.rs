//! What is promised of one finding's events. Pure.

use super::super::published::Stage;
use super::{Alert, Known, State};
use domain::release::EventKind;
use std::collections::BTreeMap;

/// The last state against what is announced.
pub(super) fn of_state(known: Option<&Known>, last: Option<&State>) -> Option<String> {
    match (known, last) {
        (None, Some(_)) => Some("told, not announced".to_owned()),
        (Some(_), None) => Some("announced, not told".to_owned()),
        (Some(known), Some(last)) if known.revision != last.revision => Some(format!(
            "told with revision {}, announced with {}",
            last.revision, known.revision
        )),
        (Some(known), Some(last)) if known.open != last.open || known.told != last.told => {
            Some("told otherwise than announced".to_owned())
        }
        _ => None,
    }
}

/// The alerts of a finding: each revision once, except where a baseline opened it, alternating, and saying what `findings` says.
pub(super) fn of_alerts(known: Option<&Known>, states: &[State], alerts: &[Alert]) -> Option<String> {
    let mut by_revision: BTreeMap<u32, &Alert> = BTreeMap::new();
    for alert in alerts {
        let again = by_revision.insert(alert.revision, alert);
        // What was published a moment ago may still stand in the outbox.
        let is_copy =
            |other: &Alert| other.whole == alert.whole && (other.stage == Stage::Queued) != (alert.stage == Stage::Queued);
        if again.is_some_and(|other| !is_copy(other)) {
            return Some(format!("revision {} was told twice", alert.revision));
        }
    }
    let newest = known.map_or(0, |known| known.revision);
    if let Some((beyond, _)) = by_revision.range(newest + 1..).next() {
        return Some(format!("told with revision {beyond}, announced with {newest}"));
    }
    let mut open = false;
    for revision in 1..=newest {
        let state = states.iter().find(|state| state.revision == revision);
        match by_revision.get(&revision) {
            None if open || state.is_some_and(|state| !state.baseline) => {
                return Some(format!("revision {revision} was never told"));
            }
            // The baseline is no alert, and later states of the finding may have replaced it in `findings`.
            None => open = true,
            Some(alert) if open == (alert.action == EventKind::Open) => {
                return Some(format!("revision {revision} says {} out of turn", alert.action.as_str()));
            }
            Some(alert) if state.is_some_and(|state| state.whole != alert.whole) => {
                return Some(format!("revision {revision} reads otherwise in findings"));
            }
            Some(alert) => open = alert.action != EventKind::Clear,
        }
    }
    known
        .is_some_and(|known| known.open != open)
        .then(|| format!("revision {newest} was told as {}", if open { "open" } else { "cleared" }))
}
