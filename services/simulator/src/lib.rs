//! A synthetic Jiangsu (虚构): invented people, employers and lives, and each agency's imperfect view of them, published to Kafka
//! as Debezium would: a snapshot of every table, then changes at a chosen rate.
//!
//! Nobody here is real. Everything follows from (seed, residents, day): [`world`] makes persons block by block, [`history`] the rows
//! that stand in the agencies' tables before the first change, [`life`] and [`live`] what happens then, [`view`] what agencies get
//! wrong, [`tables`] the columns, [`envelope`] the messages. A source may have a [`database`] instead, which a real connector reads. The truth goes to a file for scoring ([`truth`]).

mod database;
mod dossier;
mod employer;
mod envelope;
mod geography;
mod history;
mod household;
mod json;
mod life;
mod live;
mod names;
mod publish;
mod random;
mod run;
mod sql;
mod tables;
mod truth;
mod view;
mod world;

pub use database::SourceDatabase;
pub use run::{Args, Cities, Recorded, record, run};
pub use sql::System;
pub use view::Rates;
