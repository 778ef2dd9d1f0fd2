//! Synthetic records for the tests of the rules.

use crate::citizen_id::CitizenId;
use crate::date::{Day, Month};
use crate::division::{City, Division};
use crate::document::{Document, DocumentKind};
use crate::facts::{
    Benefit, BenefitKind, BenefitStatus, Card, CardStatus, Circumstance, CircumstanceKind, ContributionStatus, EmployerKind,
    Employment, EmploymentForm, Enrolment, Facts, Funeral, HukouStatus, Occupation, PersonFacts, Post, Resident,
    TemporaryResident,
};
use crate::finding::{Assessment, Finding};
use crate::golden::{Golden, golden};
use crate::horizon::Horizon;
use crate::ids::RecordId;
use crate::name::Name;
use crate::person::{PersonView, Standing};
use crate::personal::Personal;
use crate::policy::Policy;
use crate::population::{Population, populations};
use crate::record::{Identity, SourceRecord};
use crate::scheme::Scheme;
use crate::source::{Agency, Source, TableName, Version};

/// A day of the calendar.
pub(crate) fn day(text: &str) -> Day {
    text.parse().expect("a day")
}

/// The month of a yyyymm number; 0 for none.
pub(crate) fn month(code: i32) -> Option<Month> {
    Month::from_yyyymm(code)
}

/// A county of six digits.
pub(crate) fn county(code: u32) -> Division {
    Division::of_county(code).expect("a division")
}

/// A person in the making.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) number: CitizenId,
    pub(crate) records: Vec<SourceRecord>,
    pub(crate) standing: Standing,
    pub(crate) conflicting: Vec<RecordId>,
}

impl Sample {
    /// A holder of a number; the sequence is odd for men.
    pub(crate) fn new(birth: &str, sequence: u16) -> Self {
        let number = CitizenId::from_parts(320_102, day(birth), sequence);
        Self {
            number: number.expect("a number"),
            records: Vec::new(),
            standing: Standing::Holder,
            conflicting: Vec::new(),
        }
    }

    /// A man of 1990.
    pub(crate) fn man() -> Self {
        Self::new("1990-01-15", 11)
    }

    /// A woman of 1990.
    pub(crate) fn woman() -> Self {
        Self::new("1990-01-15", 12)
    }

    /// Adds a record; record ids count from 1.
    pub(crate) fn with(mut self, agency: Agency, city: u16, facts: Facts) -> Self {
        let id = RecordId([self.records.len() as u8 + 1; 16]);
        self.records.push(SourceRecord {
            id,
            source: Source {
                agency,
                city: City::from_code(city).expect("a city"),
            },
            table: TableName::new(facts.kind().as_str()),
            key: Personal::default(),
            version: Version::default(),
            appended_at: day("2026-01-01").start_in_shanghai(),
            identity: Identity {
                document: Document::parse(DocumentKind::Unstated, &self.number.text()).ok(),
                name: Name::parse("张伟").ok(),
                birth: None,
                sex: None,
            },
            facts,
        });
        self
    }

