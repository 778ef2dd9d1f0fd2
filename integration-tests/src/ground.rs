//! What every run of the tests rests on: dialects, policy, key, sources in scope, and when regions go live.

use crate::policies;
use domain::date::Day;
use domain::ids::IdKey;
use domain::policy::{Edition, Policy};
use domain::source::Source;
use runtime::dialect::Dialects;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// From here on every region is announced; what stories tell before it is the load of the base.
pub const GO_LIVE: &str = "2025-03-01";

/// What every run needs: the dialects of the services, the policy of the crate, a key.
#[derive(Debug)]
pub struct Rules {
    /// The default dialects.
    pub dialects: Dialects,
    /// The embedded policy.
    pub policy: Arc<Edition>,
    /// A key for tests.
    pub key: IdKey,
}

impl Rules {
    /// Loads them.
    ///
    /// # Errors
    /// When a dialect file cannot be used.
    pub fn load() -> anyhow::Result<Self> {
        Ok(Self {
            dialects: Dialects::load(&dialect_folders())?,
            policy: policies::embedded(),
            key: IdKey::new(1, &[42; 32]),
        })
    }
}

/// Where the dialects are that the services carry.
pub fn dialect_folders() -> [PathBuf; 3] {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
    ["public-security", "civil-affairs", "human-resources"].map(|service| services.join(service).join("dialects"))
}

/// The day everything goes live.
///
/// # Panics
/// Never: the constant is a date.
pub fn go_live() -> Day {
    GO_LIVE.parse().expect("a date")
}

/// Every source in scope: three agencies in thirteen cities, human resources at the provincial level too.
pub fn sources() -> Vec<Source> {
    Policy::embedded().scope()
}
