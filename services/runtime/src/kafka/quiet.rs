//! A client context that does not report the end of a partition as an error.

use super::trouble::is_transient;
use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// For consumers with `enable.partition.eof`: they ask for the end, so it is no error and belongs in no log.
#[derive(Debug, Clone, Copy, Default)]
pub struct QuietEnd;

impl ClientContext for QuietEnd {
    fn error(&self, error: KafkaError, reason: &str) {
        match error {
            error if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) => (),
            error if is_transient(&error) => tracing::warn!(%error, reason, "librdkafka"),
            error => tracing::error!(%error, reason, "librdkafka"),
        }
    }
}

impl ConsumerContext for QuietEnd {}
