//! Traffic: from source partitions through the shards' logs into the base, in any order that real servers may produce.
//!
//! Kept, as on servers: the order within a source partition, within a shard's log, and of messages from one shard to another.
//! Everything else is drawn by a seed: who goes next, how much of it, what is sent again, how large a batch is.

use crate::memory::Memory;
use crate::registry::Registry;
use domain::batch::{Entry, Said};
use domain::date::Timestamp;
use domain::input::{Control, Input};
use domain::shard::Shard;
use std::collections::{BTreeMap, BTreeSet};

/// A small random generator (SplitMix64): the same draws for a seed on every machine.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What a normaliser makes of one source message: inputs in order, with the append time of the message.
pub type Normalised = (Timestamp, Vec<Input>);

/// A list that is read on, and sometimes again from an earlier place.
#[derive(Debug, Clone)]
struct Cursor {
    next: usize,
    /// How often it may still go back.
    rewinds: usize,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { next: 0, rewinds: 2 }
    }
}

impl Cursor {
    /// The next stretch of a list of `length`: all of it, or a piece as drawn, perhaps from further back.
    fn advance(&mut self, length: usize, draw: Option<&mut Draw>) -> std::ops::Range<usize> {
        let mut start = self.next;
        let mut end = length;
        if let Some(draw) = draw {
            if self.rewinds > 0 && start > 0 && draw.once_in(4) {
                self.rewinds -= 1;
                start = draw.below(start);
            }
            end = start + 1 + draw.below(length - start);
        }
        self.next = end;
        start..end
    }
}

/// A shard's log, and how far it was read.
#[derive(Debug, Default)]
struct Log {
    entries: Vec<Entry>,
    cursor: Cursor,
    /// Entries that the store refuses for good.
    refused: BTreeSet<i64>,
}

impl Log {
    fn end(&self) -> i64 {
        self.entries.last().map_or(0, |last| last.position + 1)
    }

    fn append(&mut self, shard: Shard, logged_at: Timestamp, input: Input, draw: Option<&mut Draw>) {
        let mut hidden = 0;
        if let Some(draw) = draw {
            // Now and then somebody else writes what cannot be read, or what the store refuses: it must be stepped over.
            match draw.below(100) {
                0 => self.push(shard, logged_at, 0, Said::Unreadable("garbage".to_owned())),
                1 => {
                    self.refused.insert(self.end());
                    self.push(shard, logged_at, 0, Said::Input(input.clone()));
                }
                _ => {}
            }
            // Now and then offsets that nobody can read stand before an entry, such as a transaction's marker.
            if draw.once_in(8) {
                hidden = 1 + draw.below(3);
            }
        }
        self.push(shard, logged_at, hidden as i64, Said::Input(input));
    }

    fn push(&mut self, shard: Shard, logged_at: Timestamp, hidden: i64, said: Said) {
        let follows = self.end();
        self.entries.push(Entry {
            shard,
            position: follows + hidden,
            follows,
            logged_at,
            said,
        });
    }

    /// Goes to an entry of the log.
    fn go_to(&mut self, position: i64) {
        self.cursor.next = self.entries.partition_point(|entry| entry.position < position);
    }
}

/// Traffic on its way into a base.
#[derive(Debug)]
pub struct Traffic {
    /// Source partitions.
    partitions: Vec<(Vec<Normalised>, Cursor)>,
    /// Statements of the clock, the same into every shard.
    controls: Vec<(Timestamp, Control)>,
    /// How far each shard has been sent the controls.
    told: BTreeMap<Shard, Cursor>,
    /// The shards' logs.
    logs: BTreeMap<Shard, Log>,
    /// How far the messages of each pair of shards have been relayed.
    relayed: BTreeMap<(Shard, Shard), Cursor>,
    /// When the last thing happened.
    now: Timestamp,
    backups: Vec<Backup>,
    /// How often the base may still be lost.
    losses: usize,
    /// Lives of the base so far.
    lives: u32,
}

