//! One shard's part of a batch.

use super::Loaded;
use crate::date::Timestamp;
use crate::decision::{Decision, Rulings};
use crate::ids::AnchorId;
use crate::input::{Control, Message, MessageBody};
use crate::policy::{Edition, Policy, ReleaseRules};
use crate::shard::Shard;
use crate::shard_state::ShardState;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One shard's part of a workspace.
#[derive(Debug, Clone)]
pub struct ShardWork {
    /// The shard's own state.
    pub state: ShardState,
    /// What its decisions come to.
    pub rulings: Arc<Rulings>,
    /// Decisions made (`None`: withdrawn) in this batch, by number of the statement.
    pub decided: BTreeMap<u64, Option<Decision>>,
    /// The policy in force.
    pub policy: Option<Arc<Edition>>,
    /// Whether it came into force in this batch.
    pub has_adopted: bool,
    /// Neighbourhoods that were loaded.
    pub neighbourhoods: HashMap<AnchorId, Loaded>,
    /// Messages to send, with their receivers, in order.
    pub messages: Vec<(Shard, Message)>,
    /// Findings told elsewhere about persons who came here: neighbourhood, and what they are about.
    pub carried: Vec<(AnchorId, [u8; 2])>,
}

impl ShardWork {
    /// A shard with its state, the rulings of its decisions and the policy in force.
    pub fn new(state: ShardState, rulings: Arc<Rulings>, policy: Option<Arc<Edition>>) -> Self {
        Self {
            state,
            rulings,
            decided: BTreeMap::new(),
            policy,
            has_adopted: false,
            neighbourhoods: HashMap::new(),
            messages: Vec::new(),
            carried: Vec::new(),
        }
    }

    /// Takes in a statement; what follows from it for the whole shard is a pass.
    pub(super) fn accept(&mut self, control: &Control, at: Timestamp) {
        match control {
            Control::BusinessDate(day) => self.state.advance(*day),
            Control::Completeness(vector) => self.state.complete(vector),
            Control::GoLive(city) => self.state.go_live(*city),
            Control::Snapshot(floor) => self.state.raise_floor(floor, at),
            Control::Truncated(truncation) => self.state.truncate(truncation),
            Control::Decide(decision) => drop(self.decided.entry(decision.id).or_insert_with(|| Some(decision.clone()))),
            Control::Undecide(id) => drop(self.decided.insert(*id, None)),
            Control::Policy(edition) => {
                if self.state.adopt_policy(edition.id()) {
                    self.policy = Some(Arc::clone(edition));
                    self.has_adopted = true;
                }
            }
        }
    }

    /// What the policy in force says; before the first one there is none.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_deref().map(Edition::policy)
    }

    /// How it releases alerts.
    pub fn release_rules(&self) -> Option<&ReleaseRules> {
        self.policy().map(|policy| &policy.release)
    }

    pub(super) fn send(&mut self, from: Shard, to: Shard, body: MessageBody) {
        let sequence = self.state.next_sequence();
        let life = self.state.lives.present();
        let message = Message {
            from,
            life,
            sequence,
            body,
        };
        self.messages.push((to, message));
    }
}
