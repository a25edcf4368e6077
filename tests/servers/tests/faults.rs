//! The faults that tests make: a bad network, a child that is stopped or killed, a wrong clock.

use std::{
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use steadfast_test_servers::{Process, Proxy, skew_clock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server that sends everything back.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn exchange(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"ping").await?;
    stream.read_exact(&mut [0; 4]).await.map(drop)
}

#[tokio::test]
async fn a_proxy_passes_cuts_and_refuses() {
    let proxy = Proxy::start(echo().await).await.expect("a free port");
    let mut stream = TcpStream::connect(proxy.address()).await.expect("it accepts");
    exchange(&mut stream).await.expect("it passes");

    proxy.cut();
    let ended = timeout(PATIENCE, stream.read(&mut [0; 1])).await.expect("it is noticed");
    assert!(matches!(ended, Ok(0) | Err(_)));
    let mut stream = TcpStream::connect(proxy.address()).await.expect("new ones are taken");
    exchange(&mut stream).await.expect("it passes");

    proxy.refuse();
    let refused = async {
        while TcpStream::connect(proxy.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("nobody listens");
    exchange(&mut stream).await.expect_err("the old one is closed");

    proxy.pass();
    let back = async {
        loop {
            if let Ok(mut stream) = TcpStream::connect(proxy.address()).await {
                return exchange(&mut stream).await;
            }
        }
    };
    timeout(PATIENCE, back).await.expect("it listens again").expect("it passes");
}

#[tokio::test]
async fn a_stalled_proxy_takes_everything_and_passes_nothing_until_it_goes_on() {
    let proxy = Proxy::start(echo().await).await.expect("a free port");
    let mut old = TcpStream::connect(proxy.address()).await.expect("it accepts");
    exchange(&mut old).await.expect("it passes");
    proxy.stall();
    let mut new = TcpStream::connect(proxy.address()).await.expect("it accepts");
    for stream in [&mut old, &mut new] {
        stream.write_all(b"ping").await.expect("it takes");
    }
    // An open connection beside it shows that there was time for an answer.
    let mut beside = TcpStream::connect(echo().await).await.expect("it accepts");
    exchange(&mut beside).await.expect("it answers");
    for stream in [&mut old, &mut new] {
        let nothing = stream.try_read(&mut [0; 1]).expect_err("nothing has come");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
    proxy.pass();
    for stream in [&mut old, &mut new] {
        let answer = timeout(PATIENCE, stream.read_exact(&mut [0; 4])).await;
        answer.expect("in time").expect("it goes on");
    }
}

#[tokio::test]
async fn a_proxy_that_swallows_replies_passes_requests_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = listener.local_addr().expect("it is bound").to_string();
    let proxy = Proxy::start(target).await.expect("a free port");
    let mut client = TcpStream::connect(proxy.address()).await.expect("it accepts");
    let (mut server, _) = listener.accept().await.expect("it is passed on");
    proxy.swallow_replies();
    client.write_all(b"ping").await.expect("it takes");
    timeout(PATIENCE, server.read_exact(&mut [0; 4])).await.expect("in time").expect("it came");
    server.write_all(b"pong").await.expect("it takes");
    // A second request shows that there was time for the reply.
    client.write_all(b"ping").await.expect("it takes");
    timeout(PATIENCE, server.read_exact(&mut [0; 4])).await.expect("in time").expect("it came");
    let nothing = client.try_read(&mut [0; 1]).expect_err("nothing has come");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    proxy.pass();
    timeout(PATIENCE, client.read_exact(&mut [0; 4])).await.expect("in time").expect("it came");
}

#[tokio::test]
async fn a_throttled_proxy_takes_the_time_that_its_rate_needs() {
    let proxy = Proxy::start(echo().await).await.expect("a free port");
    proxy.throttle(20_000);
    let mut stream = TcpStream::connect(proxy.address()).await.expect("it accepts");
    let began = Instant::now();
    stream.write_all(&[7; 10_000]).await.expect("it takes");
    stream.read_exact(&mut [0; 10_000]).await.expect("it answers");
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_child_is_stopped_goes_on_and_is_killed_and_what_it_said_is_kept() {
    let mut child = Process::spawn(shell("echo one; echo two; exec yes")).expect("it starts");
    child.wait_for(PATIENCE, |line| line == "two").expect("it says so");
    child.pause().expect("it stops");
    // What it wrote before the stop is drained; then there is nothing more.
    while child.line(Duration::from_millis(200)).is_some() {}
    assert!(child.ended().expect("it can be asked").is_none());
    child.resume().expect("it goes on");
    child.wait_for(PATIENCE, |line| line == "y").expect("it goes on");
    let status = child.kill().expect("it is killed");
    assert!(!status.success());
    assert!(child.lines_to_the_end().all(|line| line.starts_with('y') || line.is_empty()));
    child.resume().expect_err("it has ended");
}

#[test]
fn a_skewed_child_sees_another_time() {
    let mut command = shell("date +%s");
    skew_clock(&mut command, -7200).expect("libfaketime is there");
    let child = Process::spawn(command).expect("it starts");
    let seen: u64 = child.line(PATIENCE).expect("it says so").parse().expect("a number");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert!((7190..7260).contains(&(now - seen)), "{seen} {now}");
}