/// A backup of the base, with how far its messages were relayed: what was not waits in its tables.
#[derive(Debug, Clone, Default)]
struct Backup {
    store: Memory,
    relayed: BTreeMap<(Shard, Shard), Cursor>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            partitions: Vec::new(),
            controls: Vec::new(),
            told: Shard::all().map(|shard| (shard, Cursor::default())).collect(),
            logs: Shard::all().map(|shard| (shard, Log::default())).collect(),
            relayed: BTreeMap::new(),
            now: Timestamp(0),
            backups: Vec::new(),
            losses: 2,
            lives: 0,
        }
    }
}

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Read(usize),
    Tell(Shard),
    Relay((Shard, Shard)),
    Apply,
    /// Dates and passes, beside no entries.
    Work,
    /// An operator lets a shard step over the entry that it waits at.
    Skip(Shard),
}

impl Traffic {
    /// Traffic into a base that is lost so often, as far as there is time.
    pub fn losing(losses: usize) -> Self {
        Self {
            losses,
            ..Self::default()
        }
    }

    /// How often the base was restored.
    pub fn lives(&self) -> u32 {
        self.lives
    }

    /// Adds a message to a source partition.
    pub fn publish(&mut self, partition: usize, message: Normalised) {
        while self.partitions.len() <= partition {
            self.partitions.push((Vec::new(), Cursor::default()));
        }
        self.now = self.now.max(message.0);
        self.partitions[partition].0.push(message);
    }

    /// Adds a statement of the clock, for every shard's log.
    pub fn tell(&mut self, at: Timestamp, control: Control) {
        self.now = self.now.max(at);
        self.controls.push((at, control));
    }

    /// Runs until nothing is in flight: everything on its straight way, or as drawn.
    pub fn run(&mut self, registry: &mut Registry, mut draw: Option<&mut Draw>) {
        loop {
            if let Some(draw) = draw.as_deref_mut() {
                self.lose(registry, draw);
            }
            let steps = self.possible(registry);
            match draw.as_deref_mut() {
                _ if steps.is_empty() => break,
                Some(draw) => {
                    let step = *draw.pick(&steps);
                    self.take(step, registry, Some(draw));
                }
                None => steps.into_iter().for_each(|step| self.take(step, registry, None)),
            }
        }
    }

    /// Now and then a backup is made; now and then the base is lost, and one is put back: perhaps the empty one, so that the base is made
    /// anew from its logs. Logs and topics keep what they have.
    fn lose(&mut self, registry: &mut Registry, draw: &mut Draw) {
        if self.backups.len() < 2 && draw.once_in(30) {
            self.backups.push(Backup {
                store: registry.store.clone(),
                relayed: self.relayed.clone(),
            });
        }
        if self.losses > 0 && draw.once_in(60) {
            self.losses -= 1;
            let backup = if self.backups.is_empty() || draw.once_in(4) {
                Backup::default()
            } else {
                draw.pick(&self.backups).clone()
            };
            self.restore(registry, backup, draw);
        }
    }

    fn restore(&mut self, registry: &mut Registry, backup: Backup, draw: &mut Draw) {
        self.lives += 1;
        let ends = self.logs.iter().map(|(shard, log)| (*shard, log.end())).collect();
        // The publisher was not always as far as the base.
        let mut left = std::mem::take(&mut registry.store.left);
        if !left.is_empty() && draw.once_in(2) {
            left.truncate(draw.below(left.len()));
        }
        let stated = std::mem::take(&mut registry.store.skipped);
        let is_anew = Shard::all().all(|shard| backup.store.row(shard).position == 0);
        let mut store = backup.store;
        if is_anew {
            store.make_anew(&registry.store);
        }
        registry.store = store.restored(self.lives, left, &ends, self.now);
        registry.waiting.clear();
        if is_anew {
            // Made anew beside its source log, which has what was stepped over; an older backup has to be told again.
            registry.store.skipped = stated;
        }
        self.relayed = backup.relayed;
        for (shard, log) in &mut self.logs {
            let position = registry.store.row(*shard).position;
            log.go_to(position);
        }
    }

