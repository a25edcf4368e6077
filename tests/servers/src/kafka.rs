//! Apache Kafka 4 from Maven Central: one node, broker and KRaft controller in one.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use crate::{
    debian::run,
    home::Home,
    places, say,
    server::{Kind, Server},
};

/// A Kafka server. Its URL is the list of bootstrap servers, `127.0.0.1:<port>`.
pub type Kafka = Server<KafkaKind>;

/// What Kafka is started with.
#[derive(Debug)]
pub struct KafkaKind {
    java: OsString,
    jars: PathBuf,
}

/// What Maven is to fetch; the version of Kafka is pinned there.
const POM: &str = include_str!("kafka.pom.xml");

/// Any will do: there is one node, and nobody else speaks to it.
const CLUSTER_ID: &str = "c3RlYWRmYXN0LXRlc3RzLQ";

impl Server<KafkaKind> {
    /// For a proxy in between: the address where clients look for it, since Kafka tells them
    /// so, and the one that it is to pass everything on to.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn behind_a_proxy(&self) -> Result<(SocketAddr, String)> {
        let front = (Ipv4Addr::LOCALHOST, self.home().port("front")?).into();
        Ok((front, format!("127.0.0.1:{}", self.home().port("behind")?)))
    }
}

impl KafkaKind {
    fn java(&self, home: &Home, class: &str) -> Command {
        let mut java = home.account().command(&self.java);
        java.current_dir(home.data());
        java.args(["-Xmx768m", "-XX:+ExitOnOutOfMemoryError", "-cp"]).arg(self.jars.join("*"));
        java.args(["-Dorg.slf4j.simpleLogger.showDateTime=true", class]);
        java
    }

    fn write_properties(home: &Home) -> Result<PathBuf> {
        let data = home.data();
        let (broker, controller) = (home.port("kafka")?, home.port("controller")?);
        let (front, behind) = (home.port("front")?, home.port("behind")?);
        let logs = data.join("logs");
        let properties = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{broker},BEHIND://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{broker},BEHIND://127.0.0.1:{front}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             # A topic that a test did not make is missing. One without rules of its own is everybody's.\n\
             auto.create.topics.enable=false\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             allow.everyone.if.no.acl.found=true\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={logs}\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=4\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             # What is compacted is so soon.\n\
             log.cleaner.backoff.ms=500\n\
             # Members that die are missed within a second, where a test asks for that.\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=500\n\
             group.consumer.min.session.timeout.ms=500\n\
             group.consumer.min.heartbeat.interval.ms=100\n",
            logs = logs.display(),
        );
        let path = data.join("server.properties");
        fs::write(&path, properties).context("cannot write server.properties")?;
        Ok(path)
    }
}

impl Kind for KafkaKind {
    const TITLE: &'static str = "Kafka";
    const USER: &'static str = "kafka";
    const STOP: Signal = Signal::SIGTERM;
    const PATIENCE: Duration = Duration::from_secs(180);

    /// An installed Java, and Kafka from Maven Central in the cache.
    fn find() -> Result<Self> {
        let java = match env::var_os("JAVA_HOME") {
            Some(home) => Path::new(&home).join("bin/java").into_os_string(),
            None => "java".into(),
        };
        let version = Command::new(&java).arg("-version").output();
        ensure!(
            version.is_ok_and(|output| output.status.success()),
            "Kafka needs Java 17 or newer: install it, for example with `apt-get install \
             openjdk-17-jre-headless`, and see that `java` is on the PATH or JAVA_HOME is set"
        );
        Ok(Self { java, jars: fetched()? })
    }

    fn prepare(&self, home: &Home) -> Result<()> {
        let properties = Self::write_properties(home)?;
        if home.data().join("logs/meta.properties").exists() {
            return Ok(());
        }
        say("Kafka: formatting its storage");
        let mut format = self.java(home, "kafka.tools.StorageTool");
        run(format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(properties))
    }

    fn command(&self, home: &Home) -> Result<Command> {
        let mut command = self.java(home, "kafka.Kafka");
        command.arg(home.data().join("server.properties"));
        Ok(command)
    }

    fn is_ready(&self, home: &Home, _pid: u32) -> bool {
        home.port("kafka").is_ok_and(|port| knows_a_broker(port).unwrap_or(false))
    }

    fn url(&self, home: &Home) -> Result<String> {
        Ok(format!("127.0.0.1:{}", home.port("kafka")?))
    }
}

/// The folder of jars, fetched by Maven when it is not there; another POM is another folder.
fn fetched() -> Result<PathBuf> {
    let mut hash = DefaultHasher::new();
    POM.hash(&mut hash);
    let cache = places::cache()?.join(format!("kafka-{:016x}", hash.finish()));
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join("lock"))?;
    lock.lock().context("cannot lock the cache")?;
    let jars = cache.join("jars");
    if jars.exists() {
        return Ok(jars);
    }
    if Command::new("mvn").arg("--version").output().is_err() {
        bail!("Kafka is fetched by Maven: install it, for example with `apt-get install maven`");
    }
    say("fetching Kafka from Maven Central, which takes a minute, but once");
    fs::write(cache.join("pom.xml"), POM)?;
    let mut maven = Command::new("mvn");
    maven.current_dir(&cache).args(["--quiet", "--batch-mode", "dependency:copy-dependencies"]);
    // It takes its name when it is whole.
    maven.args(["-DincludeScope=runtime", "-DoutputDirectory=unfinished"]);
    run(&mut maven).context("Maven could not fetch Kafka")?;
    fs::rename(cache.join("unfinished"), &jars).context("cannot name what was fetched")?;
    Ok(jars)
}

/// Asks which brokers are alive, and whether there is one: a node that has just started takes connections
/// before it knows of itself (Kafka protocol guide, `Metadata`, key 3, version 1, of no topic).
fn knows_a_broker(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // Length, key, version, correlation id, no client id, no topics.
    stream.write_all(&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0])?;
    // Length, correlation id, number of brokers.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer[8..] != [0; 4])
}
