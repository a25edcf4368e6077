//! A publisher that writes its frames itself: the client sends no string that is not UTF-8.

use lapin::uri::AMQPUri;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Class and method.
type Method = [u16; 2];

const START: Method = [10, 10];
const START_OK: Method = [10, 11];
const TUNE: Method = [10, 30];
const TUNE_OK: Method = [10, 31];
const OPEN: Method = [10, 40];
const OPEN_OK: Method = [10, 41];
const CHANNEL_OPEN: Method = [20, 10];
const CHANNEL_OPEN_OK: Method = [20, 11];
const PUBLISH: Method = [60, 40];
const ACK: Method = [60, 80];
const CONFIRM: Method = [85, 10];
const CONFIRM_OK: Method = [85, 11];

/// Types of frames.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// Behind each frame.
const END: u8 = 0xce;

/// Publishes a message whose `correlation-id` is no UTF-8, and waits until it is confirmed.
pub(crate) async fn publish_unreadable(url: &str, queue: &str) {
    let uri: AMQPUri = url.parse().expect("a URL");
    let authority = &uri.authority;
    let address = (authority.host.as_str(), authority.port);
    let mut raw = Raw(TcpStream::connect(address).await.expect("a server"));
    raw.0.write_all(b"AMQP\0\0\x09\x01").await.expect("it listens");
    raw.hear(START).await;

    let user = &authority.userinfo;
    let response = format!("\0{}\0{}", user.username, user.password);
    let length = u32::try_from(response.len()).expect("a short name").to_be_bytes();
    let no_properties = [0_u8; 4];
    let start =
        joined(&[&no_properties, &short(b"PLAIN"), &length, response.as_bytes(), &short(b"en_US")]);
    raw.say(0, START_OK, &start).await;
    // What the server offers, without heartbeats.
    let mut tuned = raw.hear(TUNE).await;
    tuned[6..8].fill(0);
    raw.say(0, TUNE_OK, &tuned).await;
    raw.say(0, OPEN, &joined(&[&short(uri.vhost.as_bytes()), &short(b""), &[0]])).await;
    raw.hear(OPEN_OK).await;
    raw.say(1, CHANNEL_OPEN, &short(b"")).await;
    raw.hear(CHANNEL_OPEN_OK).await;
    raw.say(1, CONFIRM, &[0]).await;
    raw.hear(CONFIRM_OK).await;

    let to = joined(&[&[0, 0], &short(b""), &short(queue.as_bytes()), &[0]]);
    raw.say(1, PUBLISH, &to).await;
    // Class 60, weight 0, one byte of payload; of the properties only the `correlation-id`.
    let header = [0_u8, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x04, 0x00];
    raw.frame(HEADER, 1, &joined(&[&header, &short(&[0xff, 0xfe])])).await;
    raw.frame(BODY, 1, b"x").await;
    raw.hear(ACK).await;
}

struct Raw(TcpStream);

impl Raw {
    async fn say(&mut self, channel: u16, [class, method]: Method, arguments: &[u8]) {
        let payload = joined(&[&class.to_be_bytes(), &method.to_be_bytes(), arguments]);
        self.frame(METHOD, channel, &payload).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
        let frame = joined(&[&[kind], &channel.to_be_bytes(), &length, payload, &[END]]);
        self.0.write_all(&frame).await.expect("the server is there");
    }

    /// Waits for this method; its arguments.
    async fn hear(&mut self, awaited: Method) -> Vec<u8> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).await.expect("the server answers");
        let [kind, _, _, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).expect("a small frame");
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.expect("all of the frame");
        assert_eq!(self.0.read_u8().await.expect("its end"), END);
        let arguments = payload.split_off(4);
        let heard = [[payload[0], payload[1]], [payload[2], payload[3]]].map(u16::from_be_bytes);
        let said = String::from_utf8_lossy(&arguments);
        assert_eq!((kind, heard), (METHOD, awaited), "{said}");
        arguments
    }
}

/// A short string, whatever it holds.
fn short(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("a short string");
    joined(&[&[length], bytes])
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