    fn possible(&self, registry: &Registry) -> Vec<Step> {
        let mut steps = Vec::new();
        let unread = self
            .partitions
            .iter()
            .enumerate()
            .filter(|(_, (messages, cursor))| cursor.next < messages.len());
        steps.extend(unread.map(|(partition, _)| Step::Read(partition)));
        let untold = self.told.iter().filter(|(_, cursor)| cursor.next < self.controls.len());
        steps.extend(untold.map(|(shard, _)| Step::Tell(*shard)));
        let unsent = registry
            .store
            .messages
            .iter()
            .filter(|(pair, messages)| self.relayed.get(pair).map_or(0, |cursor| cursor.next) < messages.len());
        steps.extend(unsent.map(|(pair, _)| Step::Relay(*pair)));
        steps.extend(registry.waiting.keys().map(|shard| Step::Skip(*shard)));
        if !registry.at_work().is_empty() {
            steps.push(Step::Work);
        }
        if self.logs.values().any(|log| log.cursor.next < log.entries.len()) {
            // As likely as everything else together, so that batches of one entry happen too.
            steps.extend(std::iter::repeat_n(Step::Apply, steps.len().max(1)));
        }
        steps
    }

    fn take(&mut self, step: Step, registry: &mut Registry, mut draw: Option<&mut Draw>) {
        match step {
            Step::Read(partition) => {
                let (messages, cursor) = &mut self.partitions[partition];
                for (at, inputs) in &messages[cursor.advance(messages.len(), draw.as_deref_mut())] {
                    for input in inputs {
                        let shard = match input {
                            Input::Change(change) => change.shard(),
                            Input::Entity(entity) => entity.shard(),
                            Input::Message(_) | Input::Control(_) => continue,
                        };
                        let log = self.logs.entry(shard).or_default();
                        log.append(shard, *at, input.clone(), draw.as_deref_mut());
                    }
                }
            }
            Step::Tell(shard) => {
                let cursor = self.told.entry(shard).or_default();
                for (at, control) in &self.controls[cursor.advance(self.controls.len(), draw.as_deref_mut())] {
                    let log = self.logs.entry(shard).or_default();
                    log.append(shard, *at, Input::Control(control.clone()), draw.as_deref_mut());
                }
            }
            Step::Relay((from, to)) => {
                let messages = registry.store.messages.get(&(from, to)).map_or(&[][..], Vec::as_slice);
                let cursor = self.relayed.entry((from, to)).or_default();
                for message in &messages[cursor.advance(messages.len(), draw.as_deref_mut())] {
                    let log = self.logs.entry(to).or_default();
                    log.append(to, self.now, Input::Message(message.clone()), draw.as_deref_mut());
                }
            }
            Step::Skip(shard) => {
                let next = registry.skip(shard);
                self.logs.entry(shard).or_default().go_to(next);
            }
            Step::Apply => {
                let refused = |(shard, log): (&Shard, &Log)| log.refused.iter().map(|at| (*shard, *at)).collect::<Vec<_>>();
                registry.refused = self.logs.iter().flat_map(refused).collect();
                let mut batch = Vec::new();
                let whole = draw.is_none();
                for log in self.logs.values_mut().filter(|log| log.cursor.next < log.entries.len()) {
                    if whole || draw.as_deref_mut().is_some_and(|draw| draw.once_in(2)) {
                        let next = log.cursor.advance(log.entries.len(), draw.as_deref_mut());
                        batch.extend_from_slice(&log.entries[next]);
                    }
                }
                let at_work = registry.at_work();
                let beside = draw.and_then(|draw| (!at_work.is_empty() && draw.once_in(2)).then(|| *draw.pick(&at_work)));
                registry.apply(&batch, beside);
            }
            Step::Work => {
                let at_work = registry.at_work();
                match draw {
                    Some(draw) if !at_work.is_empty() => registry.apply(&[], Some(*draw.pick(&at_work))),
                    _ => at_work.into_iter().for_each(|shard| registry.apply(&[], Some(shard))),
                }
            }
        }
    }
}
