//! Kafka as tests use it: killed, paused and started again at the same address.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    time::Duration,
};

use steadfast_test_servers::{Kafka, kafka};

/// The cluster's answer to `ApiVersions`: how many bytes long it is.
fn answer(bootstrap: &str) -> std::io::Result<u32> {
    answer_within(bootstrap, Duration::from_secs(60))
}

fn answer_within(bootstrap: &str, patience: Duration) -> std::io::Result<u32> {
    let mut stream = TcpStream::connect(bootstrap)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    Ok(u32::from_be_bytes(length))
}

#[test]
fn the_shared_server_answers() {
    assert!(answer(&kafka()).expect("it answers") > 100);
}

#[test]
fn a_server_is_paused_killed_and_started_again() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("servers").join("kafka");
    let mut server = Kafka::start(folder).expect("it starts");
    let bootstrap = server.url().to_owned();

    server.pause().expect("it is paused");
    answer_within(&bootstrap, Duration::from_secs(1)).expect_err("it is silent");
    server.resume().expect("it goes on");
    answer(&bootstrap).expect("it answers");

    server.kill().expect("it is killed");
    answer(&bootstrap).expect_err("it is gone");
    server.start_again().expect("it starts again");
    assert_eq!(server.url(), bootstrap);
    answer(&bootstrap).expect("it answers");
}
