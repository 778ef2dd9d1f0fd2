//! Framed messages: a registry that is away is waited for, a schema that is not to be had holds its topic once.

use super::*;
use crate::framed::Fetched;
use std::sync::atomic::{AtomicBool, Ordering};

/// A registry that has `0` behind its back: away, then one that knows ids below 10.
fn registry(away: &Arc<AtomicBool>) -> Frames {
    let away = away.clone();
    Frames::with("http://registry", move |id| {
        if away.load(Ordering::SeqCst) {
            Fetched::Away("nobody listens".to_owned())
        } else if id < 10 {
            Fetched::Schema {
                kind: Some("JSON".to_owned()),
                text: "{}".to_owned(),
            }
        } else {
            Fetched::Unusable("it is not known".to_owned())
        }
    })
}

fn framed(id: u8, value: &str) -> String {
    format!("\0\0\0\0{}{value}", char::from(id))
}

/// Runs the region until `done`, or it ends by itself.
pub(super) async fn run(world: &World, frames: Frames, done: impl Fn() -> bool) -> anyhow::Result<()> {
    let (trigger, shutdown) = Shutdown::manual();
    let shared = Arc::new(Shared::new(
        &world.settings.normaliser,
        Arc::new(classify),
        frames,
        world.tables(),
        shutdown,
    ));
    let (sources, store) = ([world.source], world.dyn_store());
    let room = limits::letter_room(limits::TOPIC_TAKES);
    let regions = start(
        &world.settings,
        &sources,
        &shared,
        &store,
        &world.health,
        Codec::embedded(),
        room,
    )?;
    let request_end = trigger.clone();
    let driven = tokio::spawn(drive(regions, move || request_end.request()));
    let deadline = Instant::now() + PATIENCE;
    while !done() && !driven.is_finished() {
        assert!(Instant::now() < deadline, "not done in time: {:?}", world.health.problems());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    trigger.request();
    driven.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_is_waited_for_and_nothing_is_lost() {
    let world = World::new();
    let mut values = rows(20);
    values[6] = framed(7, "row 6");
    values[9] = framed(8, "row 9");
    world.write(&values);
    let away = Arc::new(AtomicBool::new(true));
    run(&world, registry(&away), || {
        if world
            .health
            .problems()
            .iter()
            .any(|(_, problem)| problem.contains("http://registry, does not answer"))
        {
            away.store(false, Ordering::SeqCst);
        }
        !away.load(Ordering::SeqCst) && world.committed() == 20 && world.health.is_ready()
    })
    .await
    .expect("an orderly end");
    assert_eq!(world.store.held(), None);
    assert_eq!(world.end("human-resources.3201.dlq"), 0);
    assert_eq!(world.applied().0.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_schema_holds_its_topic_and_what_is_accepted_is_diverted_whole() {
    let world = World::new();
    let mut values = rows(20);
    values[6] = framed(11, "row 6");
    world.write(&values);
    let away = Arc::default();
    run(&world, registry(&away), || world.store.held().is_some())
        .await
        .expect("an orderly end");
    let held = world.store.held().expect("held");
    for said in [TABLE, "schema 11", "http://registry", "not known", "canbao source accept"] {
        assert!(held.contains(said), "{held}");
    }
    assert_eq!(world.end("human-resources.3201.dlq"), 0);
    world.store.with(|topics| {
        let topic = topics.get_mut(TABLE).expect("seen");
        (topic.held, topic.tolerated) = (None, vec![10, 10]);
    });
    run(&world, registry(&away), || world.committed() == 20)
        .await
        .expect("an orderly end");
    assert_eq!(world.store.held(), None);
    let letters = world.values("human-resources.3201.dlq", 1);
    let letter: DeadLetter = Codec::embedded().decode(&letters[0].1).expect("a dead letter");
    assert_eq!((letters.len(), letter.error_class.as_str()), (1, "wrong-frame"));
    assert_eq!(letter.value.as_deref(), Some(values[6].as_bytes()));
    assert_eq!(world.applied().0.len(), 19);
}
