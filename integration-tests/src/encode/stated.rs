//! What reviewers decide and what changes in the policy, as steps of a story.

use super::{Encoder, Step};
use crate::policies;
use anyhow::Context;
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::decision::{Decision, kept};

impl Encoder<'_> {
    /// Decisions come at the end of their date.
    pub(super) fn decisions(&mut self) -> anyhow::Result<()> {
        for (id, decided) in (1..).zip(&self.story.decisions) {
            let record = |label: &String| {
                let mut named = self.encoded.labels.iter().filter(|(_, known)| *known == label);
                let found = named
                    .next()
                    .with_context(|| format!("a decision names {label}, which no event writes"));
                found.map(|(record, _)| *record)
            };
            let keep = decided
                .keep
                .as_ref()
                .and_then(|alias| self.story.people[alias].number.as_ref());
            let number = keep.map(|number| CitizenId::parse(number)).transpose()?;
            // As `canbao decide` does: the number kept is the second record's own.
            let [one, two] = &decided.records;
            let states = |label: &String| keep.is_some_and(|keep| self.stated.contains(&(label.clone(), keep.clone())));
            let own = |label: &String| number.filter(|_| states(label));
            let (record, other, _) = kept((record(one)?, own(one)), (record(two)?, own(two)));
            let decision = Decision {
                id,
                verdict: decided.verdict,
                record,
                other,
                number,
            };
            self.encoded.steps.push(Step::Decide {
                on: decided.on,
                decision,
            });
            let withdrawn = decided.withdrawn.map(|on| Step::Undecide { on, decision: id });
            self.encoded.steps.extend(withdrawn);
        }
        self.encoded.steps.sort_by_key(Step::on);
        Ok(())
    }

    pub(super) fn policies(&mut self) -> anyhow::Result<()> {
        for (on, edition) in policies::of(&self.story.policies)?.into_iter().rev() {
            let on = on.unwrap_or(Day(i32::MIN));
            let at = self.encoded.steps.partition_point(|step| step.on() < on);
            self.encoded.steps.insert(at, Step::Policy { on, edition });
        }
        Ok(())
    }
}
