//! RabbitMQ 3.10 and 4, each a node of its own with management and Prometheus.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::{
    daemon::Daemon,
    debian,
    home::Home,
    server::{Kind, Server},
};

/// A RabbitMQ 3.10 server, as Debian 12 has it.
pub type RabbitMq = Server<RabbitMqKind<3>>;

/// A RabbitMQ 4 server, as Debian 13 has it.
pub type RabbitMq4 = Server<RabbitMqKind<4>>;

/// What RabbitMQ of this major version is started with.
#[derive(Debug)]
pub struct RabbitMqKind<const MAJOR: u8> {
    /// The folder of `rabbitmq-server` and `rabbitmqctl`.
    scripts: PathBuf,
    erlang: PathBuf,
    /// The folder of Erlang's programs, `epmd` among them.
    erlang_programs: PathBuf,
}

impl<const MAJOR: u8> Server<RabbitMqKind<MAJOR>> {
    /// Runs `rabbitmqctl` on this node; the answer is what it prints.
    ///
    /// # Errors
    /// When the node is down, or `rabbitmqctl` fails; the message holds what it said.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        self.running()?;
        let mut command = self.kind().script("rabbitmqctl", self.home())?;
        let output = command.arg("--quiet").args(arguments).output().context("rabbitmqctl")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!(
                "rabbitmqctl {} ended with {}:\n{said}{complaint}",
                arguments.join(" "),
                output.status
            );
        }
        Ok(said)
    }

    /// Stops the broker in the running node: connections are closed, none is taken.
    ///
    /// # Errors
    /// As [`ctl`](Self::ctl).
    pub fn stop_app(&self) -> Result<()> {
        self.ctl(&["stop_app"]).map(drop)
    }

    /// Starts the broker again after [`stop_app`](Self::stop_app) and waits until it runs.
    ///
    /// # Errors
    /// As [`ctl`](Self::ctl).
    pub fn start_app(&self) -> Result<()> {
        self.ctl(&["start_app"]).map(drop)
    }

    /// Raises the memory alarm, which blocks connections that publish, or clears it; waits until the
    /// node has noticed.
    ///
    /// # Errors
    /// As [`ctl`](Self::ctl), and when it does not notice.
    pub fn set_memory_alarm(&self, raised: bool) -> Result<()> {
        const LOOKS: usize = 30;
        // A mark of zero blocks all publishing (rabbitmqctl(8)).
        let mark = if raised { "0" } else { "0.4" };
        self.ctl(&["set_vm_memory_high_watermark", mark])?;
        for _ in 0..LOOKS {
            let alarms = self.ctl(&["eval", "rabbit_alarm:get_alarms()."])?;
            if alarms.contains("memory") == raised {
                return Ok(());
            }
        }
        bail!("the memory alarm did not change")
    }

    /// Where the management plug-in's HTTP API is; the user and password are `guest`.
    ///
    /// # Errors
    /// When the server's folder cannot be written.
    pub fn management_url(&self) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}", self.home().port("management")?))
    }

    /// Where the Prometheus plug-in's metrics are.
    ///
    /// # Errors
    /// When the server's folder cannot be written.
    pub fn metrics_url(&self) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}/metrics", self.home().port("prometheus")?))
    }
}

impl<const MAJOR: u8> RabbitMqKind<MAJOR> {
    /// The release of Debian that has this version.
    const RELEASE: &'static str = if MAJOR == 3 { "bookworm" } else { "trixie" };

