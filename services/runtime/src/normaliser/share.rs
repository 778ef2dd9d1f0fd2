//! The share of dead letters among a source's last messages: above policy the source is held instead of diverting everything.

use crate::config::NormaliserSettings;
use crate::debezium::ErrorClass;
use std::collections::{BTreeMap, VecDeque};

/// A sliding window over a source's last messages.
pub(super) struct DeadLetterShare {
    share: f64,
    window: usize,
    minimum: usize,
    /// The class of each of the last messages that could not be read, `None` for the others.
    last: VecDeque<Option<ErrorClass>>,
    dead: BTreeMap<ErrorClass, usize>,
    count: usize,
}

impl DeadLetterShare {
    pub(super) fn new(settings: &NormaliserSettings) -> Self {
        Self {
            share: settings.dead_letter_share,
            window: settings.dead_letter_window as usize,
            minimum: settings.dead_letter_minimum as usize,
            last: VecDeque::with_capacity(settings.dead_letter_window as usize),
            dead: BTreeMap::new(),
            count: 0,
        }
    }

    /// Counts a message.
    pub(super) fn note(&mut self, class: Option<ErrorClass>) {
        if self.last.len() == self.window
            && let Some(Some(oldest)) = self.last.pop_front()
        {
            self.count -= 1;
            self.dead.entry(oldest).and_modify(|count| *count -= 1);
        }
        self.last.push_back(class);
        if let Some(class) = class {
            self.count += 1;
            *self.dead.entry(class).or_default() += 1;
        }
    }

    /// Why the source must be held; `None` while the share is tolerable.
    pub(super) fn excess(&self) -> Option<String> {
        let tolerated = (self.share * self.last.len() as f64).max(self.minimum as f64);
        let (class, _) = self.dead.iter().max_by_key(|(_, count)| **count)?;
        let excessive = self.share < 1.0 && self.count as f64 > tolerated;
        excessive.then(|| {
            format!(
                "{} of the last {} messages could not be read, mostly {class}",
                self.count,
                self.last.len()
            )
        })
    }

    /// Begins anew, after an operator accepted the source.
    pub(super) fn clear(&mut self) {
        self.last.clear();
        self.dead.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(share: f64) -> DeadLetterShare {
        let settings = NormaliserSettings {
            dead_letter_share: share,
            dead_letter_window: 100,
            dead_letter_minimum: 3,
            ..NormaliserSettings::default()
        };
        DeadLetterShare::new(&settings)
    }

    #[test]
    fn a_quiet_source_is_not_stopped_by_a_few_bad_rows() {
        let mut share = window(0.05);
        for _ in 0..3 {
            share.note(Some(ErrorClass::NotJson));
            assert_eq!(share.excess(), None);
        }
        share.note(Some(ErrorClass::UnknownCode));
        let excess = share.excess().expect("four of four");
        assert!(excess.contains("4 of the last 4") && excess.contains("not-json"), "{excess}");
        share.clear();
        assert_eq!(share.excess(), None);
    }

    #[test]
    fn only_the_last_messages_count() {
        let mut share = window(0.05);
        for _ in 0..200 {
            share.note(None);
        }
        for _ in 0..5 {
            share.note(Some(ErrorClass::NotJson));
        }
        assert_eq!(share.excess(), None);
        share.note(Some(ErrorClass::NotJson));
        assert!(share.excess().is_some());
        for _ in 0..96 {
            share.note(None);
        }
        assert_eq!(share.excess(), None);
        let mut never = window(1.0);
        (0..100).for_each(|_| never.note(Some(ErrorClass::NotJson)));
        assert_eq!(never.excess(), None);
    }
}
