//! What the services share: settings, telemetry, health and shutdown; Kafka loops; the dialect engine that reads agencies' rows; and
//! how the base lies in PostgreSQL ([`store`]).
//!
//! A service's `main` is [`service::main`] around its library's `run`.

pub mod config;
pub mod debezium;
pub mod dialect;
pub mod failpoint;
pub mod framed;
pub mod health;
pub mod kafka;
pub mod limits;
pub mod normaliser;
pub mod outbox;
pub mod patience;
pub mod progress;
pub mod schema_ids;
pub mod schema_registry;
pub mod service;
pub mod shutdown;
pub mod statements;
pub mod store;
pub mod telemetry;
