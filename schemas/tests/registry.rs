//! The shipped schemas: documented, of the domain's codes, and under ids that never change.

use apache_avro::rabin::Rabin;
use apache_avro::schema_compatibility::SchemaCompatibility;
use domain::decision::Verdict;
use domain::document::DocumentKind;
use domain::facts::{
    BenefitKind, BenefitStatus, CardStatus, CircumstanceKind, ContributionStatus, EmployerKind, EmploymentForm, FactsKind,
    HardshipKind, HukouStatus, MaritalStatus, Occupation, Post,
};
use domain::finding::{AlertKind, EvidenceRole, FormReason, Overlap, Rule};
use domain::person::Standing;
use domain::release::{Cause, EventKind};
use domain::scheme::Scheme;
use schemas::event::{FindingStatus, Remedy, Scope};
use schemas::registry::{self, Kind};
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands in stored topics. A line is never changed; a new version is a new line.
const STORED: &[(u32, &str, u32, &str)] = &[
    (1, "cn.canbao.PersonRecord", 1, "5917e530f9431017"),
    (2, "cn.canbao.EntityRecord", 1, "14e818c59abc616f"),
    (3, "cn.canbao.ShardMessage", 1, "bb7a31b96aeab170"),
    (4, "cn.canbao.Control", 1, "c2081e5255564250"),
    (5, "cn.canbao.AlertEvent", 1, "45475ed89a48a24f"),
    (6, "cn.canbao.FindingState", 1, "8d61df88b6e002c9"),
    (7, "cn.canbao.PersonState", 1, "44ffbe6416fb75c6"),
    (8, "cn.canbao.DeadLetter", 1, "f0e65ca36670f3a6"),
    (9, "cn.canbao.ShardMessage", 2, "d22deca567ae25d8"),
    (10, "cn.canbao.Policy", 1, "0360d51bebcca44e"),
    (11, "cn.canbao.PersonState", 2, "ca75d4c059b56331"),
    (12, "cn.canbao.UnreadRecord", 1, "92543b8258b9096c"),
    (13, "cn.canbao.UnreadNotice", 1, "12cddf1036a852e4"),
    (14, "cn.canbao.Truncation", 1, "c2b575650cf5dd92"),
    (15, "cn.canbao.PersonRecord", 3, "08472a21265cc158"),
    (16, "cn.canbao.ShardMessage", 3, "49332fa157ec803f"),
];

#[test]
fn ids_are_unique_and_what_they_mean_never_changes() {
    let ids: BTreeSet<u32> = registry::all().iter().map(|version| version.id).collect();
    assert_eq!(ids.len(), registry::all().len());
    let of = |version: &registry::SchemaVersion| {
        let fingerprint = version.schema.fingerprint::<Rabin>().to_string();
        (version.id, version.kind.record_name(), version.version, fingerprint)
    };
    let shipped: Vec<_> = registry::all().iter().map(of).collect();
    let stored: Vec<_> = STORED
        .iter()
        .map(|(id, name, version, print)| (*id, *name, *version, (*print).to_owned()))
        .collect();
    assert_eq!(shipped, stored);
}

/// Calls `check` with every field of every record in a schema, and the path to it.
fn fields(schema: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
    match schema {
        Value::Array(union) => union.iter().for_each(|schema| fields(schema, path, check)),
        Value::Object(object) => {
            if let Some(Value::Array(list)) = object.get("fields") {
                assert!(
                    object["doc"].as_str().is_some_and(|doc| doc.len() > 20),
                    "{path}: the record needs a doc"
                );
                for field in list {
                    let path = format!("{path}.{}", field["name"].as_str().expect("a field has a name"));
                    check(&path, field);
                    fields(&field["type"], &path, check);
                }
            }
            if let Some(items) = object.get("items") {
                fields(items, path, check);
            }
        }
        _ => {}
    }
}

fn each_field(mut check: impl FnMut(&str, &Value)) {
    for kind in Kind::ALL {
        let version = registry::newest(kind);
        let schema: Value = serde_json::from_str(&version.text).expect("JSON");
        assert_eq!(
            format!("cn.canbao.{}", schema["name"].as_str().expect("a name")),
            kind.record_name()
        );
        fields(&schema, kind.record_name(), &mut check);
    }
}

