//! `canbao`, the operators' command.
//!
//! Upstream: the store (read only, but for `migrate` and the statements of operators), the brokers, settings. Downstream: a terminal
//! or a script. State: none. On failure it says what to mend and ends with code 2; code 1 means that it ran and found a difference.
//!
//! [`verify`] is the proof of the one principle (ARCHITECTURE.md, The function): it recomputes the base from the source log with
//! the function the registry uses and compares row by row, then checks the books against the brokers. Everything else is a
//! window: [`alerts`], [`person`], [`lag`], [`dlq`], [`findings`]; or a statement: [`statements`], [`policy`], [`source`], [`passed`], [`skip`], [`register`]. `run` and `simulate` become
//! the binary of that name beside this one.

pub mod alerts;
mod cli;
pub mod configuration;
mod cursor;
pub mod decide;
pub mod dlq;
mod exec;
pub mod findings;
pub mod lag;
mod operator;
pub mod output;
pub mod passed;
pub mod person;
pub mod policy;
pub mod register;
mod reread;
pub mod restore;
pub mod skip;
pub mod source;
pub mod statements;
mod store;
pub mod survey;
mod topics;
pub mod verify;
mod waivers;

pub use cli::main;
