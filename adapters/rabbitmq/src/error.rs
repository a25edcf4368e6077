//! What the client's errors mean.

use lapin::ErrorKind;
use steadfast::broker::BrokerError;

/// The reply codes of AMQP 0-9-1 that trying again does not mend.
const REFUSED: [u16; 6] =
    [ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED, NOT_ALLOWED, 540];
pub(crate) const ACCESS_REFUSED: u16 = 403;
pub(crate) const NOT_FOUND: u16 = 404;
/// A queue that belongs to one connection, and not to ours.
const RESOURCE_LOCKED: u16 = 405;
pub(crate) const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// Reply code and text, where it was the server that refused.
pub(crate) fn reply(error: &lapin::Error) -> Option<(u16, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().as_str())),
        _ => None,
    }
}

/// The client's error that stands behind this one, if there is one.
pub(crate) fn of_client(error: &BrokerError) -> Option<&lapin::Error> {
    match error {
        BrokerError::Unavailable(error) => error.downcast_ref(),
        _ => None,
    }
}

/// Whether all the channels that a connection may have are in use.
pub(crate) fn has_all_channels(error: &BrokerError) -> bool {
    let error = of_client(error).map(lapin::Error::kind);
    matches!(error, Some(ErrorKind::ChannelsLimitReached))
}

/// What the client could not read of a message, if it has given up its connection over that.
pub(crate) fn unreadable(error: &lapin::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::ParsingError(_) => Some(
            "a property such as `correlation-id`, `message-id` or `type`, or the name of a header, is \
             not UTF-8",
        ),
        // In the client's words; the server has others.
        ErrorKind::ProtocolError(error)
            if error.get_message().as_str().starts_with("frame too large") =>
        {
            Some("its headers are larger than a frame, which `?frame_max=` in the URL bounds")
        }
        _ => None,
    }
}

/// What is said of a step of a set-up that failed.
pub(crate) fn at_setup(error: lapin::Error, doing: &str) -> BrokerError {
    match reply(&error) {
        Some((code, text)) if REFUSED.contains(&code) && !may_pass(text) => {
            BrokerError::Misconfigured(format!("{doing}: {text}{}", fix(code, text)))
        }
        _ => BrokerError::unavailable(error),
    }
}

/// What the server refuses with the same codes while a node starts or is away, while another has what we
/// ask for, or while there are too many connections.
pub(crate) fn may_pass(text: &str) -> bool {
    const PASSING: [&str; 10] = [
        "is down",
        "home node",
        "in exclusive use",
        "not running",
        "starting",
        "may be stopping",
        "stopped by supervisor",
        "due to timeout",
        // Of connections or channels: to a node, a virtual host or a user.
        "is reached",
        "has reached",
    ];
    // Names stand between quotes, and may be anything.
    let words: String = text.split('\'').step_by(2).collect();
    PASSING.iter().any(|passing| words.contains(passing))
}

fn fix(code: u16, text: &str) -> &'static str {
    match code {
        ACCESS_REFUSED if text.contains("Login was refused") => {
            " (look at user and password in the URL)"
        }
        ACCESS_REFUSED => " (`rabbitmqctl set_permissions` grants it)",
        NOT_FOUND => {
            " (create it, or let the broker declare it: `RabbitMq::declare(Queue::quorum(…))`)"
        }
        PRECONDITION_FAILED if text.contains("inequivalent arg") => {
            " (a queue keeps the arguments with which it was first declared: declare it with those, \
             or delete it)"
        }
        RESOURCE_LOCKED => " (an exclusive queue belongs to the connection that declared it)",
        NOT_ALLOWED if text.contains("vhost") => {
            " (the path of the URL names the virtual host; `rabbitmqctl add_vhost` creates it)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, basic::parse_properties};

    use super::*;

    fn refused(code: u16, text: &str) -> BrokerError {
        let error = AMQPError::from_id(code, text.into()).unwrap();
        at_setup(ErrorKind::ProtocolError(error).into(), "consuming from `orders`")
    }

    #[test]
    fn what_trying_again_cannot_mend_is_a_misconfiguration_that_names_the_fix() {
        for (code, text, fix) in [
            (403, "ACCESS_REFUSED - Login was refused using mechanism PLAIN", "password"),
            (404, "NOT_FOUND - no queue 'orders' in vhost '/'", "declare"),
            (530, "NOT_ALLOWED - vhost x not found", "add_vhost"),
            (
                405,
                "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'orders'",
                "belongs to the connection",
            ),
        ] {
            match refused(code, text) {
                BrokerError::Misconfigured(words) => {
                    assert!(words.contains(text) && words.contains(fix), "{words}");
                }
                other => panic!("{code} is {other:?}"),
            }
        }
    }

    #[test]
    fn what_the_client_cannot_read_is_told_from_what_the_server_refuses() {
        // A `correlation-id` of two bytes.
        let failed = parse_properties(&[0x04, 0x00, 2, 0xff, 0xfe][..]).unwrap_err();
        let found = unreadable(&ErrorKind::ParsingError(failed).into());
        assert!(found.is_some_and(|found| found.contains("UTF-8")), "{found:?}");
        let told = |text: &str| {
            let error = AMQPError::from_id(501, text.into()).unwrap();
            unreadable(&ErrorKind::ProtocolError(error).into())
        };
        let found = told("frame too large: 131073 bytes");
        assert!(found.is_some_and(|found| found.contains("frame_max")), "{found:?}");
        assert_eq!(told("FRAME_ERROR - type 2, all octets = <<>>: {frame_too_large,9,8}"), None);
    }

    #[test]
    fn a_connection_without_a_free_channel_is_no_broken_one() {
        let full: lapin::Error = ErrorKind::ChannelsLimitReached.into();
        assert!(has_all_channels(&BrokerError::unavailable(full)));
        assert!(!has_all_channels(&refused(404, "NOT_FOUND - no queue 'orders' in vhost '/'")));
        assert!(!has_all_channels(&BrokerError::unavailable("no answer")));
    }

    #[test]
    fn a_name_is_not_taken_for_the_servers_words() {
        let error = refused(404, "NOT_FOUND - no queue 'orders.starting' in vhost 'is down'");
        assert!(matches!(error, BrokerError::Misconfigured(_)), "{error:?}");
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        for (code, text) in [
            (404, "NOT_FOUND - home node 'rabbit@b' of durable queue 'orders' is down"),
            (530, "NOT_ALLOWED - access to vhost '/' refused: vhost '/' is down"),
            (
                404,
                "NOT_FOUND - failed to perform operation on queue 'orders' in vhost '/' due to timeout",
            ),
            (403, "ACCESS_REFUSED - queue 'orders' in vhost '/' in exclusive use"),
            (320, "CONNECTION_FORCED - broker forced connection closure"),
            (
                530,
                "NOT_ALLOWED - access to vhost 'a' refused for user 'b': connection limit (9) is reached",
            ),
            (
                530,
                "NOT_ALLOWED - number of channels opened for user 'b' has reached the maximum allowed \
                 user limit of (9)",
            ),
        ] {
            assert!(matches!(refused(code, text), BrokerError::Unavailable(_)), "{text}");
        }
    }
}
