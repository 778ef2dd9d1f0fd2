//! A person as the store keeps them, as far as the next version of their row depends on it.

use super::crowd::are_apart;
use crate::base::Person;
use crate::citizen_id::CitizenId;
use crate::date::Day;
use crate::division::City;
use crate::finding::Finding;
use crate::ids::{AnchorId, FindingId, IdKey, PersonId};
use crate::measure;
use crate::neighbourhood::Member;
use crate::person::Standing;
use crate::shard::Shard;

/// The person id of a row that holds members whose person lives elsewhere.
pub const AWAY: PersonId = PersonId([0; 16]);

/// A person's row as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPerson {
    /// The shard.
    pub shard: Shard,
    /// The neighbourhood.
    pub anchor: AnchorId,
    /// The person, or [`AWAY`].
    pub person: PersonId,
    /// How they stand to their number; `None` for [`AWAY`].
    pub standing: Option<Standing>,
    /// The number, for its holder.
    pub number: Option<CitizenId>,
    /// Numbers that were theirs before.
    pub former_numbers: Vec<CitizenId>,
    /// Where they count.
    pub region: Option<City>,
    /// County they are counted in, see [`measure::county`].
    pub county: i32,
    /// What they count as, see [`measure::flags`].
    pub flags: i16,
    /// Next date on which findings may change by themselves.
    pub due: Option<Day>,
    /// Open findings.
    pub findings: Vec<Finding>,
    /// Digest of the state in `person.registry`, see [`published`].
    pub published: i64,
    /// Members of this row, in the order of their slots.
    pub members: Vec<Member>,
    /// Whether they are rows of their own, see [`are_apart`].
    pub apart: bool,
}

impl StoredPerson {
    /// The row of a person.
    pub fn of(shard: Shard, person: Person, published: i64) -> Self {
        Self {
            shard,
            anchor: person.anchor,
            person: person.id,
            standing: Some(person.standing),
            county: measure::county(&person),
            flags: measure::flags(&person),
            number: person.number,
            former_numbers: person.former_numbers,
            region: person.region,
            due: person.next_due,
            findings: person.findings,
            published,
            apart: are_apart(&person.members),
            members: person.members,
        }
    }

    /// The row of members whose person lives elsewhere.
    pub fn away(shard: Shard, anchor: AnchorId, members: Vec<Member>) -> Self {
        Self {
            shard,
            anchor,
            person: AWAY,
            standing: None,
            number: None,
            former_numbers: Vec::new(),
            region: None,
            county: 0,
            flags: 0,
            due: None,
            findings: Vec::new(),
            published: 0,
            apart: are_apart(&members),
            members,
        }
    }

    /// The row of somebody of whom `person.registry` has a state and the base knows nothing: gone, as soon as the neighbourhood is described.
    pub fn unknown(shard: Shard, anchor: AnchorId, person: PersonId) -> Self {
        Self {
            person,
            ..Self::away(shard, anchor, Vec::new())
        }
    }

    /// Whether this is the row of `person` to the last column: what of it is not compared follows from the members on any date before
    /// the row is due.
    pub(super) fn is_of(&self, person: &Person, published: i64, today: Day) -> bool {
        self.due.is_none_or(|due| due > today)
            && self.due == person.next_due
            && self.published == published
            && self.standing == Some(person.standing)
            && self.number == person.number
            && self.region == person.region
            && self.former_numbers == person.former_numbers
            && self.findings == person.findings
            && self.members == person.members
            && self.apart == are_apart(&person.members)
            && self.flags == measure::flags(person)
            && self.county == measure::county(person)
    }
}

/// The digest of what `person.registry` says of a person: tells equal from changed, is no secret.
pub fn published(person: &Person, key: &IdKey) -> i64 {
    let (said, further) = person.published_enrolments();
    let enrolments: Vec<_> = said
        .iter()
        .map(|(_, enrolment)| (enrolment.scheme, enrolment.place, enrolment.status, enrolment.paid_through))
        .collect();
    let open: Vec<FindingId> = person
        .findings
        .iter()
        .map(|finding| finding.id(person.id, person.anchor, key))
        .collect();
    let said = (
        (person.id, person.number, person.standing, person.golden.death.is_none()),
        (person.region, measure::county(person)),
        enrolments,
        open,
    );
    let mut bytes = postcard::to_stdvec(&said).expect("values of the domain serialise");
    if further > 0 {
        bytes.extend(further.to_be_bytes());
    }
    // FNV-1a, 64 bits.
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    }) as i64
}
