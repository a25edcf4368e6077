//! Servers in Docker, where they cannot be started natively and there is one: those of `compose.yaml`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{Service, say};

/// Whether there is a Docker that can be asked.
pub(crate) fn is_there() -> bool {
    let mut asking = Command::new("docker");
    asking.args(["compose", "version"]).stdout(Stdio::null()).stderr(Stdio::null());
    asking.status().is_ok_and(|status| status.success())
}

/// Starts one and waits until it answers; where it is.
pub(crate) fn up(service: Service) -> Result<String> {
    say(&format!("starting {service} in Docker"));
    compose(&["up", "--detach", "--wait", service.name()])?;
    let (url, management) = place(service)?;
    let folder = service.folder();
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("url"), &url)?;
    if let Some(port) = management {
        fs::write(folder.join("ports"), format!("management {port}\n"))?;
    }
    fs::write(mark(service), "")?;
    Ok(url)
}

/// Whether [`up`] has started it, and nobody has ended it since.
pub(crate) fn has_started(service: Service) -> bool {
    mark(service).exists()
}

/// Stops what [`up`] has started; whether there was something to stop.
pub(crate) fn down(service: Service) -> Result<bool> {
    if !has_started(service) {
        return Ok(false);
    }
    compose(&["stop", service.name()])?;
    fs::remove_file(mark(service))?;
    Ok(true)
}

fn mark(service: Service) -> PathBuf {
    service.folder().join("docker")
}

fn compose_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose.yaml")
}

fn compose(arguments: &[&str]) -> Result<()> {
    let mut docker = Command::new("docker");
    docker.args(["compose", "--file"]).arg(compose_file()).args(arguments);
    let status = docker.stdin(Stdio::null()).status().context("cannot start docker")?;
    if !status.success() {
        bail!("docker compose {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Where the file says that it is, and the port of its management plug-in if it has one.
fn place(service: Service) -> Result<(String, Option<u16>)> {
    let file = fs::read_to_string(compose_file()).context("cannot read compose.yaml")?;
    let variable = |name: &str| {
        let told = format!("export {name}=");
        file.lines().find_map(|line| Some(line.split_once(&told)?.1.to_owned()))
    };
    let url = variable(service.variable());
    let url = url.with_context(|| format!("compose.yaml does not say where {service} is"))?;
    let management = service.management_variable().and_then(variable);
    let port = management.and_then(|address| address.rsplit_once(':')?.1.parse().ok());
    Ok((url, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_where_every_server_is() {
        for service in Service::ALL {
            let (url, management) = place(*service).expect("it says so");
            assert!(url.contains("127.0.0.1:"), "{url}");
            let has_management = matches!(service, Service::RabbitMq | Service::RabbitMq4);
            assert_eq!(management.is_some(), has_management, "{service}");
        }
    }
}
