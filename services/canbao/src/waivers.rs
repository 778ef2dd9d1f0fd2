//! Waivers (豁免) of silent sources, as `lag`, `source list` and `person` show them.

use crate::output::now;
use anyhow::Context;
use domain::date::Day;
use domain::division::City;
use domain::finding::Finding;
use domain::policy::Policy;
use domain::source::Source;
use runtime::store::waivers::{self, Waiver};
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;

/// The waivers that hold today, in words.
///
/// # Errors
/// When the store does not answer, or holds what cannot be read.
pub(crate) async fn standing(pool: &PgPool) -> anyhow::Result<BTreeMap<Source, String>> {
    let standing = waivers::standing(pool, now().day_in_shanghai()).await;
    let standing = standing.context("reading waivers: was `canbao migrate` run?")?;
    Ok(standing
        .into_iter()
        .map(|(source, waiver)| (source, words(&waiver)))
        .collect())
}

fn words(Waiver { until, who, why }: &Waiver) -> String {
    format!("waived until {until} by {who}: {why}")
}

/// Waivers under which claims of absence may stand without their sources' word.
pub(crate) struct Unsettled {
    today: Day,
    waivers: BTreeMap<Source, Waiver>,
}

impl Unsettled {
    /// Reads them.
    ///
    /// # Errors
    /// When the store does not answer, or holds what cannot be read.
    pub(crate) async fn read(connection: &mut PgConnection) -> anyhow::Result<Self> {
        let today = now().day_in_shanghai();
        let waivers = waivers::unsettled(connection, today).await;
        Ok(Self {
            today,
            waivers: waivers.context("reading waivers: was `canbao migrate` run?")?,
        })
    }

    /// Whose word a finding about somebody who counts in `region` is claimed without, in words.
    pub(crate) fn under(&self, finding: &Finding, region: Option<City>, policy: Option<&Policy>) -> Vec<String> {
        let concerned = |source: &Source| {
            let waits = policy.is_none_or(|policy| policy.release.waits.on(finding.rule, *source, region));
            finding.rule.claims_absence() && waits
        };
        let of = |(source, waiver): (&Source, &Waiver)| {
            let words = words(waiver);
            if waiver.until < self.today {
                format!("{source}, which was {words}; it has not been complete since")
            } else {
                format!("{source}, which is {words}")
            }
        };
        self.waivers.iter().filter(|(source, _)| concerned(source)).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::finding::Rule;

    fn finding(rule: Rule) -> Finding {
        Finding {
            rule,
            scheme: None,
            since: Day(20_000),
            overlap: None,
            reason: None,
            places: Vec::new(),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn an_absence_names_the_waived_sources_that_it_would_have_waited_for() {
        let waiver = |until| Waiver {
            until: Day(until),
            who: "somebody".to_owned(),
            why: "the line is cut".to_owned(),
        };
        let of = |source: &str, until| (source.parse().expect("a source"), waiver(until));
        let unsettled = Unsettled {
            today: Day(20_000),
            waivers: BTreeMap::from([of("human-resources.3213", 20_003), of("civil-affairs.3204", 19_999)]),
        };
        let policy = Policy::embedded();
        let under = |rule, region: u16| unsettled.under(&finding(rule), City::from_code(region), Some(&policy));
        // Civil affairs of another city do not bear on it.
        assert_eq!(
            under(Rule::Lapsed, 3201),
            ["human-resources.3213, which is waived until 2024-10-07 by somebody: the line is cut"]
        );
        let both = under(Rule::NeverEnrolled, 3204);
        assert!(
            both.len() == 2
                && both
                    .iter()
                    .any(|one| one.contains("was waived until 2024-10-03") && one.contains("since")),
            "{both:?}"
        );
        assert!(under(Rule::DoubleEnrolled, 3204).is_empty(), "no absence is claimed");
    }
}
