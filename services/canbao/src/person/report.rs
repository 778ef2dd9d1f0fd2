//! A person as reported: every value with the source record that states it.

use super::Told;
use super::fields::{Field, fields};
use super::likeness::likeness;
use domain::base::Person;
use domain::citizen_id::CitizenId;
use domain::date::Day;
use domain::division::City;
use domain::facts::Facts;
use domain::finding::{Finding, FormReason, Overlap};
use domain::golden::Golden;
use domain::ids::{IdKey, RecordId};
use domain::neighbourhood::Member as Placed;
use domain::scheme::Scheme;
use domain::shard::Shard;
use domain::source::Version;
use runtime::store::person::about_code;
use schemas::event::{Remedy, Scope};
use serde::Serialize;

/// An enrolment (参保).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolled {
    /// The scheme.
    pub scheme: &'static str,
    /// Contribution status.
    pub status: &'static str,
    /// Place of enrolment, 12 digits.
    pub place: String,
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub until: Option<String>,
    /// Month paid through.
    pub paid_through: Option<String>,
    /// A transfer is under way.
    pub transferring: bool,
    /// Source system and table.
    pub source: String,
    /// The source record.
    pub record: String,
}

/// A source record of the person (来源记录).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Source system and table.
    pub source: String,
    /// What the row is about.
    pub kind: &'static str,
    /// The row's key columns.
    pub key: String,
    /// Epoch, partition, offset and mapping revision of its newest version.
    pub version: [u64; 4],
    /// It lives in another neighbourhood and is a copy here.
    pub guest: bool,
    /// It could not be read: what it would have said is unknown.
    pub unreadable: bool,
    /// Epoch, partition, offset and mapping revision of a newer version of which only the key could be read.
    pub unread: Option<[u64; 4]>,
    /// How far the name it states agrees with the one the person is known by, where it is not the same.
    pub likeness: Option<String>,
    /// The source record.
    pub record: String,
}

/// What subscribers were told of a finding (公布).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Announcement {
    /// The finding.
    pub finding_id: String,
    /// Its last revision.
    pub revision: i32,
    /// Told as open.
    pub open: bool,
    /// City that was told.
    pub region: i16,
}

/// An open finding (疑点).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenFinding {
    /// The finding.
    pub finding_id: String,
    /// Rule that opened it.
    pub rule: &'static str,
    /// Scheme it is about.
    pub scheme: Option<&'static str>,
    /// Since when it is so.
    pub since: String,
    /// How a double enrolment is to be read.
    pub overlap: Option<&'static str>,
    /// Reason on the registration form.
    pub reason: Option<&'static str>,
    /// Cities where the relations concerned are.
    pub places: Vec<u16>,
    /// The facts: role, source and table, record.
    pub evidence: Vec<[String; 3]>,
    /// What would clear it.
    pub remedy: &'static str,
    /// What an absence was compared with.
    pub scope: Option<&'static str>,
    /// What subscribers were told; `None` when nothing.
    pub announced: Option<Announcement>,
    /// Silent sources whose word it is claimed without, since an operator waived them: which, until when, by whom and why.
    pub claimed_without: Vec<String>,
}

/// A person as known.
#[derive(Debug, Serialize)]
pub struct Known {
    /// The person's id.
    pub person_id: String,
    /// The shard they live in.
    pub shard: u8,
    /// Holder of the number, apart from it, or without one.
    pub standing: &'static str,
    /// The number, for its holder.
    pub number: Option<String>,
    /// Numbers before corrections.
    pub former_numbers: Vec<String>,
    /// City they count in.
    pub region: Option<u16>,
    /// The business date of the description.
    pub business_date: String,
    /// The next date on which findings may change by themselves.
    pub next_due: Option<String>,
    /// The golden record.
    pub fields: Vec<Field>,
    /// Enrolments.
    pub enrolments: Vec<Enrolled>,
    /// Open findings.
    pub findings: Vec<OpenFinding>,
    /// Announced as open although no longer so: waits for the sources to be complete.
    pub to_clear: Vec<Announcement>,
    /// Something of this person's findings waits for a source to be complete.
    pub waiting: bool,
    /// The source records.
    pub members: Vec<Member>,
}

impl Known {
    pub(super) fn new(shard: Shard, person: &Person, told: &Told, today: Day, key: &IdKey) -> Self {
        let abouts: Vec<i16> = person.findings.iter().map(|finding| about_code(finding.about())).collect();
        let to_clear = told
            .rows
            .iter()
            .filter(|(about, told)| told.open && !abouts.contains(about))
            .map(|(_, told)| told.clone());
        Self {
            person_id: person.id.to_string(),
            shard: shard.number(),
            standing: person.standing.as_str(),
            number: person.number.map(CitizenId::text),
            former_numbers: person.former_numbers.iter().map(|number| number.text()).collect(),
            region: person.region.map(City::code),
            business_date: today.to_string(),
            next_due: person.next_due.map(|day| day.to_string()),
            fields: fields(&person.golden, &person.members, today),
            enrolments: person
                .enrolments
                .iter()
                .map(|(record, enrolment)| enrolled(*record, enrolment, &person.members))
                .collect(),
            findings: person
                .findings
                .iter()
                .map(|finding| open_finding(finding, person, told, key))
                .collect(),
            to_clear: to_clear.collect(),
            waiting: told.pending,
            members: person.members.iter().map(|placed| member(placed, &person.golden)).collect(),
        }
    }
}

