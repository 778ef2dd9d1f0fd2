//! What an error of the Kafka client asks for: the one place where errors are told apart.

use super::admin::TopicError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What is to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The brokers, the network or the machine are not able right now: the same request later.
    Transient,
    /// This one message cannot be taken, however often it is sent; others can.
    OfTheMessage,
    /// No waiting mends it: rights, settings, a state that must not be passed over.
    Fatal,
}

impl Trouble {
    /// What a client's error asks for.
    pub fn of(error: &KafkaError) -> Self {
        match error {
            KafkaError::MessageConsumptionFatal(_) => Self::Fatal,
            // The only call whose code the library does not hand out.
            KafkaError::AdminOp(code) => Self::of_code(*code),
            // A transaction's errors say themselves whether the call may be repeated; a fatal one also has a code.
            KafkaError::Transaction(error) if error.is_fatal() => Self::Fatal,
            KafkaError::Transaction(error) if error.is_retriable() => Self::Transient,
            error => error.rdkafka_error_code().map_or(Self::Fatal, Self::of_code),
        }
    }

    /// What a code asks for, of the client or of a broker; the codes that a broker calls retriable are transient.
    ///
    /// <https://kafka.apache.org/protocol#protocol_error_codes>
    pub fn of_code(code: Code) -> Self {
        match code {
            // The client's own: no connection, no answer, no room, no name service right now.
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::QueueFull
            | Code::WaitingForCoordinator
            | Code::WaitCache
            | Code::BrokerDestroy
            | Code::DestroyBroker
            | Code::Retry
            | Code::InProgress
            | Code::Interrupted
            | Code::ISRInsufficient
            // The brokers': a leader, a coordinator or a controller moves, starts or is behind.
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotController
            | Code::KafkaStorageError
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::ListenerNotFound
            | Code::PreferredLeaderNotAvailable
            | Code::EligibleLeadersNotAvailable
            | Code::ConcurrentTransactions
            | Code::UnstableOffsetCommit
            | Code::FetchSessionIdNotFound
            | Code::InvalidFetchSessionEpoch
            | Code::ThrottlingQuotaExceeded
            | Code::StaleBrokerEpoch
            | Code::StaleControllerEpoch
            | Code::RebootstrapRequired
            // A topic that was created a moment ago is not known everywhere yet.
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId => Self::Transient,
            Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::BadMessage
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::KeySerialization
            | Code::ValueSerialization
            | Code::KeyDeserialization
            | Code::ValueDeserialization => Self::OfTheMessage,
            _ => Self::Fatal,
        }
    }

    /// What a topic that cannot be prepared asks for.
    pub fn of_topic(error: &TopicError) -> Self {
        match error {
            TopicError::Request(error) => Self::of(error),
            TopicError::Create { code, .. } | TopicError::Describe { code, .. } => Self::of_code(*code),
            TopicError::TooFewPartitions { .. } | TopicError::WrongSetting { .. } => Self::Fatal,
        }
    }
}

/// Whether the same request may succeed later.
pub fn is_transient(error: &KafkaError) -> bool {
    Trouble::of(error) == Trouble::Transient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_that_start_move_or_lag_are_waited_out() {
        for code in [
            Code::NotLeaderForPartition,
            Code::LeaderNotAvailable,
            Code::RequestTimedOut,
            Code::OperationTimedOut,
            Code::CoordinatorLoadInProgress,
            Code::CoordinatorNotAvailable,
            Code::NotCoordinator,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::MessageTimedOut,
            Code::NotEnoughReplicas,
            Code::NotController,
            Code::KafkaStorageError,
            Code::ConcurrentTransactions,
        ] {
            assert_eq!(Trouble::of_code(code), Trouble::Transient, "{code}");
            // The same whichever call met it.
            for error in [
                KafkaError::MetadataFetch(code),
                KafkaError::OffsetFetch(code),
                KafkaError::MessageConsumption(code),
                KafkaError::MessageProduction(code),
                KafkaError::ConsumerCommit(code),
                KafkaError::Global(code),
                KafkaError::AdminOp(code),
            ] {
                assert!(is_transient(&error), "{error}");
            }
        }
    }

    #[test]
    fn a_message_that_cannot_be_taken_is_no_trouble_of_the_brokers() {
        for code in [Code::MessageSizeTooLarge, Code::InvalidRecord, Code::InvalidTimestamp] {
            assert_eq!(Trouble::of(&KafkaError::MessageProduction(code)), Trouble::OfTheMessage);
        }
    }

    #[test]
    fn what_waiting_does_not_mend_is_fatal() {
        for code in [
            Code::TopicAuthorizationFailed,
            Code::SaslAuthenticationFailed,
            Code::Authentication,
            Code::OffsetOutOfRange,
            Code::AutoOffsetReset,
            Code::ProducerFenced,
            Code::OutOfOrderSequenceNumber,
            Code::InvalidReplicationFactor,
            Code::Fatal,
        ] {
            assert_eq!(Trouble::of_code(code), Trouble::Fatal, "{code}");
        }
        // Its code alone would be waited out.
        let fatal = KafkaError::MessageConsumptionFatal(Code::RequestTimedOut);
        assert_eq!(Trouble::of(&fatal), Trouble::Fatal);
        assert_eq!(Trouble::of(&KafkaError::Canceled), Trouble::Fatal);
    }

    #[test]
    fn topics_wait_for_their_brokers_and_not_for_their_operators() {
        let refused = |code| TopicError::Create {
            topic: "findings".into(),
            code,
        };
        assert_eq!(Trouble::of_topic(&refused(Code::RequestTimedOut)), Trouble::Transient);
        assert_eq!(Trouble::of_topic(&refused(Code::InvalidReplicationFactor)), Trouble::Fatal);
        let few = TopicError::TooFewPartitions {
            topic: "person.records".into(),
            found: 1,
            wanted: 64,
        };
        assert_eq!(Trouble::of_topic(&few), Trouble::Fatal);
    }
}
