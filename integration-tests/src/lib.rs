//! The tests of the whole: life stories, random worlds, real servers.
//!
//! [`world`] is the base in memory, run by the code that the registry runs; [`traffic`] brings source messages to it in every order
//! that a broker, a connector and a registry may produce.

pub mod traffic;
pub mod world;
