//! One micro-batch, once and pure: the entries of some shards' logs, and everything that is written because of them.
//!
//! A [`Batch`] is asked for its [next step](Batch::proceed): it answers with what it must be given, or with all [`Effects`] at once. Whoever
//! runs it gives what it needs and writes the effects in one transaction; the registry does so with PostgreSQL, the tests with maps, and
//! with a store that fails before or after its commit. What was not committed left no trace; what was lies below the position and is
//! skipped, so a batch may be repeated whatever became of it.
//!
//! Steps: lock and compare positions; load; apply; take up decisions; work off what is due, or a slice of a pass; settle
//! guests; describe the touched neighbourhoods; carry over, release; raise positions.

mod announce;
mod apply;
mod ask;
mod behind;
mod carry;
mod crowd;
mod difference;
mod effects;
mod entry;
mod halving;
mod refused;
mod stored;

pub use ask::{Given, Need, Pending, PendingKey, PersonKey, ShardRow};
pub use crowd::{MOST_IN_ROW, MemberRows, PutMember, are_apart};
pub use difference::{Difference, Put, PutAway, PutEnrolment};
pub use effects::{Effects, Publication, Telling};
pub use entry::{Entry, Said};
pub use halving::Halving;
pub use refused::Refused;
pub use stored::{AWAY, StoredPerson, published};

use crate::date::Timestamp;
use crate::decision::Rulings;
use crate::engine::{Outcome, Workspace};
use crate::finding::About;
use crate::ids::{AnchorId, IdKey, RecordId};
use crate::neighbourhood::Member;
use crate::policy::{Edition, PolicyId};
use crate::release::{Told, facts_at_start_of};
use crate::shard::Shard;
use crate::source::Version;
use announce::Desk;
use behind::Behind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A neighbourhood of a shard.
pub type Place = (Shard, AnchorId);

/// What a batch is to do.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The shards it may change: those of its entries, and those below.
    pub shards: BTreeSet<Shard>,
    /// Entries, in order of position per shard.
    pub entries: Vec<Entry>,
    /// Shards in which persons whose date has come are worked off.
    pub due: BTreeSet<Shard>,
    /// A shard in which a slice of its oldest pass is done, once nobody there is due.
    pub pass: Option<Shard>,
    /// How many neighbourhoods each of these takes at most, so that live traffic is never far behind.
    pub slice: usize,
}

/// What a batch answers.
#[derive(Debug)]
pub enum Asked {
    /// It must be given this first.
    Need(Need),
    /// It is done, and this is to be written.
    Done(Box<Effects>),
}

/// What a step of a batch comes to.
enum Step {
    /// Go on here.
    Go(Phase),
    /// Ask for this, then go on there.
    Ask(Need, Phase),
    /// Done.
    Done(Box<Effects>),
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Lock,
    Rulings,
    Policies,
    Open,
    Sent,
    Seats,
    Directory,
    Moved,
    Employers,
    Apply,
    Rule,
    Reached,
    Due,
    DueGiven,
    Pass,
    SliceGiven,
    Settle,
    Pending,
    Told,
    Carried,
    Rows,
    Tell,
    Finish,
}

/// A batch on its way from its order to its effects.
#[derive(Debug)]
pub struct Batch {
    key: IdKey,
    order: Order,
    phase: Phase,
    /// What was asked last and not yet given.
    asked: Option<Need>,
    shards: BTreeMap<Shard, ShardRow>,
    rulings: BTreeMap<Shard, Arc<Rulings>>,
    policies: BTreeMap<PolicyId, Arc<Edition>>,
    workspace: Workspace,
    /// The rows behind the workspace's neighbourhoods, as they were.
    rows: BTreeMap<Place, Vec<StoredPerson>>,
    employers: BTreeMap<RecordId, Version>,
    /// Entries that the base does not have yet, by place in the order.
    fresh: Vec<usize>,
    /// How many of them were applied.
    applied: usize,
    outcomes: Vec<(usize, Option<Outcome>)>,
    /// How many messages the shards have sent that entries come from.
    sent: BTreeMap<Shard, u64>,
    /// Shards whose date rose.
    ticked: BTreeSet<Shard>,
    /// Shards that learned of completeness: differences may be told.
    complete: BTreeSet<Shard>,
    behind: Behind,
    differences: Vec<Difference>,
    /// Where each touched neighbourhood is among the differences.
    touched: BTreeMap<Place, usize>,
    desk: Desk,
}

