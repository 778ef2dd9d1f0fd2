//! What leaves the base is read as written, and says nothing personal where it must not.

use domain::date::{Day, Month, Timestamp};
use domain::division::{City, Division};
use domain::facts::ContributionStatus;
use domain::finding::{Evidence as Fact, EvidenceRole, Finding, FormReason, Overlap, Rule};
use domain::ids::{EventId, FindingId, PersonId, RecordId};
use domain::person::Standing;
use domain::release::{Cause, Event, EventKind, Told};
use domain::scheme::Scheme;
use domain::source::{Agency, Source, TableName};
use schemas::DecodeError;
use schemas::event::{
    AlertEvent, Context, DeadLetter, EnrolmentState, Evidence, FindingState, FindingStatus, Header, PersonState, Remedy, Scope,
    decode, encode,
};

fn city(code: u16) -> City {
    City::from_code(code).expect("a city")
}

fn event(rule: Rule, kind: EventKind) -> Event {
    let absent = rule.claims_absence();
    let fact = Fact {
        role: EvidenceRole::Duty,
        record: RecordId([7; 16]),
    };
    let finding = Finding {
        rule,
        scheme: (rule != Rule::IdentityConflict).then_some(Scheme::EmployeePension),
        since: Day(20_000),
        overlap: (rule == Rule::DoubleEnrolled).then_some(Overlap::TwoPlaces),
        reason: absent.then_some(FormReason::Employer),
        places: vec![city(3201), city(3205)],
        evidence: vec![fact],
    };
    let told = Told {
        person: PersonId([1; 16]),
        revision: 3,
        open: kind != EventKind::Clear,
        region: city(3201),
        finding,
    };
    Event {
        id: EventId([2; 16]),
        finding_id: FindingId([3; 16]),
        kind,
        cause: Cause::News,
        told,
    }
}

fn alert(rule: Rule, kind: EventKind) -> AlertEvent {
    let event = event(rule, kind);
    let source = Source {
        agency: Agency::HUMAN_RESOURCES,
        city: city(3201),
    };
    let evidence = event
        .told
        .finding
        .evidence
        .iter()
        .map(|fact| Evidence::new(fact, source, TableName::new("ac21")))
        .collect();
    let context = Context {
        masked_number: Some("3201************02".to_owned()),
        region: Some("320102".parse::<Division>().expect("a division")),
        business_date: Day(20_100),
        evidence,
        announced_at: Timestamp(1_750_000_000_000),
    };
    AlertEvent::new(&event, context)
}

#[test]
fn alerts_and_findings_are_read_as_written() {
    for rule in Rule::ALL {
        for kind in EventKind::ALL {
            let alert = alert(*rule, *kind);
            assert_eq!(decode::<AlertEvent>(&encode(&alert)), Ok(alert.clone()));
            let state = FindingState::from(alert);
            assert_eq!(decode::<FindingState>(&encode(&state)), Ok(state.clone()));
            assert_eq!(state.state == FindingStatus::Cleared, *kind == EventKind::Clear);
        }
    }
}

#[test]
fn an_alert_says_what_it_compared_and_what_would_clear_it() {
    let alert = alert(Rule::NeverEnrolled, EventKind::Open);
    assert_eq!(alert.scope, Some(Scope::NotFoundInProvince));
    assert_eq!(alert.remedy, Remedy::EnrolOrEndDuty);
    assert_eq!(alert.county, Some(320_102));
    assert_eq!(Scope::of(Rule::AfterDeath), None);
    assert_eq!(
        Remedy::of(Rule::DoubleEnrolled, Some(Overlap::TwoBenefits)),
        Remedy::EndOneBenefit
    );
}

#[test]
fn persons_are_read_as_written() {
    let enrolment = EnrolmentState {
        scheme: Scheme::ResidentMedical,
        place: "320102".parse().expect("a division"),
        status: ContributionStatus::Paying,
        paid_through: Month::from_ym(2026, 5),
    };
    let state = PersonState {
        person: PersonId([1; 16]),
        masked_number: None,
        standing: Standing::Provisional,
        alive: true,
        city: Some(city(3201)),
        county: None,
        enrolments: vec![enrolment],
        further_enrolments: 1,
        open_findings: vec![FindingId([3; 16]), FindingId([4; 16])],
        recorded_at: Timestamp(-1),
    };
    assert_eq!(decode::<PersonState>(&encode(&state)), Ok(state));
}

fn dead_letter() -> DeadLetter {
    DeadLetter {
        topic: "human-resources.3201.public.ac02".to_owned(),
        partition: 2,
        offset: 1 << 40,
        timestamp: Timestamp(0),
        error_class: "unknown-code".to_owned(),
        message: "aae140: no such code".to_owned(),
        attempt: 1,
        service: "human-resources".to_owned(),
        service_version: "0.1.0".to_owned(),
        key: None,
        value: Some(b"{\"aac002\":\"320102199001011234\"}".to_vec()),
        headers: vec![
            Header {
                name: "a".to_owned(),
                value: None,
            },
            Header {
                name: "a".to_owned(),
                value: Some(vec![0, 255]),
            },
        ],
    }
}

#[test]
fn dead_letters_are_read_as_written_and_do_not_print_content() {
    let letter = dead_letter();
    assert_eq!(decode::<DeadLetter>(&encode(&letter)), Ok(letter.clone()));
    let printed = format!("{letter:?} {:?}", letter.headers);
    assert!(printed.contains("unknown-code") && !printed.contains("1990"), "{printed}");
    let empty = DeadLetter {
        value: None,
        headers: Vec::new(),
        key: Some(Vec::new()),
        ..letter
    };
    assert_eq!(decode::<DeadLetter>(&encode(&empty)), Ok(empty));
}

#[test]
fn a_value_of_another_kind_or_cut_short_is_refused() {
    let letter = encode(&dead_letter());
    assert_eq!(
        decode::<AlertEvent>(&letter),
        Err(DecodeError::Unexpected {
            record: "cn.canbao.DeadLetter"
        })
    );
    for bytes in [letter, encode(&alert(Rule::Lapsed, EventKind::Amend))] {
        for length in 0..bytes.len() {
            assert!(decode::<DeadLetter>(&bytes[..length]).is_err());
            assert!(decode::<AlertEvent>(&bytes[..length]).is_err());
        }
    }
}
