//! The rules of Canbao: pure functions of values, without async and without I/O.
//!
//! `base = f(latest version of every source record, decisions, business date, policy)` (design 2). Read in this order:
//! [`record`] and [`facts`] (what a source row says), [`input`] (what stands in a shard's log), [`neighbourhood`] (which records are
//! one person), [`golden`] (what is known of a person), [`policy`] and [`assess`] (what should not be so).

pub mod citizen_id;
pub mod date;
pub mod division;
pub mod document;
pub mod employer_code;
pub mod facts;
pub mod finding;
pub mod ids;
pub mod input;
pub mod name;
pub mod personal;
pub mod record;
pub mod scheme;
pub mod sex;
pub mod shard;
pub mod source;
mod text;
mod working_days;
pub mod assess;
pub mod golden;
pub mod horizon;
pub mod person;
pub mod policy;
pub mod population;
pub mod base;
pub mod engine;
pub mod neighbourhood;
pub mod release;
pub mod shard_state;
#[cfg(test)]
mod sample;