impl Batch {
    /// A batch that has not begun; `key` is that of the identifiers.
    pub fn new(order: Order, key: IdKey) -> Self {
        Self {
            key,
            order,
            phase: Phase::Lock,
            asked: None,
            shards: BTreeMap::new(),
            rulings: BTreeMap::new(),
            policies: BTreeMap::new(),
            workspace: Workspace::default(),
            rows: BTreeMap::new(),
            employers: BTreeMap::new(),
            fresh: Vec::new(),
            applied: 0,
            outcomes: Vec::new(),
            sent: BTreeMap::new(),
            ticked: BTreeSet::new(),
            complete: BTreeSet::new(),
            behind: Behind::default(),
            differences: Vec::new(),
            touched: BTreeMap::new(),
            desk: Desk::default(),
        }
    }

    /// Goes on until something must be given, or all is done. What it asks for must be [`given`](Self::give) before it is called again.
    ///
    /// # Errors
    /// See [`Refused`]: the batch must not be written.
    pub fn proceed(&mut self) -> Result<Asked, Refused> {
        loop {
            let step = match self.phase {
                Phase::Lock => Step::Ask(Need::Shards(self.order.shards.clone()), Phase::Rulings),
                Phase::Rulings => {
                    let digests = self.shards.iter().map(|(shard, row)| (*shard, row.state.decisions));
                    Step::Ask(Need::Rulings(digests.collect()), Phase::Policies)
                }
                Phase::Policies => {
                    let policies = self.shards.values().filter_map(|row| row.state.policy);
                    Step::Ask(Need::Policies(policies.collect()), Phase::Open)
                }
                Phase::Open => self.open()?,
                Phase::Sent => self.compare_sent()?,
                Phase::Seats => self.seats(),
                Phase::Directory => self.seek_directory(),
                Phase::Moved => self.moved(),
                Phase::Employers => self.seek_employers(),
                Phase::Apply => self.apply(),
                Phase::Rule => self.rule(),
                Phase::Reached => self.reached(),
                Phase::Due => self.due(),
                Phase::DueGiven => self.due_given(),
                Phase::Pass => self.pass(),
                Phase::SliceGiven => self.slice_given(),
                Phase::Settle => self.settle(),
                Phase::Pending => self.seek_pending(),
                Phase::Told => self.seek_told(),
                Phase::Carried => self.seek_carried(),
                Phase::Rows => self.seek_rows(),
                Phase::Tell => self.tell_all(),
                Phase::Finish => Step::Done(Box::new(self.finish())),
            };
            match step {
                Step::Go(phase) => self.phase = phase,
                Step::Ask(need, phase) => {
                    self.phase = phase;
                    if need.is_empty() {
                        continue;
                    }
                    self.asked = Some(need.clone());
                    return Ok(Asked::Need(need));
                }
                Step::Done(effects) => return Ok(Asked::Done(effects)),
            }
        }
    }

    /// Gives what was asked for.
    ///
    /// # Panics
    /// When it is no answer to that.
    pub fn give(&mut self, given: Given) {
        match (self.asked.take(), given) {
            (Some(Need::Shards(_)), Given::Shards(shards)) => self.shards = shards,
            (Some(Need::Rulings(_)), Given::Rulings(rulings)) => self.rulings = rulings,
            (Some(Need::Policies(_)), Given::Policies(policies)) => self.policies = policies,
            (Some(Need::Sent(_)), Given::Sent(sent)) => self.sent.extend(sent),
            (Some(Need::Neighbourhoods(places)), Given::Neighbourhoods(rows)) => self.take_rows(places, rows),
            (Some(Need::Directory(wanted)), Given::Directory(entries)) => {
                for (record, entry) in entries {
                    self.workspace.give_directory(record, Some(entry));
                }
                for record in wanted {
                    self.workspace.give_directory(record, None);
                }
            }
            (Some(Need::Employers(_)), Given::Employers(versions)) => self.employers.extend(versions),
            (Some(Need::Holding(shard, _)), Given::Holding(anchors)) => self.behind.reach(shard, anchors),
            (Some(Need::Due(shard, ..)), Given::Due(anchors, more)) => self.behind.due(shard, anchors, more),
            (Some(Need::Slice(shard, ..)), Given::Slice(rows, last)) => {
                let places: BTreeSet<Place> = rows.iter().map(|row| (shard, row.anchor)).collect();
                self.behind.slice(places.clone(), last);
                self.take_rows(places, rows);
            }
            (Some(Need::Pending(..)), Given::Pending(pending)) => self.desk.pending.extend(pending),
            (Some(Need::Told(_)), Given::Told(told)) => self.desk.know(told),
            (Some(Need::Carried(_)), Given::Carried(carried)) => self.desk.arrived.extend(carried),
            (asked, _) => panic!(
                "a batch was given something else than it asked for: {:?}",
                asked.map(|need| need.name())
            ),
        }
    }

