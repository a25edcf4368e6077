//! A network that fails on command, between a client and its server.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A TCP proxy on loopback, for a client that is to live through a bad network. Dropping it cuts
/// everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: watch::Sender<String>,
    state: Arc<watch::Sender<State>>,
    listening: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Open,
    Stalled,
    /// What the client sends is passed on, and what the server answers is not.
    Silent,
    Refused,
    /// Bytes per second, in each direction of each connection.
    Narrow(u32),
}

#[derive(Debug, Clone, Copy)]
struct State {
    way: Way,
    /// Connections belong to the time between two cuts.
    cuts: u64,
    /// Connections older than the last of these are silent, whatever the way.
    vanished: u64,
}

impl Proxy {
    /// Listens on a free port and passes everything on to this address, `host:port`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(target: impl Into<String>) -> io::Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), target).await
    }

    /// Listens on this address and passes everything on to the target, `host:port`: for a server that
    /// tells its clients where to connect.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn listen(address: SocketAddr, target: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (state, changes) = watch::channel(State { way: Way::Open, cuts: 0, vanished: 0 });
        let (target, targets) = watch::channel(target.into());
        let listening = tokio::spawn(listen(listener, address, targets, changes));
        Ok(Self { address, target, state: Arc::new(state), listening })
    }

    /// Where the client is to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes new connections on to this address, `host:port`: an address that moves with a fail-over.
    pub fn lead_to(&self, target: impl Into<String>) {
        self.target.send_replace(target.into());
    }

    /// Passes everything on; what was held back goes on.
    pub fn pass(&self) {
        self.state.send_modify(|state| state.way = Way::Open);
    }

    /// Closes every connection. New ones are as they were.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Closes every connection, and new ones are refused, as if nobody listened.
    pub fn refuse(&self) {
        self.state.send_modify(|state| {
            *state = State { way: Way::Refused, cuts: state.cuts + 1, ..*state };
        });
    }

    /// Keeps every connection, takes new ones, and passes nothing on: a host that has vanished.
    pub fn stall(&self) {
        self.state.send_modify(|state| state.way = Way::Stalled);
    }

    /// Keeps the connections that there are until they are cut, and passes nothing on, not even that the server
    /// closes one. New ones are as they were: a host has vanished, and another one has its address.
    pub fn vanish(&self) {
        self.state.send_modify(|state| state.vanished += 1);
    }

    /// Passes on what the client sends, and nothing that the server answers: the work is done, and
    /// nobody is told.
    pub fn swallow_replies(&self) {
        self.state.send_modify(|state| state.way = Way::Silent);
    }

    /// Passes on no more than this many bytes a second, in each direction of each connection.
    pub fn throttle(&self, bytes_per_second: u32) {
        self.state.send_modify(|state| state.way = Way::Narrow(bytes_per_second.max(1)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    address: SocketAddr,
    target: watch::Receiver<String>,
    mut changes: watch::Receiver<State>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let state = *changes.borrow_and_update();
        if state.way == Way::Refused {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            Ok((client, _)) = accepted => {
                connections.spawn(connect(client, target.borrow().clone(), changes.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until an end closes it or it is cut.
async fn connect(client: TcpStream, target: String, mut changes: watch::Receiver<State>) {
    let cuts = changes.borrow().cuts;
    let pumps = changes.clone();
    let served = async {
        let server = TcpStream::connect(target).await?;
        // A small message must not wait for the next one.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::try_join!(
            pump(from_client, to_server, pumps.clone(), &[Way::Stalled]),
            pump(from_server, to_client, pumps, &[Way::Stalled, Way::Silent])
        )
    };
    tokio::select! {
        // What is held back when it is cut is never passed on.
        biased;
        // Both ends see the close: the halves are dropped.
        _ = changes.wait_for(|state| state.cuts != cuts) => {}
        _ = served => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut changes: watch::Receiver<State>,
    closed: &[Way],
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    let vanished = changes.borrow().vanished;
    loop {
        let most = match changes.borrow().way {
            // About ten steps a second.
            Way::Narrow(rate) => (rate as usize / 10).clamp(1, bytes.len()),
            _ => bytes.len(),
        };
        let read = from.read(&mut bytes[..most]).await?;
        // What came while the way was closed waits here.
        let passes = |state: &State| state.vanished == vanished && !closed.contains(&state.way);
        let way = changes.wait_for(passes).await.map_err(io::Error::other)?.way;
        if read == 0 {
            return to.shutdown().await;
        }
        if let Way::Narrow(rate) = way {
            tokio::time::sleep(Duration::from_secs_f64(read as f64 / f64::from(rate))).await;
        }
        to.write_all(&bytes[..read]).await?;
    }
}
