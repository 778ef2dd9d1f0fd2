use super::*;
use crate::source::Agency;

const MEDICAL: &str = r#"
[[agency]]
code = 4
name = "medical-insurance"
title = "医保"
cities = ["*", "3200"]
states = ["enrolment"]
"#;

#[test]
fn the_agencies_of_the_notice_are_known_by_their_codes() {
    let embedded = Agencies::embedded();
    let known: Vec<(u8, &str)> = embedded.entries().map(|entry| (entry.code, entry.name.as_str())).collect();
    assert_eq!(known, [(1, "public-security"), (2, "civil-affairs"), (3, "human-resources")]);
    for (agency, name) in [
        (Agency::PUBLIC_SECURITY, "public-security"),
        (Agency::CIVIL_AFFAIRS, "civil-affairs"),
        (Agency::HUMAN_RESOURCES, "human-resources"),
    ] {
        assert_eq!(agency.as_str(), name);
        assert_eq!(name.parse(), Ok(agency));
        assert_eq!(Agency::from_code(agency.code()), Some(agency));
    }
}

#[test]
fn only_human_resources_has_a_provincial_level() {
    for agency in Agency::all() {
        let provincial = agency.cities().contains(&City::PROVINCE);
        assert_eq!(provincial, agency == Agency::HUMAN_RESOURCES, "{agency}");
    }
}

/// What is stored of the first three was written while they were a list in the code.
#[test]
fn stored_forms_of_the_first_three_stay() {
    for (stored, agency) in (0_u8..).zip(Agency::all()) {
        assert_eq!(postcard::to_stdvec(&agency).expect("serialises"), [stored]);
        assert_eq!(postcard::from_bytes(&[stored]), Ok(agency));
    }
    postcard::from_bytes::<Agency>(&[3]).expect_err("nobody is registered under 4");
    postcard::from_bytes::<Agency>(&[255]).expect_err("no code");
}

#[test]
fn an_installation_adds_agencies() {
    let agencies = Agencies::with(MEDICAL).expect("a registry");
    let added = agencies.get(4).expect("added");
    assert_eq!((added.name.as_str(), added.title.as_str()), ("medical-insurance", "医保"));
    assert_eq!(added.cities.len(), 14);
    assert_eq!(added.states, [FactsKind::Enrolment]);
    assert_eq!(added.authority, []);
    assert_eq!(agencies.get(5), None);
    assert_eq!(agencies.get(200), None);
}

#[test]
fn a_process_has_one_registry() {
    Agencies::embedded().establish().expect("the one that is in use");
    let other = Agencies::with(MEDICAL).expect("a registry").establish();
    assert_eq!(other, Err(AgencyError::Settled));
}

#[test]
fn what_is_wrong_is_named() {
    let problem = |from: &str, to: &str| Agencies::with(&MEDICAL.replace(from, to)).expect_err(to).to_string();
    let shown: Vec<String> = [
        ("code = 4", "code = 3"),
        ("code = 4", "code = 0"),
        ("code = 4", "code = 128"),
        ("medical-insurance", "civil-affairs"),
        ("medical-insurance", "Medical"),
        ("medical-insurance", "medical--insurance"),
        ("medical-insurance", "medical.insurance"),
        ("医保", ""),
        ("\"3200\"", "\"4401\""),
        ("\"*\", \"3200\"", ""),
        ("\"enrolment\"", "\"enrollment\""),
        ("\"enrolment\"", "\"enrolment\", \"enrolment\""),
        ("[\"enrolment\"]", "[\"enrolment\"]\nauthority = [\"number\"]"),
        ("[\"enrolment\"]", "[\"enrolment\"]\nauthority = [\"name\"]"),
    ]
    .into_iter()
    .map(|(from, to)| problem(from, to))
    .collect();
    insta::assert_snapshot!(shown.join("\n"));
    problem("title", "titel");
}
