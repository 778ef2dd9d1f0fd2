//! Placeholder.
pub mod debezium;
pub mod dialect;
pub mod config;
pub mod health;
pub mod kafka;
pub mod schema_ids;
pub mod schema_registry;
pub mod service;
pub mod shutdown;
pub mod statements;
pub mod telemetry;
pub mod outbox;
pub mod store;
pub mod normaliser;
