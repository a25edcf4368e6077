//! The HTTP API of RabbitMQ's management plug-in.

use std::{env, io, net::Ipv4Addr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{Service, home};

/// The management plug-in of a RabbitMQ that `cargo xtask services up` started.
#[derive(Debug, Clone, Copy)]
pub struct Management {
    port: u16,
}

impl Management {
    /// That of this server. `None` for one that an environment variable names: where its plug-in is
    /// nobody knows.
    #[must_use]
    pub fn of(service: Service) -> Option<Self> {
        if env::var_os(service.variable()).is_some() {
            return None;
        }
        let port = home::ports_in(&service.folder()).get("management").copied()?;
        Some(Self { port })
    }

    /// Asks as the user `guest`: a method, a path that begins with `/api/`, and a body of JSON or
    /// nothing. The answer is its status and its body.
    ///
    /// # Errors
    /// When the server cannot be reached, or answers what is no HTTP.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
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