#[test]
fn every_field_has_a_doc() {
    each_field(|path, field| {
        assert!(field["doc"].as_str().is_some_and(|doc| doc.len() > 5), "{path} needs a doc");
    });
}

#[test]
fn a_field_that_may_be_null_defaults_to_null() {
    each_field(|path, field| {
        if field["type"][0] == "null" {
            assert!(field.get("default").is_some_and(Value::is_null), "{path} needs a default");
        }
    });
}

#[test]
fn subjects_are_the_topics() {
    let subjects = registry::subjects();
    assert_eq!(subjects.len(), 8 + 2 + 14 * (4 + 3));
    for subject in [
        "person.records-cn.canbao.Control",
        "alerts.after-death.3213-value",
        "civil-affairs.3200.dlq-value",
    ] {
        assert!(subjects.iter().any(|known| known == subject), "{subject}");
    }
    for subject in &subjects {
        let latest = registry::latest(subject).expect("a subject has a schema");
        assert_eq!(
            registry::lookup(subject, &latest.text).map(|version| version.id),
            Some(latest.id)
        );
        assert_eq!(
            registry::schema_by_id(latest.id).map(|version| version.kind),
            Some(latest.kind)
        );
    }
    for subject in [
        "alerts.after-death.3214-value",
        "alerts.x.3201-value",
        "findings",
        "a.b.c.d-value",
        "person.records-x",
        "findings-value-value",
    ] {
        assert!(registry::versions(subject).is_none(), "{subject}");
    }
}

#[test]
fn lookup_looks_past_documentation_only() {
    let text = &registry::newest(Kind::FindingState).text;
    let reworded = text.replace("Latest revision", "The latest revision");
    assert_ne!(*text, reworded);
    assert!(registry::lookup("findings-value", &reworded).is_some());
    assert!(registry::lookup("findings-value", &text.replace("\"revision\"", "\"edition\"")).is_none());
    assert!(registry::lookup("person.registry-value", text).is_none());
    assert!(registry::lookup("findings-value", "{").is_none());
}

/// The domain's code sets for a field of that name; several when records share the name.
fn code_sets(field: &str) -> Vec<Vec<&'static str>> {
    macro_rules! sets {
        ($($type:ty),*) => { vec![$(<$type>::ALL.iter().map(|code| code.as_str()).collect()),*] };
    }
    match field {
        "action" => sets!(EventKind),
        "cause" => sets!(Cause),
        "employer" => sets!(EmployerKind),
        "form" => sets!(EmploymentForm),
        "kind" => sets!(
            AlertKind,
            BenefitKind,
            CircumstanceKind,
            DocumentKind,
            EmployerKind,
            FactsKind,
            HardshipKind
        ),
        "occupation" => sets!(Occupation),
        "overlap" => sets!(Overlap),
        "post" => sets!(Post),
        "reason" => sets!(FormReason),
        "remedy" => sets!(Remedy),
        "role" => sets!(EvidenceRole),
        "verdict" => sets!(Verdict),
        "rule" => sets!(Rule),
        "scheme" => sets!(Scheme),
        "scope" => sets!(Scope),
        "standing" => sets!(Standing),
        "state" => sets!(FindingStatus),
        "status" => sets!(BenefitStatus, CardStatus, ContributionStatus, HukouStatus, MaritalStatus),
        _ => panic!("{field}: which codes?"),
    }
}

#[test]
fn fields_list_the_codes_of_the_domain() {
    let mut lists = 0;
    each_field(|path, field| {
        if let Some(codes) = field["codes"].as_array() {
            let name = field["name"].as_str().expect("a name");
            // Promised to subscribers from the first day: events that a new version of the policy causes are marked.
            let reserved = |code: &&str| name == "cause" && *code == "policy" && !code_sets(name)[0].contains(code);
            let listed = codes
                .iter()
                .map(|code| code.as_str().expect("text"))
                .filter(|code| !reserved(code));
            let listed: Vec<&str> = listed.collect();
            assert!(
                code_sets(name).contains(&listed),
                "{path}: {listed:?} is not what the domain has"
            );
            lists += 1;
        }
    });
    assert!(lists > 30, "{lists}");
}

#[test]
fn versions_of_a_schema_read_each_other() {
    for one in registry::all() {
        for other in registry::all().iter().filter(|other| other.kind == one.kind) {
            SchemaCompatibility::mutual_read(&one.schema, &other.schema).expect("FULL_TRANSITIVE");
        }
    }
}