/// Source and table of a record.
pub(super) fn origin(record: RecordId, members: &[Placed]) -> String {
    let found = members.iter().find(|member| member.record.id == record);
    found.map_or_else(
        || "-".to_owned(),
        |member| format!("{} {}", member.record.source, member.record.table.as_str()),
    )
}

fn enrolled(record: RecordId, enrolment: &domain::facts::Enrolment, members: &[Placed]) -> Enrolled {
    Enrolled {
        scheme: enrolment.scheme.as_str(),
        status: enrolment.status.as_str(),
        place: enrolment.place.to_string(),
        from: enrolment.from.map(|day| day.to_string()),
        until: enrolment.until.map(|day| day.to_string()),
        paid_through: enrolment.paid_through.map(|month| month.to_string()),
        transferring: enrolment.transferring,
        source: origin(record, members),
        record: record.to_string(),
    }
}

fn open_finding(finding: &Finding, person: &Person, told: &Told, key: &IdKey) -> OpenFinding {
    let about = about_code(finding.about());
    let evidence = finding.evidence.iter().map(|fact| {
        [
            fact.role.as_str().to_owned(),
            origin(fact.record, &person.members),
            fact.record.to_string(),
        ]
    });
    OpenFinding {
        finding_id: finding.id(person.id, person.anchor, key).to_string(),
        rule: finding.rule.as_str(),
        scheme: finding.scheme.map(Scheme::as_str),
        since: finding.since.to_string(),
        overlap: finding.overlap.map(Overlap::as_str),
        reason: finding.reason.map(FormReason::as_str),
        places: finding.places.iter().map(|city| city.code()).collect(),
        evidence: evidence.collect(),
        remedy: Remedy::of(finding.rule, finding.overlap).as_str(),
        scope: Scope::of(finding.rule).map(Scope::as_str),
        announced: told
            .rows
            .iter()
            .find(|(known, _)| *known == about)
            .map(|(_, told)| told.clone()),
        claimed_without: Vec::new(),
    }
}

fn parts(version: Version) -> [u64; 4] {
    [
        version.epoch.into(),
        version.partition.into(),
        version.offset,
        version.mapping.into(),
    ]
}

fn member(placed: &Placed, golden: &Golden) -> Member {
    let record = &placed.record;
    let names = golden.name.as_ref().zip(record.identity.name.as_ref());
    Member {
        source: format!("{} {}", record.source, record.table.as_str()),
        kind: record.facts.kind().as_str(),
        key: record.key.reveal().to_owned(),
        version: parts(record.version),
        guest: placed.is_guest(),
        unreadable: matches!(record.facts, Facts::Unreadable(_)),
        unread: placed.unread.map(parts),
        likeness: names.and_then(|(known, stated)| likeness(&known.value, stated)),
        record: record.id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sample::change;
    use domain::base::describe;
    use domain::decision::Rulings;
    use domain::policy::Policy;
    use domain::record::Change;

    #[test]
    fn every_field_names_its_source() {
        let Change::Upsert(record) = change(1, 5, "张三") else {
            panic!("an upsert")
        };
        let (key, policy) = (IdKey::new(1, &[7; 32]), Policy::embedded());
        let (shard, anchor) = (record.home(), record.anchor(&key));
        let described = describe(
            anchor,
            &[Placed::home(record)],
            &Rulings::default(),
            Some(&policy),
            Day(0),
            &key,
        );
        let told = Told {
            rows: vec![(
                513,
                Announcement {
                    finding_id: "f".into(),
                    revision: 2,
                    open: true,
                    region: 3201,
                },
            )],
            pending: true,
        };
        let known = Known::new(shard, &described.persons[0], &told, Day(0), &key);
        assert_eq!((known.standing, known.number.as_deref()), ("provisional", None));
        let name = known.fields.iter().find(|field| field.name == "name").expect("a name");
        assert_eq!(
            (name.value.as_str(), name.source.as_str()),
            ("张三", "human-resources.3201 az01")
        );
        assert_eq!((known.to_clear.len(), known.waiting, known.members.len()), (1, true, 1));
        let text = crate::person::render(&crate::person::Found {
            persons: vec![known],
            notes: Vec::new(),
        });
        assert!(text.contains("张三") && text.contains("human-resources.3201 az01"), "{text}");
    }
}
