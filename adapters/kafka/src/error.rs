//! What the client's errors mean.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use steadfast::broker::{BrokerError, PublishError};

/// What has become of a session through an error of the client's.
pub(crate) fn of_session(error: KafkaError) -> BrokerError {
    let code = error.rdkafka_error_code();
    if !is_permanent(&error) {
        return BrokerError::unavailable(error);
    }
    BrokerError::Misconfigured(match code {
        Some(Code::FencedInstanceId) => {
            "another running member has the same `static_member` name: give each one its own".into()
        }
        Some(Code::InconsistentGroupProtocol) => {
            "this member and the running ones of its group share no way to assign partitions: give \
             all of them one `group_protocol`"
                .into()
        }
        _ => format!("Kafka refuses: {error}"),
    })
}

/// The same for one who was let in before.
pub(crate) fn of_session_again(error: KafkaError) -> BrokerError {
    if is_of_credentials(&error) {
        tracing::error!(%error, "credentials that were good are refused, or a connection was cut");
        return BrokerError::unavailable(error);
    }
    of_session(error)
}

/// Whether credentials are refused. The client says so too of a connection that is cut while it presents them.
pub(crate) fn is_of_credentials(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(Code::Authentication | Code::SaslAuthenticationFailed))
}

/// Whether a group's coordinator has not answered, or is being looked for.
pub(crate) fn is_of_coordinator(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        matches!(
            code,
            Code::WaitingForCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::NotCoordinator
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
        )
    })
}

/// Whether only a person can mend this.
pub(crate) fn is_permanent(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        matches!(
            code,
            Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::UnsupportedSASLMechanism
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::UnsupportedVersion
                | Code::UnsupportedFeature
                | Code::UnsupportedAssignor
                | Code::InconsistentGroupProtocol
                | Code::InvalidGroupId
                | Code::InvalidSessionTimeout
                | Code::FencedInstanceId
        )
    })
}

/// Why a message is not published: only what concerns this message alone is a refusal.
pub(crate) fn of_publish(error: KafkaError) -> PublishError {
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::InvalidRecord) => {
            PublishError::Refused(error.into())
        }
        _ => PublishError::Unavailable(error.into()),
    }
}

/// Whether a commit failed because the partitions have, or will have, another owner, who begins at
/// the last commit that succeeded: nothing is lost, and nothing is to be done.
pub(crate) fn is_of_a_rebalance(code: Code) -> bool {
    matches!(
        code,
        Code::RebalanceInProgress
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::StaleMemberEpoch
            | Code::FencedMemberEpoch
            | Code::AssignmentLost
            | Code::NoOffset
            | Code::State
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_too_large_is_refused_and_a_missing_topic_is_an_outage() {
        let large = KafkaError::MessageProduction(Code::MessageSizeTooLarge);
        assert!(matches!(of_publish(large), PublishError::Refused(_)));
        let missing = KafkaError::MessageProduction(Code::UnknownTopicOrPartition);
        assert!(matches!(of_publish(missing), PublishError::Unavailable(_)));
    }

    #[test]
    fn credentials_that_were_good_once_end_nothing_for_good() {
        let refused = || KafkaError::MessageConsumption(Code::Authentication);
        assert!(matches!(of_session(refused()), BrokerError::Misconfigured(_)));
        let again = of_session_again(refused());
        assert!(matches!(again, BrokerError::Unavailable(_)), "{again}");
    }

    #[test]
    fn what_only_a_person_can_mend_is_said_to_one() {
        for code in [Code::InvalidGroupId, Code::UnsupportedVersion, Code::FencedInstanceId] {
            let fatal = of_session(KafkaError::MessageConsumptionFatal(code));
            assert!(matches!(fatal, BrokerError::Misconfigured(_)), "{fatal}");
        }
        // The member that had the name before has not left yet, or is missed within its session timeout.
        let early = of_session(KafkaError::MessageConsumptionFatal(Code::UnreleasedInstanceId));
        assert!(matches!(early, BrokerError::Unavailable(_)), "{early}");
    }
}
