//! A base that is put back again and again, through the batch of the registry; and one that is put back without a word.

use domain::batch::{Asked, Batch, Entry, Order, Refused, Said};
use domain::date::Timestamp;
use domain::ids::{AnchorId, IdKey};
use domain::input::{Input, Message, MessageBody};
use domain::shard::Shard;
use integration_tests::drive::check_restored;
use integration_tests::ground::Rules;
use integration_tests::memory::Memory;
use integration_tests::story::all;

/// Orders of arrival tried for each story; `RESTORE_SEEDS` asks for more.
fn seeds() -> u64 {
    let asked = std::env::var("RESTORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    asked.unwrap_or(20)
}

/// Whatever is lost whenever, and whichever backup is put back: the base is what the function gives, each record has one home copy, and what
/// subscribers were told over all lives is dense, alternates, and is what is open.
#[test]
fn stories_survive_any_number_of_restores() {
    let rules = Rules::load().expect("the dialects of the services");
    let stories = all().expect("stories that can be read");
    let (mut restores, mut failures) = (0, Vec::new());
    for story in &stories {
        for seed in 0..seeds() {
            match check_restored(&rules, story, seed) {
                Ok(count) => restores += u64::from(count),
                Err(error) => failures.push(format!("seed {seed}: {error:#}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    assert!(restores > seeds() * stories.len() as u64, "{restores} restores are too few");
}

/// A batch of one message that an empty base has in its log and never sent.
fn refused(life: u32) -> Refused {
    let (shard, from) = (Shard::new(1).expect("a shard"), Shard::new(2).expect("a shard"));
    let entry = Entry {
        shard,
        position: 0,
        follows: 0,
        logged_at: Timestamp(0),
        said: Said::Input(Input::Message(Message {
            from,
            life,
            sequence: 0,
            body: MessageBody::Carry {
                to: AnchorId([7; 16]),
                about: Vec::new(),
            },
        })),
    };
    let order = Order {
        shards: [shard].into(),
        entries: vec![entry],
        ..Order::default()
    };
    let store = Memory::default();
    let mut batch = Batch::new(order, IdKey::new(1, &[42; 32]));
    loop {
        match batch.proceed() {
            Ok(Asked::Need(need)) => batch.give(store.give(need)),
            Ok(Asked::Done(_)) => panic!("the base takes a message that it never sent"),
            Err(refused) => return refused,
        }
    }
}

#[test]
fn a_base_behind_its_own_messages_is_refused_with_the_command_to_run() {
    for life in [0, 3] {
        let refused = refused(life);
        assert!(matches!(refused, Refused::Behind { .. }), "{refused}");
        assert!(refused.to_string().contains("`canbao restore`"), "{refused}");
    }
}
