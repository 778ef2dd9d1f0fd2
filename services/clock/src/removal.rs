//! Floors are weighed before they are sent: one that would remove too much of a table is held until somebody confirms it.
//!
//! A load that broke off looks like a source that has deleted nearly everybody, and only the source's people know which it is.

use crate::Shared;
use crate::pass::{Next, Pass};
use crate::store::OpenFloor;
use domain::input::SnapshotFloor;
use domain::policy::Policy;
use runtime::dialect::Kind;
use runtime::health::Check;
use runtime::shutdown::Shutdown;
use runtime::store::weight::Weight;
use std::time::Duration;

/// How often floors are looked for, and positions while one is to be weighed.
const LOOK: Duration = Duration::from_millis(200);

/// What a floor may remove without being confirmed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unasked {
    /// Share of the table's rows.
    pub share: f64,
    /// Rows, whatever their share.
    pub rows: u64,
}

impl Unasked {
    /// As a policy says.
    pub fn of(policy: &Policy) -> Self {
        Self {
            share: policy.release.removed_share,
            rows: policy.release.removed_rows,
        }
    }
}

/// Why a floor of this weight is held, with the command that confirms it; `None` when it may go unasked.
pub fn held(weight: Weight, floor: &SnapshotFloor, unasked: Unasked) -> Option<String> {
    let (rows, removed) = weight.of_all();
    let share = weight.removed as f64 / weight.rows.max(1) as f64;
    (share > unasked.share && removed > unasked.rows).then(|| {
        let about = if weight.is_whole() { "" } else { "about " };
        let (source, table) = (floor.source, floor.table.as_str());
        format!(
            "{about}{removed} of {about}{rows} rows of {source}.{table} were not loaded again or not in the last full snapshot, {:.0} % \
             where the policy lets {:.0} % go unasked: they stand. If the source has deleted them, run `canbao source confirm-removal \
             {source} {table} --why TEXT`; if its load broke off, let it load the table again, or the connector take a full snapshot",
            share * 100.0,
            unasked.share * 100.0
        )
    })
}

/// Runs until shutdown. Readiness says what is held.
pub(crate) async fn run(shared: Shared, check: Check, mut shutdown: Shutdown) -> anyhow::Result<()> {
    let mut weighing = None;
    while !shutdown.sleep(LOOK).await {
        if let Err(error) = step(&shared, &check, &mut weighing).await {
            tracing::warn!(error = format!("{error:#}"), "floors wait for a server");
        }
    }
    Ok(())
}

/// Floors that were there when a pass began: when it is done, everything that was loaded before them is in the base.
struct Weighing {
    floors: Vec<i64>,
    pass: Pass,
}

async fn step(shared: &Shared, check: &Check, weighing: &mut Option<Weighing>) -> anyhow::Result<()> {
    let open = shared.store.open_floors().await?;
    let mut held = open.iter().filter_map(|floor| floor.held.as_deref());
    match held.next() {
        None => check.pass(),
        Some(first) => check.fail(match held.count() {
            0 => first.to_owned(),
            more => format!("{first}; and {more} more"),
        }),
    }
    let new: Vec<&OpenFloor> = open.iter().filter(|floor| floor.held.is_none()).collect();
    if new.is_empty() {
        *weighing = None;
        return Ok(());
    }
    let under_way = if let Some(under_way) = weighing {
        under_way
    } else {
        let ends = shared.ends.of_person_records().await?;
        weighing.insert(Weighing {
            floors: new.iter().map(|floor| floor.id).collect(),
            pass: Pass::begin(Vec::new(), ends, shared.settings.clock.hops),
        })
    };
    loop {
        match under_way.pass.observe(&shared.store.shards().await?) {
            Next::Wait => return Ok(()),
            Next::NoteEnds => under_way.pass.ends(shared.ends.of_person_records().await?),
            Next::Done => break,
        }
    }
    let weighed: Vec<&OpenFloor> = new.into_iter().filter(|floor| under_way.floors.contains(&floor.id)).collect();
    let weights = weigh(shared, &weighed).await?;
    for (floor, weight) in weighed.iter().zip(weights) {
        decide(shared, &open, floor, weight).await?;
    }
    *weighing = None;
    Ok(())
}

/// Looks through shards until enough rows of every table were seen.
async fn weigh(shared: &Shared, floors: &[&OpenFloor]) -> anyhow::Result<Vec<Weight>> {
    let kind = |floor: &SnapshotFloor| {
        let table = shared.dialects.find(floor.source, floor.table.as_str());
        table.map_or(Kind::Completeness, |table| table.kind)
    };
    let of: Vec<(&SnapshotFloor, Kind)> = floors.iter().map(|open| (&open.floor, kind(&open.floor))).collect();
    Ok(shared.store.weigh(&of).await?)
}

/// Lets a floor be sent, or holds it. Of what was held before of its table, nothing is left where it says as much.
async fn decide(shared: &Shared, open: &[OpenFloor], floor: &OpenFloor, weight: Weight) -> anyhow::Result<()> {
    let store = &shared.store;
    let (source, table) = (floor.floor.source, &floor.floor.table);
    let held = held(weight, &floor.floor, shared.removal);
    for before in open.iter().filter(|before| before.held.is_some() && before.id < floor.id) {
        let of_table = (before.floor.source, &before.floor.table) == (source, table);
        if of_table && floor.floor.join(&before.floor) == floor.floor {
            store.refuse(before.id, "a later floor of the table took its place").await?;
            store.keep_rows_of(source, table, None).await?;
        }
    }
    if let Some(why) = &held {
        tracing::error!(%source, table = table.as_str(), why, "rows are not removed before that is confirmed");
        store.keep_rows_of(source, table, Some(why)).await?;
    }
    Ok(store.weighed(floor.id, held.as_deref()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::shard::SHARDS;
    use domain::source::TableName;

    const UNASKED: Unasked = Unasked { share: 0.1, rows: 100 };

    fn floor() -> SnapshotFloor {
        SnapshotFloor {
            source: "human-resources.3201".parse().expect("a source"),
            table: TableName::new("ac02"),
            epoch: 0,
            offsets: vec![7],
        }
    }

    #[test]
    fn many_rows_that_are_a_large_share_are_held() {
        let held = |rows, removed, shards| held(Weight { rows, removed, shards }, &floor(), UNASKED).is_some();
        assert!(held(1000, 101, SHARDS));
        assert!(!held(1000, 100, SHARDS), "no more rows than go unasked");
        assert!(!held(2000, 200, SHARDS), "no more than the share");
        assert!(!held(0, 0, SHARDS));
        assert!(held(1000, 1000, SHARDS));
        // Of a sample the share is that of all, and the rows are so many times more.
        assert!(held(20_000, 2001, 1) && !held(20_000, 2000, 1));
        assert!(held(40, 12, SHARDS / 10));
    }

    #[test]
    fn what_is_held_says_how_much_and_what_to_do() {
        let weight = |shards| Weight {
            rows: 1000,
            removed: 250,
            shards,
        };
        let said = held(weight(SHARDS), &floor(), UNASKED).expect("held");
        for part in [
            "250 of 1000 rows of human-resources.3201.ac02",
            "25 %",
            "10 % go unasked",
            "`canbao source confirm-removal human-resources.3201 ac02 --why TEXT`",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let said = held(weight(32), &floor(), UNASKED).expect("held");
        assert!(said.starts_with("about 500 of about 2000 rows"), "{said}");
    }
}
