//! The tests of the whole: life stories, random worlds, real servers.
//!
//! [`story`] and [`mod@encode`] read life stories and write them as agencies' connectors would; [`drive`] runs them through the function
//! at once and through shards in any order; [`check`] compares in the words of the stories. [`memory`] is the store in memory,
//! [`registry`] runs the batch of the registry on it, and [`mod@traffic`] is what a broker, a connector and a registry may do to the order
//! of things. Tests that need [`servers`] run [`on_demand`].

pub mod bad_inputs;
pub mod bench;
pub mod check;
pub mod crowd;
pub mod drive;
pub mod encode;
pub mod faults;
pub mod frames;
pub mod fuzz;
pub mod ground;
pub mod kills;
pub mod memory;
pub mod on_demand;
pub mod on_servers;
pub mod policies;
pub mod registry;
pub mod servers;
pub mod shuffles;
pub mod story;
mod topics;
pub mod traffic;
