//! The HTTP API of RabbitMQ's management plug-in.

use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Service, home};

/// The management plug-in of a RabbitMQ for tests.
#[derive(Debug, Clone, Copy)]
pub struct Management {
    address: SocketAddr,
}

impl Management {
    /// That of this server: where `STEADFAST_RABBITMQ_MANAGEMENT` or `STEADFAST_RABBITMQ4_MANAGEMENT`
    /// says, else that of the server which `cargo xtask services up` started.
    ///
    /// # Panics
    /// When there is neither. A test that needs it is never skipped in silence.
    #[must_use]
    pub fn of(service: Service) -> Self {
        let variable = service.management_variable();
        let variable = variable.unwrap_or_else(|| panic!("{service} has no management plug-in"));
        if let Ok(address) = env::var(variable) {
            let address = address.parse();
            let address = address.unwrap_or_else(|_| panic!("{variable} is not <ip>:<port>"));
            return Self { address };
        }
        let ports = home::ports_in(&service.folder());
        match ports.get("management") {
            Some(port) if service.is_own() => Self { address: (Ipv4Addr::LOCALHOST, *port).into() },
            _ => panic!(
                "this test asks the management plug-in of {service}: say in {variable} where it is, as \
                 <ip>:<port>"
            ),
        }
    }

    /// Deletes a queue of the default virtual host.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), and when the queue is not deleted.
    pub async fn delete_queue(&self, name: &str) -> io::Result<()> {
        match self.ask("DELETE", &format!("/api/queues/%2f/{name}"), "").await? {
            (204, _) => Ok(()),
            (status, said) => Err(io::Error::other(format!("{status}: {said}"))),
        }
    }

    /// Asks as the user `guest`: a method, a path that begins with `/api/`, and a body of JSON or
    /// nothing. The answer is its status and its body.
    ///
    /// # Errors
    /// When the server cannot be reached, or answers what is no HTTP.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).await?;
        // HTTP/1.0, which knows no chunks. `guest:guest` in Base64.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        match (status, answer.split_once("\r\n\r\n")) {
            (Some(status), Some((_, body))) => Ok((status, body.to_owned())),
            _ => Err(io::Error::other("the management plug-in answers what is no HTTP")),
        }
    }
}
