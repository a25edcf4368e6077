//! Which server this is.

use std::{fmt, io};

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use lapin::{
    protocol::{AMQPClass, connection::AMQPMethod, parse_class},
    tcp::AMQPUriTcpExt as _,
};
use steadfast::broker::BrokerError;

use crate::{config::Config, connect::within};

/// A version of RabbitMQ. Rules of delivery limits and sizes differ between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u16,
    pub(crate) minor: u16,
}

impl Version {
    pub(crate) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Asks the server, which names its version in the first frame of every connection. The client
    /// keeps that frame to itself, so this opens a connection of its own and leaves it after that.
    pub(crate) async fn of(config: &Config) -> Result<Self, BrokerError> {
        let greeting = within(config.deadline, "asking for the version", greeting(config)).await?;
        let version = greeting.map_err(BrokerError::unavailable)?;
        Self::parse(&version).ok_or_else(|| {
            BrokerError::Misconfigured(format!(
                "{} is no RabbitMQ that this adapter knows: it names no version",
                config.address()
            ))
        })
    }

    fn parse(version: &str) -> Option<Self> {
        let mut numbers = version.split(['.', '-', '+']);
        Some(Self::new(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The version as the server writes it; empty where it writes none.
async fn greeting(config: &Config) -> io::Result<String> {
    /// A greeting is a few hundred bytes.
    const LONGEST: usize = 1 << 16;
    let runtime = lapin::runtime::default_runtime().map_err(io::Error::other)?;
    let mut stream = config.uri.connect_async(&runtime).await?;
    stream.write_all(b"AMQP\0\0\x09\x01").await?;
    stream.flush().await?;
    // Type, channel, and the length of what follows.
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    let [_, _, _, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::Error::other("this is no AMQP 0-9-1 server"));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    let Ok((_, AMQPClass::Connection(AMQPMethod::Start(start)))) = parse_class(frame.as_slice())
    else {
        return Err(io::Error::other("this is no AMQP 0-9-1 server"));
    };
    let properties = start.server_properties.inner();
    let version = properties.get("version").and_then(|version| version.as_long_string());
    Ok(version.map(ToString::to_string).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text| Version::parse(text).unwrap();
        assert_eq!(version("3.10.8"), Version::new(3, 10));
        assert_eq!(version("4.3.0-beta.1"), Version::new(4, 3));
        assert!(version("3.9.29") < version("3.10.0") && version("3.13.7") < version("4.0.1"));
        assert_eq!(Version::parse(""), None);
    }
}
