//! Drives stories: through the function at once, and through shards in the order told or in any other.

use crate::check;
use crate::encode::{Encoded, Message, Step, encode};
use crate::ground::{Rules, go_live, sources};
use crate::registry::Registry;
use crate::story::Story;
use crate::topics::Topics;
use crate::traffic::{Draw, Traffic};
use anyhow::{Context, bail};
use domain::base::{Base, whole};
use domain::date::{Day, Timestamp};
use domain::decision::{Decision, Rulings};
use domain::division::City;
use domain::input::{Control, Input};
use domain::policy::Edition;
use domain::record::Change;
use domain::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The dates on which something happens or is expected, and the day of go-live.
pub fn dates(story: &Story) -> BTreeSet<Day> {
    let decisions = story
        .decisions
        .iter()
        .flat_map(|decision| [Some(decision.on), decision.withdrawn]);
    let events = story.events.iter().map(|event| event.on).chain(decisions.flatten());
    let policies = story.policies.iter().filter_map(|change| change.on);
    events
        .chain(policies)
        .chain(story.expectations.iter().map(|expect| expect.on))
        .chain([go_live()])
        .collect()
}

fn changes(inputs: Vec<Input>) -> impl Iterator<Item = Change> {
    inputs.into_iter().filter_map(|input| {
        if let Input::Change(change) = input {
            Some(change)
        } else {
            None
        }
    })
}

/// A time of a date: stories happen between nine and six.
fn time(day: Day, minute: i64) -> Timestamp {
    Timestamp(day.start_in_shanghai().0 + (9 * 60 + minute) * 60_000)
}

/// The function applied to everything at once, at the end of a date.
///
/// # Errors
/// When the story cannot be encoded.
pub fn at_once(rules: &Rules, encoded: &Encoded, on: Day) -> anyhow::Result<Base> {
    let mut topics = Topics::new(rules);
    let (mut all, mut floors, mut rulings) = (Vec::new(), Vec::new(), Rulings::default());
    let mut policy: Option<Arc<Edition>> = None;
    for (minute, step) in (0..).zip(encoded.steps.iter().filter(|step| step.on() <= on)) {
        match step {
            Step::Publish(message) => all.extend(changes(topics.publish(message, time(message.on, minute)).1.1)),
            Step::Snapshot {
                source,
                table,
                complete: false,
                ..
            } => topics.begin(*source, table),
            Step::Snapshot {
                source,
                table,
                complete: true,
                ..
            } => floors.push(topics.complete(*source, table)?),
            Step::Loaded { source, table, .. } => {
                topics.loaded(*source, table)?;
                floors.extend(topics.settled());
            }
            Step::Silence { .. } => {}
            Step::Decide { decision, .. } => rulings = rulings.with([(decision.id, Some(decision.clone()))]),
            Step::Undecide { decision, .. } => rulings = rulings.with([(*decision, None)]),
            Step::Policy { edition, .. } => policy = Some(Arc::clone(edition)),
        }
    }
    let policy = policy.as_deref().map(Edition::policy);
    Ok(whole(&all, &floors, &rulings, policy, on, &rules.key))
}

/// Checks a story on the function: every expectation at the end of its date.
///
/// # Errors
/// When something differs, with what was expected and what is.
pub fn check_at_once(rules: &Rules, story: &Story) -> anyhow::Result<()> {
    let encoded = encode(story, &rules.dialects, &rules.key)?;
    for expectation in &story.expectations {
        let base = at_once(rules, &encoded, expectation.on)?;
        check::base(story, &encoded, expectation, &base, &rules.key)?;
    }
    Ok(())
}

