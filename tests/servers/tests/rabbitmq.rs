//! RabbitMQ as tests use it: the broker stopped within its node, the node killed, the memory alarm.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
};

use steadfast_test_servers::{RabbitMq, rabbitmq_url, rabbitmq4_url};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("servers").join(name)
}

/// `host:port` of a URL.
fn address(url: &str) -> &str {
    let after = url.split_once("://").expect("a URL").1;
    let after = after.rsplit_once('@').map_or(after, |(_, address)| address);
    after.split('/').next().expect("split yields something")
}

/// What the server greets with: AMQP 0-9-1's first frame holds its version among other properties.
fn greeting(url: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address(url))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let mut frame = vec![0; u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize];
    stream.read_exact(&mut frame)?;
    Ok(String::from_utf8_lossy(&frame).into_owned())
}

fn http_get(base: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address(base)).expect("it listens");
    // `guest:guest`.
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn both_shared_servers_are_the_versions_that_they_are_called() {
    let old = greeting(&rabbitmq_url()).expect("it greets");
    assert!(old.contains("3.10."), "{old}");
    let new = greeting(&rabbitmq4_url()).expect("it greets");
    assert!(new.contains("4."), "{new}");
    assert!(!new.contains("3.10."), "{new}");
}

#[test]
fn a_server_is_stopped_alarmed_killed_and_started_again() {
    let mut server = RabbitMq::start(folder("rabbitmq")).expect("it starts");
    let url = server.url().to_owned();

    server.stop_app().expect("it stops");
    greeting(&url).expect_err("the broker is down");
    server.start_app().expect("it starts again");
    greeting(&url).expect("it greets");

    let alarms = |server: &RabbitMq| {
        server.ctl(&["eval", "rabbit_alarm:get_alarms()."]).expect("it answers")
    };
    server.set_memory_alarm(true).expect("it is raised");
    assert!(alarms(&server).contains("memory"));
    server.set_memory_alarm(false).expect("it is cleared");
    assert_eq!(alarms(&server).trim(), "[]");

    let overview = http_get(&server.management_url().expect("it has one"), "/api/overview");
    assert!(overview.contains("\"rabbitmq_version\":\"3.10."), "{overview}");
    let metrics = http_get(&server.metrics_url().expect("it has one"), "/metrics");
    assert!(metrics.contains("rabbitmq_identity_info"), "{metrics}");

    server.kill().expect("it is killed");
    greeting(&url).expect_err("the node is down");
    server.start_again().expect("it starts again");
    assert_eq!(server.url(), url);
    greeting(&url).expect("it greets");
}
