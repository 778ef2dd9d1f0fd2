//! What floors would remove: counted in the base before anybody lets them.

use super::read::{self, ReadError};
use crate::dialect::Kind;
use domain::input::SnapshotFloor;
use domain::record::SourceRecord;
use domain::shard::{SHARDS, Shard};
use sqlx::PgPool;

/// Rows of a table by which its share is known well enough: shards follow from birth dates, which a load knows nothing of, so that each is a
/// fair sample.
const ENOUGH: u64 = 20_000;
/// Neighbourhoods that are read at once.
const SLICE: usize = 2000;

/// What a floor would remove, as far as shards were looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Rows of its table.
    pub rows: u64,
    /// Those that it would remove.
    pub removed: u64,
    /// Shards looked through.
    pub shards: u8,
}

impl Weight {
    fn add(&mut self, floor: &SnapshotFloor, kind: Kind, record: &SourceRecord) {
        let of_table = floor.source == record.source && floor.table == record.table;
        // What the images of a register's row stated is no row.
        let is_row = kind == Kind::NumberCorrection || !record.is_statement();
        if of_table && is_row {
            self.rows += 1;
            self.removed += u64::from(floor.retires(&record.version));
        }
    }

    /// Whether all shards were looked through, so that the numbers are exact.
    pub fn is_whole(self) -> bool {
        self.shards >= SHARDS
    }

    /// Rows of its table, and those that it would remove, in all shards.
    pub fn of_all(self) -> (u64, u64) {
        let of_all = |counted: u64| counted * u64::from(SHARDS) / u64::from(self.shards.max(1));
        (of_all(self.rows), of_all(self.removed))
    }
}

/// Looks through shards until enough rows of the table of every floor were seen, slice by slice beside live traffic: a record that moves
/// meanwhile may be missed or seen twice. `kind` is of the floor's table.
///
/// # Errors
/// When the store cannot be read.
pub async fn weigh(pool: &PgPool, floors: &[(&SnapshotFloor, Kind)]) -> Result<Vec<Weight>, ReadError> {
    let mut weights = vec![Weight::default(); floors.len()];
    for shard in Shard::all() {
        if weights.iter().all(|weight| weight.rows >= ENOUGH) {
            break;
        }
        let mut after = None;
        loop {
            let mut connection = pool.acquire().await?;
            let (rows, last) = read::slice(&mut connection, shard, after, SLICE).await?;
            for member in rows.iter().flat_map(|row| &row.members).filter(|member| !member.is_guest()) {
                for ((floor, kind), weight) in floors.iter().zip(&mut weights) {
                    weight.add(floor, *kind, &member.record);
                }
            }
            after = last;
            if after.is_none() {
                break;
            }
        }
        for weight in &mut weights {
            weight.shards += 1;
        }
    }
    Ok(weights)
}