/// Runs a story through shards in the order told: on each date the tick, then the day's events, then completeness.
///
/// # Errors
/// When an expectation, what was told, or the function says something else.
pub fn check_in_order(rules: &Rules, story: &Story, daily: bool) -> anyhow::Result<()> {
    let encoded = encode(story, &rules.dialects, &rules.key)?;
    let mut dates = dates(story);
    if daily && let (Some(first), Some(last)) = (dates.first().copied(), dates.last().copied()) {
        dates.extend((first.0..=last.0).map(Day));
    }
    let mut topics = Topics::new(rules);
    let mut traffic = Traffic::default();
    let mut registry = Registry::new(rules.key.clone());
    let first = encoded.steps.iter().filter(|step| Some(&step.on()) < dates.first());
    first.for_each(|step| tell_policy(&mut traffic, step, Timestamp(0)));
    let heard = sources().into_iter().chain(story.events.iter().map(|event| event.source));
    let mut complete: BTreeMap<Source, Timestamp> = heard.map(|source| (source, Timestamp(0))).collect();
    let mut silent = BTreeSet::new();
    for day in dates {
        let mut tell_complete = |traffic: &mut Traffic, silent: &BTreeSet<Source>, at: Timestamp| {
            complete
                .iter_mut()
                .filter(|(source, _)| !silent.contains(*source))
                .for_each(|(_, until)| *until = at);
            traffic.tell(
                at,
                Control::Completeness(complete.iter().map(|(source, until)| (*source, *until)).collect()),
            );
        };
        traffic.tell(day.start_in_shanghai(), Control::BusinessDate(day));
        tell_complete(&mut traffic, &silent, Timestamp(day.start_in_shanghai().0 + 1));
        if day == go_live() {
            City::all().for_each(|city| traffic.tell(day.start_in_shanghai(), Control::GoLive(city)));
        }
        traffic.run(&mut registry, None);
        for (minute, step) in (0..).zip(encoded.steps.iter().filter(|step| step.on() == day)) {
            match step {
                Step::Publish(message) => {
                    publish(&mut topics, &mut traffic, message, time(day, minute));
                }
                Step::Loaded { source, table, .. } => {
                    topics.loaded(*source, table)?;
                    settle(&topics, &mut traffic, time(day, minute));
                }
                Step::Snapshot {
                    source,
                    table,
                    complete: false,
                    ..
                } => topics.begin(*source, table),
                Step::Snapshot {
                    source,
                    table,
                    complete: true,
                    ..
                } => {
                    traffic.tell(time(day, minute), Control::Snapshot(topics.complete(*source, table)?));
                }
                Step::Silence { source, heard, .. } => {
                    if *heard {
                        silent.remove(source);
                    } else {
                        silent.insert(*source);
                    }
                }
                Step::Decide { decision, .. } => traffic.tell(time(day, minute), Control::Decide(decision.clone())),
                Step::Undecide { decision, .. } => traffic.tell(time(day, minute), Control::Undecide(*decision)),
                Step::Policy { .. } => tell_policy(&mut traffic, step, time(day, minute)),
            }
            traffic.run(&mut registry, None);
        }
        tell_complete(&mut traffic, &silent, time(day, 9 * 60));
        traffic.run(&mut registry, None);
        same(story, &registry.store.base(), &at_once(rules, &encoded, day)?).with_context(|| format!("on {day}"))?;
        for expectation in story.expectations.iter().filter(|expectation| expectation.on == day) {
            check::base(story, &encoded, expectation, &registry.store.base(), &rules.key)?;
        }
    }
    at_rest(story, &registry)?;
    check::told(story, &encoded, check::told_lines(registry.store.events()), &rules.key)
}

fn at_rest(story: &Story, registry: &Registry) -> anyhow::Result<()> {
    registry.store.check_rest().with_context(|| story.name.clone())?;
    registry.check_promises().with_context(|| story.name.clone())
}

/// Runs a story through shards in an order that a seed draws, connectors that send again included, and compares with the function.
///
/// # Errors
/// When the shards hold something else.
pub fn check_shuffled(rules: &Rules, story: &Story, seed: u64) -> anyhow::Result<()> {
    shuffle(rules, story, seed, Traffic::default()).map(drop)
}

/// The same, and the base is lost and restored many times on the way; says how often.
///
/// # Errors
/// When the shards hold something else.
pub fn check_restored(rules: &Rules, story: &Story, seed: u64) -> anyhow::Result<u32> {
    shuffle(rules, story, seed, Traffic::losing(8)).map(|traffic| traffic.lives())
}

