//! The rules of Canbao: pure functions of values, without async and without I/O.
//!
//! `base = f(latest version of every source record, decisions, business date, policy)` (ARCHITECTURE.md, The function). Read in
//! this order: [`record`] and [`facts`] (what a source row says), [`input`] (what stands in a shard's log), [`neighbourhood`]
//! (which records are one person), [`golden`] (what is known of a person), [`policy`] and [`assess`] (what should not be so),
//! [`base`] (all of it as one function), [`engine`] (the same, entry by entry), [`release`] (what subscribers may be told).

pub mod assess;
pub mod base;
pub mod batch;
pub mod citizen_id;
pub mod correction;
pub mod date;
pub mod decision;
pub mod division;
pub mod document;
pub mod employer_code;
pub mod engine;
pub mod epoch;
pub mod facts;
pub mod finding;
pub mod golden;
pub mod horizon;
pub mod ids;
pub mod input;
pub mod limits;
pub mod lives;
pub mod measure;
pub mod name;
pub mod neighbourhood;
pub mod person;
pub mod personal;
pub mod policy;
pub mod population;
pub mod record;
pub mod region;
pub mod release;
pub mod restore;
#[cfg(test)]
mod sample;
pub mod scheme;
pub mod sex;
pub mod shard;
pub mod shard_state;
pub mod source;
mod text;
mod working_days;