    /// One of RabbitMQ's scripts in the node's environment. Those below `/usr/sbin` would change the
    /// user and the folders.
    fn script(&self, name: &str, home: &Home) -> Result<Command> {
        let data = home.data();
        let mut command = home.account().command(self.scripts.join(name));
        command.current_dir(&data).env_clear();
        command
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", data.join("bin").display()));
        // Erlang's cookie is in the home folder.
        command.env("HOME", &data).env("LC_ALL", "C.UTF-8");
        // The script takes the place of its shell, so that our process is the node.
        command.env("RUNNING_UNDER_SYSTEMD", "true");
        command.env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("ERL_EPMD_PORT", home.port("epmd")?.to_string());
        command.env("RABBITMQ_NODENAME", "steadfast@localhost");
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_NODE_PORT", home.port("amqp")?.to_string());
        command.env("RABBITMQ_DIST_PORT", home.port("distribution")?.to_string());
        command.env("RABBITMQ_CONF_ENV_FILE", data.join("rabbitmq-env.conf"));
        command.env("RABBITMQ_CONFIG_FILE", data.join("rabbitmq.conf"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", data.join("enabled_plugins"));
        command.env("RABBITMQ_MNESIA_BASE", data.join("mnesia"));
        command.env("RABBITMQ_LOG_BASE", data.join("logs"));
        command.env("RABBITMQ_PID_FILE", data.join("rabbitmq.pid"));
        command.env("RABBITMQ_LOGS", "-");
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", format!("{LOOPBACK} {IMPATIENCE}"));
        command.env("RABBITMQ_CTL_ERL_ARGS", LOOPBACK);
        Ok(command)
    }

    fn make_files(&self, home: &Home) -> Result<()> {
        let data = home.data();
        let (management, prometheus) = (home.port("management")?, home.port("prometheus")?);
        fs::write(
            data.join("rabbitmq.conf"),
            format!(
                "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n\
                 prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {prometheus}\n\
                 disk_free_limit.absolute = 50MB\n"
            ),
        )?;
        fs::write(data.join("enabled_plugins"), "[rabbitmq_management,rabbitmq_prometheus].\n")?;
        // Debian's own programs look for everything below /usr.
        let bin = data.join("bin");
        fs::create_dir_all(&bin)?;
        for (name, program) in [("erl", "erlexec"), ("escript", "escript")] {
            let script = format!(
                "#!/bin/sh\nexport ROOTDIR='{}' BINDIR='{}' EMU=beam PROGNAME=erl \
                 ESCRIPT_EMULATOR='{}'\nexec \"$BINDIR/{program}\" \"$@\"\n",
                self.erlang.display(),
                self.erlang_programs.display(),
                bin.join("erl").display()
            );
            let path = bin.join(name);
            fs::write(&path, script)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// Erlang's name server, our own: one that the node starts would outlive it.
    fn start_epmd(&self, home: &Home) -> Result<()> {
        let pid_file = home.folder().join("epmd.pid");
        let port = home.port("epmd")?;
        if let Some(epmd) = Daemon::find(pid_file.clone()) {
            if connect(port).is_some() {
                return Ok(());
            }
            // It is left from a test that was killed, whose ports were others.
            epmd.end(Signal::SIGTERM, Duration::from_secs(10))?;
        }
        let mut epmd = home.account().command(self.erlang_programs.join("epmd"));
        epmd.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
        let epmd = Daemon::spawn(epmd, &home.log(), pid_file)?;
        epmd.wait_until(Duration::from_secs(60), || connect(port).is_some()).context("epmd")
    }
}

impl<const MAJOR: u8> Kind for RabbitMqKind<MAJOR> {
    const TITLE: &'static str = if MAJOR == 3 { "RabbitMQ 3.10" } else { "RabbitMQ 4" };
    const USER: &'static str = "rabbitmq";
    const STOP: Signal = Signal::SIGTERM;
    const PATIENCE: Duration = Duration::from_secs(180);

    /// Debian's, unpacked into the cache.
    fn find() -> Result<Self> {
        let root = debian::unpacked(Self::RELEASE, "rabbitmq-server").with_context(|| {
            format!("RabbitMQ {MAJOR} comes from Debian's packages; without them, set the URL of a server of yours")
        })?;
        let one_like = |folder: PathBuf, beginning: &str| {
            let found = debian::entries(&folder).into_iter().find(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning))
            });
            found
                .with_context(|| format!("nothing in {} begins with {beginning}", folder.display()))
        };
        let erlang = root.join("usr/lib/erlang");
        Ok(Self {
            scripts: one_like(root.join("usr/lib/rabbitmq/lib"), "rabbitmq_server-")?.join("sbin"),
            erlang_programs: one_like(erlang.clone(), "erts-")?.join("bin"),
            erlang,
        })
    }

    fn prepare(&self, home: &Home) -> Result<()> {
        self.make_files(home).context("cannot write the node's files")?;
        self.start_epmd(home)
    }

    fn command(&self, home: &Home) -> Result<Command> {
        self.script("rabbitmq-server", home)
    }

    /// It greets: the port is open before there are users.
    fn is_ready(&self, home: &Home, _pid: u32) -> bool {
        home.port("amqp").ok().and_then(greeting).is_some()
    }

    fn url(&self, home: &Home) -> Result<String> {
        Ok(format!("amqp://guest:guest@127.0.0.1:{}/%2f", home.port("amqp")?))
    }

    fn clean_up(home: &Home) -> Result<()> {
        match Daemon::find(home.folder().join("epmd.pid")) {
            Some(epmd) => epmd.end(Signal::SIGTERM, Duration::from_secs(10)),
            None => Ok(()),
        }
    }
}

const LOOPBACK: &str = "-kernel inet_dist_use_interface {127,0,0,1}";

/// What the server leaves for minutes or seconds, tests see in seconds or at once: dead letters that
/// their queue has refused are handed on again after 3 minutes, and counts are up to 5 s old.
const IMPATIENCE: &str = "-rabbit dead_letter_worker_publisher_confirm_timeout 10000 \
                          -rabbit collect_statistics_interval 200 -rabbit quorum_tick_interval 200";

fn connect(port: u16) -> Option<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
}

/// The server's first frame of AMQP 0-9-1, which answers the protocol header.
fn greeting(port: u16) -> Option<()> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").ok()?;
    let mut frame = [0];
    stream.read_exact(&mut frame).ok()?;
    // A method frame; a header of its own would begin with `A`.
    (frame == [1]).then_some(())
}