fn shuffle(rules: &Rules, story: &Story, seed: u64, mut traffic: Traffic) -> anyhow::Result<Traffic> {
    let encoded = encode(story, &rules.dialects, &rules.key)?;
    let end = story.end();
    let expected = at_once(rules, &encoded, end)?;
    let mut draw = Draw::new(seed);
    let mut topics = Topics::new(rules);
    let mut registry = Registry::unreliable(rules.key.clone(), seed);
    traffic.tell(go_live().start_in_shanghai(), Control::BusinessDate(go_live()));
    City::all().for_each(|city| traffic.tell(go_live().start_in_shanghai(), Control::GoLive(city)));

    let mut sent: BTreeMap<Source, Vec<Message>> = BTreeMap::new();
    for step in shuffled(&encoded, &mut draw) {
        let now = time(end, 0);
        match step {
            Step::Publish(message) => {
                publish(&mut topics, &mut traffic, message, now);
                sent.entry(message.source).or_default().push(message.clone());
            }
            Step::Snapshot {
                source,
                table,
                complete: false,
                ..
            } => {
                // A connector that begins a snapshot never goes back behind its beginning.
                sent.remove(source);
                topics.begin(*source, table);
            }
            Step::Snapshot {
                source,
                table,
                complete: true,
                ..
            } => {
                traffic.tell(now, Control::Snapshot(topics.complete(*source, table)?));
            }
            Step::Loaded { source, table, .. } => {
                topics.loaded(*source, table)?;
                settle(&topics, &mut traffic, now);
            }
            Step::Silence { .. } => {}
            Step::Decide { decision, .. } => traffic.tell(now, Control::Decide(decision.clone())),
            Step::Undecide { decision, .. } => traffic.tell(now, Control::Undecide(*decision)),
            Step::Policy { .. } => tell_policy(&mut traffic, step, now),
        }
        // A connector that crashed sends some rows again and runs through to the end.
        if let Some(messages) = step_source(step).and_then(|source| sent.get(&source))
            && draw.once_in(6)
        {
            for message in &messages[draw.below(messages.len())..] {
                publish(&mut topics, &mut traffic, message, now);
            }
            // A truncation that it passed again is followed by the same load.
            settle(&topics, &mut traffic, now);
        }
        if draw.once_in(3) {
            traffic.run(&mut registry, Some(&mut draw));
        }
        if draw.once_in(8) {
            let vector = sources().into_iter().map(|source| (source, now)).collect();
            traffic.tell(now, Control::Completeness(vector));
        }
    }
    traffic.tell(end.start_in_shanghai(), Control::BusinessDate(end));
    traffic.run(&mut registry, Some(&mut draw));
    let vector = sources().into_iter().map(|source| (source, time(end, 9 * 60))).collect();
    traffic.tell(time(end, 9 * 60), Control::Completeness(vector));
    traffic.run(&mut registry, Some(&mut draw));
    // Where a base was restored on the way, what a date changed is worked off behind the completeness that its log held.
    let vector = sources().into_iter().map(|source| (source, time(end, 9 * 60))).collect();
    traffic.tell(time(end, 9 * 60), Control::Completeness(vector));
    traffic.run(&mut registry, None);

    at_rest(story, &registry)?;
    same(story, &registry.store.base(), &expected)?;
    Ok(traffic)
}

/// Compares two bases without versions: positions differ when connectors send again.
fn same(story: &Story, found: &Base, expected: &Base) -> anyhow::Result<()> {
    let plain = |base: &Base| {
        let mut base = base.clone();
        for described in base.values_mut() {
            let members = described.persons.iter_mut().flat_map(|person| person.members.iter_mut());
            for member in members.chain(described.away.iter_mut()) {
                let record = Arc::make_mut(&mut member.record);
                record.version = domain::source::Version::default();
                record.appended_at = Timestamp(0);
            }
        }
        base
    };
    let (found, expected) = (plain(found), plain(expected));
    if found != expected {
        bail!(
            "{}: the shards hold something else than the function gives: {}",
            story.name,
            check::outline(&found, &expected)
        );
    }
    Ok(())
}

/// Publishes a message; a truncation is told to every shard.
fn publish(topics: &mut Topics<'_>, traffic: &mut Traffic, message: &Message, at: Timestamp) {
    let (partition, normalised) = topics.publish(message, at);
    traffic.publish(partition, normalised);
    topics.truncated().into_iter().for_each(|control| traffic.tell(at, control));
}

/// Tells what loads that are over did not hold.
fn settle(topics: &Topics<'_>, traffic: &mut Traffic, at: Timestamp) {
    let floors = topics.settled().into_iter();
    floors.for_each(|floor| traffic.tell(at, Control::Snapshot(floor)));
}

fn tell_policy(traffic: &mut Traffic, step: &Step, at: Timestamp) {
    if let Step::Policy { edition, .. } = step {
        traffic.tell(at, Control::Policy(Arc::clone(edition)));
    }
}

fn step_source(step: &Step) -> Option<Source> {
    match step {
        Step::Publish(message) => Some(message.source),
        Step::Snapshot { source, .. } | Step::Loaded { source, .. } | Step::Silence { source, .. } => Some(*source),
        Step::Decide { .. } | Step::Undecide { .. } | Step::Policy { .. } => None,
    }
}

/// The steps of a story with its chains interleaved in a drawn order; each chain keeps its own.
fn shuffled<'a>(encoded: &'a Encoded, draw: &mut Draw) -> Vec<&'a Step> {
    let mut chains: BTreeMap<String, Vec<&Step>> = BTreeMap::new();
    for step in &encoded.steps {
        let chain = match step {
            Step::Publish(message) => message.chain.clone(),
            Step::Snapshot { source, table, .. } | Step::Loaded { source, table, .. } => format!("{source} {table}"),
            Step::Silence { .. } => continue,
            Step::Decide {
                decision: Decision { id, .. },
                ..
            }
            | Step::Undecide { decision: id, .. } => format!("decision {id}"),
            Step::Policy { .. } => "policy".to_owned(),
        };
        chains.entry(chain).or_default().push(step);
    }
    let mut chains: Vec<std::vec::IntoIter<&Step>> = chains.into_values().map(Vec::into_iter).collect();
    let mut order = Vec::new();
    while !chains.is_empty() {
        let at = draw.below(chains.len());
        match chains[at].next() {
            Some(step) => order.push(step),
            None => drop(chains.swap_remove(at)),
        }
    }
    order
}
