//! The tests of the whole: life stories, random worlds, real servers.
//!
//! [`story`] and [`mod@encode`] read life stories and write them as agencies' connectors would; [`drive`] runs them through the function
//! at once and through shards in any order; [`check`] compares in the words of the stories. [`world`] is the base in memory, run by
//! the code that the registry runs, [`traffic`] what a broker, a connector and a registry may do to the order of things, and
//! [`registry`] adds persons and what subscribers are told.

pub mod bench;
pub mod check;
pub mod drive;
pub mod encode;
pub mod faults;
pub mod kills;
pub mod on_servers;
pub mod registry;
pub mod servers;
pub mod shuffles;
pub mod story;
mod topics;
pub mod traffic;
pub mod world;
