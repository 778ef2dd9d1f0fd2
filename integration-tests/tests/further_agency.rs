//! The story of an agency that is added by files alone (`services/agencies/justice`), on the function and on the incremental path. It stands
//! apart from the other stories since a process has one registry of agencies.

use domain::source::Agencies;
use integration_tests::drive::{check_at_once, check_in_order, check_restored, check_shuffled};
use integration_tests::ground::{Rules, dialect_folders};
use integration_tests::story::Story;
use runtime::dialect::Dialects;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/agencies/justice")
}

/// The default rules, and justice.
fn rules() -> Rules {
    let stated = std::fs::read_to_string(folder().join("agencies.toml")).expect("a registry");
    let agencies = Agencies::with(&stated).expect("a registry");
    agencies.establish().expect("the same in every test");
    let mut folders = dialect_folders().to_vec();
    folders.push(folder().join("dialects"));
    Rules {
        dialects: Dialects::load(&folders).expect("dialects"),
        ..Rules::load().expect("the dialects of the services")
    }
}

fn story() -> Story {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories/further/80-sentenced.toml");
    Story::read(&path).expect("a story")
}

#[test]
fn a_sentence_clears_the_claim_until_the_grace_behind_it_is_over() {
    let rules = rules();
    let story = story();
    check_at_once(&rules, &story).expect("what the story expects");
    for daily in [false, true] {
        check_in_order(&rules, &story, daily).expect("what the story tells");
    }
}

#[test]
fn in_any_order() {
    let rules = rules();
    let story = story();
    for seed in 0..50 {
        check_shuffled(&rules, &story, seed).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
        check_restored(&rules, &story, seed).unwrap_or_else(|error| panic!("seed {seed}, restored: {error:#}"));
    }
}
