//! What no source should send: each becomes what its kind allows, none ends anything.

use integration_tests::bad_inputs::{UNDERSTOOD, all, outcome};
use integration_tests::ground::Rules;
use std::collections::BTreeSet;
use std::fmt::Write;

#[test]
fn there_are_enough_and_each_is_another() {
    let inputs = all().expect("files that can be read");
    assert!(inputs.len() >= 500, "{} bad inputs", inputs.len());
    let distinct: BTreeSet<_> = inputs
        .iter()
        .map(|input| (&input.topic, &input.key, &input.value, &input.headers))
        .collect();
    let labels: BTreeSet<_> = inputs.iter().map(|input| (&input.kind, &input.label)).collect();
    assert_eq!(labels.len(), inputs.len());
    // A few spell the same value: what a column holds anyway, a key of one message as the value of another kind.
    assert!(distinct.len() * 100 >= inputs.len() * 98, "{} are distinct", distinct.len());
}

/// One line a bad input: what becomes of it is looked at when it changes.
#[test]
fn bad_inputs_become() {
    let rules = Rules::load().expect("the dialects of the services");
    let (mut text, mut kind, mut faults) = (String::new(), String::new(), Vec::new());
    for input in all().expect("files that can be read") {
        let became = outcome(&rules, &input).unwrap_or_else(|error| format!("FAULT {error:#}"));
        let class = became.split([':', ' ']).next().unwrap_or_default();
        if !input.expect.iter().any(|expected| expected == class) {
            faults.push(format!("{}, {}: {became}", input.kind, input.label));
        }
        assert!(input.expect.iter().all(|expected| {
            expected == UNDERSTOOD
                || runtime::debezium::ErrorClass::ALL
                    .iter()
                    .any(|class| class.as_str() == expected)
        }));
        if kind != input.kind {
            kind.clone_from(&input.kind);
            writeln!(text, "{kind}").expect("a string");
        }
        let label: String = input.label.chars().take(90).flat_map(char::escape_debug).collect();
        writeln!(text, "  {label}\n    {became}").expect("a string");
    }
    assert!(
        faults.is_empty(),
        "{} became what they must not:\n{}",
        faults.len(),
        faults.join("\n")
    );
    insta::assert_snapshot!(text);
}
