//! Every line of RULES.md, Who must be enrolled; RULES.md, Definitions; RULES.md, Duplicates; and what holds of all persons.

mod absence;
mod after_death;
mod circumstance;
mod double;
mod lapsed;
mod properties;

use super::*;

#[test]
fn every_rule_says_what_clears_it() {
    let codes: BTreeSet<&str> = Rule::ALL.iter().map(|rule| clears_when(*rule)).collect();
    assert_eq!(codes.len(), Rule::ALL.len());
}
