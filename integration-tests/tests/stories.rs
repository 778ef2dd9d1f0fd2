//! Every life story, on the function and on the incremental path.

use integration_tests::drive::{check_at_once, check_in_order, check_shuffled};
use integration_tests::ground::Rules;
use integration_tests::story::{Story, all};

/// Orders of arrival tried for each story; `STORY_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("STORY_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(100)
}

/// Runs every story and reports all that fail.
fn every(run: impl Fn(&Rules, &Story) -> anyhow::Result<()>) {
    let rules = Rules::load().expect("the dialects of the services");
    let stories = all().expect("stories that can be read");
    let failures: Vec<String> = stories
        .iter()
        .filter_map(|story| run(&rules, story).err().map(|error| format!("{error:#}")))
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} stories fail:\n{}",
        failures.len(),
        stories.len(),
        failures.join("\n")
    );
}

#[test]
fn there_are_enough_stories_and_their_numbers_are_their_own() {
    let stories = all().expect("stories that can be read");
    assert!(stories.len() >= 27, "{} stories", stories.len());
    let mut seen = std::collections::BTreeMap::new();
    for story in &stories {
        for number in story.people.values().filter_map(|someone| someone.number.as_ref()) {
            let other = seen.insert(number.clone(), story.name.clone());
            assert!(
                other.is_none_or(|other| other == story.name),
                "{} uses a number of another story",
                story.name
            );
        }
    }
}

#[test]
fn at_once() {
    every(check_at_once);
}

#[test]
fn in_order() {
    every(|rules, story| check_in_order(rules, story, false));
}

/// A tick every day instead of on the days of the story: what is due on a date is found by its due date.
#[test]
fn day_by_day() {
    every(|rules, story| check_in_order(rules, story, true));
}

#[test]
fn in_any_order() {
    every(|rules, story| {
        (0..seeds())
            .try_for_each(|seed| check_shuffled(rules, story, seed).map_err(|error| error.context(format!("seed {seed}"))))
    });
}