    /// Changes the record added last.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut SourceRecord)) -> Self {
        change(self.records.last_mut().expect("a record"));
        self
    }

    /// Changes the enrolment added last.
    pub(crate) fn relation(self, change: impl FnOnce(&mut Enrolment)) -> Self {
        self.but(|record| match &mut record.facts {
            Facts::Enrolment(enrolment) => change(enrolment),
            _ => panic!("no enrolment was added last"),
        })
    }

    /// Changes the employment added last.
    pub(crate) fn job(self, change: impl FnOnce(&mut Employment)) -> Self {
        self.but(|record| match &mut record.facts {
            Facts::Employment(employment) => change(employment),
            _ => panic!("no employment was added last"),
        })
    }

    /// Employed full time by an enterprise in Nanjing.
    pub(crate) fn hired(self, from: &str) -> Self {
        self.employed(EmployerKind::Enterprise, EmploymentForm::FullTime, from)
    }

    /// Employed in Nanjing.
    pub(crate) fn employed(self, employer: EmployerKind, form: EmploymentForm, from: &str) -> Self {
        let employment = Employment {
            unit: Some("U1".to_owned()),
            unit_name: Some("某厂".to_owned()),
            employer,
            form,
            from: day(from),
            until: None,
            place: Some(county(320_102)),
        };
        self.with(Agency::HUMAN_RESOURCES, 3201, Facts::Employment(employment))
    }

    /// A relation that stands as paying; `paid` is yyyymm, 0 for not stated.
    pub(crate) fn enrolled(self, scheme: Scheme, city: u16, from: &str, paid: i32) -> Self {
        let enrolment = Enrolment {
            scheme,
            status: ContributionStatus::Paying,
            from: Some(day(from)),
            until: None,
            first_month: None,
            paid_through: month(paid),
            deferred_until: None,
            transferring: false,
            unit: None,
            place: county(u32::from(city) * 100 + 2),
        };
        self.with(Agency::HUMAN_RESOURCES, city, Facts::Enrolment(enrolment))
    }

    /// Suspends the relation added last.
    pub(crate) fn suspended(self, until: &str) -> Self {
        self.relation(|relation| {
            relation.status = ContributionStatus::Suspended;
            relation.until = Some(day(until));
        })
    }

    /// Ends the relation added last.
    pub(crate) fn ended(self, until: &str) -> Self {
        self.relation(|relation| {
            relation.status = ContributionStatus::Ended;
            relation.until = Some(day(until));
        })
    }

    /// A benefit that is being drawn.
    pub(crate) fn draws(self, scheme: Scheme, kind: BenefitKind, city: u16, from: &str) -> Self {
        let benefit = Benefit {
            scheme,
            kind,
            status: BenefitStatus::Drawing,
            from: Some(day(from)),
            until: None,
            place: county(u32::from(city) * 100 + 2),
        };
        self.with(Agency::HUMAN_RESOURCES, city, Facts::Benefit(benefit))
    }

    /// A row of the resident register of Nanjing.
    pub(crate) fn registered(self, status: HukouStatus, death: Option<&str>) -> Self {
        let resident = Resident {
            former_name: None,
            ethnicity: Some(1),
            hukou: Some(county(320_102)),
            hukou_address: None,
            residence: Some(county(320_115)),
            residence_address: None,
            death: death.map(day),
            status,
            phone: None,
        };
        self.with(Agency::PUBLIC_SECURITY, 3201, Facts::Resident(resident))
    }

    /// A person of whom nobody says anything else is in the resident register.
    pub(crate) fn registered_if_empty(self) -> Self {
        if self.records.is_empty() {
            self.registered(HukouStatus::Registered, None)
        } else {
            self
        }
    }

    /// A temporary residence in Suzhou.
    pub(crate) fn stays(self, from: &str, until: Option<&str>, cancelled: Option<&str>) -> Self {
        let row = TemporaryResident {
            hukou: Some(county(321_322)),
            residence: Some(county(320_506)),
            residence_address: None,
            from: Some(day(from)),
            until: until.map(day),
            cancelled: cancelled.map(day),
            phone: None,
        };
        self.with(Agency::PUBLIC_SECURITY, 3205, Facts::TemporaryResident(row))
    }

    /// A funeral.
    pub(crate) fn buried(self, death: &str) -> Self {
        let funeral = Funeral {
            death: Some(day(death)),
            cremation: None,
        };
        self.with(Agency::CIVIL_AFFAIRS, 3201, Facts::Funeral(funeral))
    }

    /// A person row of human resources in a city.
    pub(crate) fn known_as(
        self,
        city: u16,
        occupation: Option<Occupation>,
        post: Option<Post>,
        nationality: Option<&str>,
    ) -> Self {
        let person = PersonFacts {
            ethnicity: None,
            occupation,
            post,
            nationality: nationality.map(str::to_owned),
            phone: None,
            address: None,
            place: None,
        };
        self.with(Agency::HUMAN_RESOURCES, city, Facts::Person(person))
    }

    /// A card.
    pub(crate) fn card(self, status: CardStatus, issued: &str) -> Self {
        let card = Card {
            status,
            issued: Some(day(issued)),
        };
        self.with(Agency::HUMAN_RESOURCES, 3201, Facts::Card(card))
    }

    /// A circumstance, by whoever states it.
    pub(crate) fn circumstance(self, kind: CircumstanceKind, from: Option<&str>, until: Option<&str>) -> Self {
        let circumstance = Circumstance {
            kind,
            from: from.map(day),
            until: until.map(day),
            place: None,
        };
        self.with(Agency::CIVIL_AFFAIRS, 3201, Facts::Circumstance(circumstance))
    }

    /// The records, as the rules take them.
    pub(crate) fn members(&self) -> Vec<&SourceRecord> {
        self.records.iter().collect()
    }

    /// The golden record on a day.
    pub(crate) fn golden(&self, today: Day) -> Golden {
        let number = (self.standing == Standing::Holder).then_some(self.number);
        golden(&self.members(), number, &Policy::embedded().survivorship, today)
    }

    /// The populations on a day.
    pub(crate) fn populations(&self, today: &str) -> Vec<Population> {
        let today = day(today);
        let horizon = Horizon::new(today);
        populations(&self.golden(today), &self.members(), &Policy::embedded(), &horizon)
            .iter()
            .map(|membership| membership.population)
            .collect()
    }

    /// The assessment on a day.
    pub(crate) fn assess(&self, policy: &Policy, today: Day) -> Assessment {
        let view = PersonView {
            standing: self.standing,
            golden: &self.golden(today),
            members: &self.members(),
            conflicting: &self.conflicting,
        };
        crate::assess::assess(&view, policy, today)
    }

    /// What is open on a day, with the embedded policy.
    pub(crate) fn open(&self, today: &str) -> Vec<Finding> {
        self.assess(&Policy::embedded(), day(today)).open
    }

    /// What is open on a day as short text: `never-enrolled employee-pension`, one a line.
    pub(crate) fn says(&self, today: &str) -> String {
        let line = |finding: &Finding| {
            let mut words = vec![finding.rule.as_str()];
            words.extend(finding.scheme.map(Scheme::as_str));
            words.extend(finding.overlap.map(crate::finding::Overlap::as_str));
            words.join(" ")
        };
        self.open(today).iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