    /// What it was to do.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Takes whole neighbourhoods; those that are here already stay as they are.
    fn take_rows(&mut self, places: BTreeSet<Place>, rows: Vec<StoredPerson>) {
        let mut found: BTreeMap<Place, Vec<StoredPerson>> = places.into_iter().map(|place| (place, Vec::new())).collect();
        for row in rows {
            found.entry((row.shard, row.anchor)).or_default().push(row);
        }
        for (place, mut rows) in found {
            if self.rows.contains_key(&place) {
                continue;
            }
            let mut members: Vec<Member> = rows.iter().flat_map(|row| row.members.iter().cloned()).collect();
            members.sort_by_key(Member::slot);
            self.workspace.give_neighbourhood(place.0, place.1, members);
            rows.sort_unstable_by_key(|row| row.person);
            self.rows.insert(place, rows);
        }
    }

    /// Asks for neighbourhoods that are not here yet.
    fn ask_rows(&self, places: impl IntoIterator<Item = Place>, then: Phase) -> Step {
        let missing = places.into_iter().filter(|place| !self.rows.contains_key(place)).collect();
        Step::Ask(Need::Neighbourhoods(missing), then)
    }

    /// The time of the batch: when the broker appended its newest entry, or when the date began that it works off.
    fn now(&self) -> Timestamp {
        let dates = self
            .workspace
            .shards
            .values()
            .map(|work| facts_at_start_of(work.state.business_date()));
        let entries = self.order.entries.iter().map(|entry| entry.logged_at);
        entries.chain(dates).max().unwrap_or(Timestamp(0))
    }

    /// What became of everything, to be written together.
    fn finish(&mut self) -> Effects {
        let mut effects = std::mem::take(&mut self.desk).effects();
        let workspace = std::mem::take(&mut self.workspace);
        effects.directory = workspace
            .claimed
            .iter()
            .map(|(record, entry)| (*record, (*entry, workspace.is_new(record))))
            .collect();
        effects.strays = workspace.strays;
        for (shard, work) in workspace.shards {
            let decided = work.decided.into_iter().map(|(id, decision)| (shard, id, decision));
            effects.decisions.extend(decided);
            let adopted = work.policy.filter(|_| work.has_adopted);
            effects.policies.extend(adopted.map(|edition| (edition.id(), edition)));
            for (anchor, loaded) in work.neighbourhoods.iter().filter(|(_, loaded)| loaded.touched.is_some()) {
                let (before, now) = (guests(&loaded.before), guests(&loaded.members));
                let come = now.difference(&before).map(|record| ((shard, *record, *anchor), true));
                let left = before.difference(&now).map(|record| ((shard, *record, *anchor), false));
                effects.guests.extend(come.chain(left));
            }
            effects.messages.extend(work.messages);
            let row = self.shards.get_mut(&shard).expect("a shard of the batch was given");
            if row.state.passes != work.state.passes {
                effects.passes.insert(shard, work.state.passes.clone());
            }
            row.state = work.state;
        }
        effects.shards = std::mem::take(&mut self.shards);
        effects.differences = std::mem::take(&mut self.differences);
        effects.employers = self.newest_employers();
        effects.outcomes = std::mem::take(&mut self.outcomes);
        effects.still_due = std::mem::take(&mut self.behind.still_due);
        effects.still_due.extend(&self.ticked);
        effects
    }
}

fn guests(members: &[Member]) -> BTreeSet<RecordId> {
    let guests = members.iter().filter(|member| member.is_guest());
    guests.map(|member| member.record.id).collect()
}

/// Findings of a person that subscribers know of.
type Known = Vec<Told>;

/// What a rule is about, by its code: the first byte of what a finding is about.
fn rule_code(about: About) -> u8 {
    about[0]
}
