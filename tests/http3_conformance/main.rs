//! What a client of HTTP/3 may do and may not, byte by byte, over sockets, and what the server has to make of it: RFC
//! 9114 (HTTP/3), 9204 (QPACK), 9220 (extended CONNECT), 9297 (datagrams and capsules), draft-ietf-webtrans-http3-16.
//!
//! A case names its rule, says what the client does from where on, and what must happen. Where only a stream ends, the
//! connection has to go on: a request that follows is answered.

mod control_stream;
mod frames;
mod peer;
mod qpack;
mod requests;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use std::fmt::Debug;

use peer::Peer;
use support::{server_and_plain_quic, within_patience};

/// Codes of RFC 9114 section 8.1, RFC 9204 section 6, RFC 9297 section 5.2 and the draft's section 9.5.
mod code {
    pub(crate) const DATAGRAM_ERROR: u64 = 0x33;
    pub(crate) const NO_ERROR: u64 = 0x100;
    pub(crate) const STREAM_CREATION_ERROR: u64 = 0x103;
    pub(crate) const CLOSED_CRITICAL_STREAM: u64 = 0x104;
    pub(crate) const FRAME_UNEXPECTED: u64 = 0x105;
    pub(crate) const FRAME_ERROR: u64 = 0x106;
    pub(crate) const EXCESSIVE_LOAD: u64 = 0x107;
    pub(crate) const ID_ERROR: u64 = 0x108;
    pub(crate) const SETTINGS_ERROR: u64 = 0x109;
    pub(crate) const MISSING_SETTINGS: u64 = 0x10a;
    pub(crate) const REQUEST_CANCELLED: u64 = 0x10c;
    pub(crate) const REQUEST_INCOMPLETE: u64 = 0x10d;
    pub(crate) const MESSAGE_ERROR: u64 = 0x10e;
    pub(crate) const DECOMPRESSION_FAILED: u64 = 0x200;
    pub(crate) const ENCODER_STREAM_ERROR: u64 = 0x201;
    pub(crate) const DECODER_STREAM_ERROR: u64 = 0x202;
    pub(crate) const BUFFERED_STREAM_REJECTED: u64 = 0x3994_bd84;
}

/// How far the client is before a case begins. Streams of each kind are numbered from 0 in the order of their opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// It has said nothing.
    Nothing,
    /// It has sent SETTINGS, on unidirectional stream 0.
    Settings,
    /// A session is open, on bidirectional stream 0; no lane is.
    Open,
    /// The session is KWIK's: HELLO was answered, on bidirectional stream 1.
    Bound,
}

/// What the client does.
#[derive(Debug)]
enum Do {
    /// Writes on one of its streams, which it opens if need be.
    Bi(usize, Vec<u8>),
    Uni(usize, Vec<u8>),
    FinishBi(usize),
    FinishUni(usize),
    ResetBi(usize),
    ResetUni(usize),
    /// Asks the server to write no more on its control stream.
    StopControl,
    Datagram(Vec<u8>),
    /// Waits until the server has what was said before, which a reset would take back.
    Settle,
}

/// What must happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    /// The connection ends with this code.
    Close(u64),
    /// A request has this answer, and the connection goes on.
    Answer(usize, u16),
    /// The server's half of a bidirectional stream ends with this code, and the connection goes on.
    Reset(usize, u64),
    /// Nobody wants a unidirectional stream, for this reason, and the connection goes on.
    StopUni(usize, u64),
    /// Both halves of a bidirectional lane end with this code, and the connection goes on.
    Reject(usize, u64),
    /// Nothing but that the connection goes on.
    GoOn,
}

/// A line of the table.
struct Case {
    name: &'static str,
    rule: &'static str,
    from: From,
    does: Vec<Do>,
    must: Must,
}

fn case(name: &'static str, rule: &'static str, from: From, does: Vec<Do>, must: Must) -> Case {
    Case { name, rule, from, does, must }
}

/// Tries all cases, each on a connection of its own with the same server.
async fn hold(cases: Vec<Case>) {
    let (listener, quic) = server_and_plain_quic(b"h3").await;
    let server = listener.local_addrs()[0];
    // Sessions that are opened belong to nobody.
    let accepting = tokio::spawn(async move {
        let mut sessions = Vec::new();
        while let Some(session) = listener.accept().await {
            sessions.push(session);
        }
    });
    let mut broken = Vec::new();
    let count = cases.len();
    for Case { name, rule, from, does, must } in cases {
        let happened = within_patience(async {
            let mut peer = Peer::connect(&quic, server, from).await;
            for step in does {
                peer.perform(step).await;
            }
            peer.observe(must).await
        });
        if let Err(happened) = happened.await {
            broken.push(format!("{name} ({rule}): must {must:x?}, and {happened}"));
        }
    }
    accepting.abort();
    assert!(broken.is_empty(), "{} of {count} broken:\n{}", broken.len(), broken.join("\n"));
    println!("{count} cases hold");
}

/// Says what happened instead.
fn otherwise<T>(happened: impl Debug) -> Result<T, String> {
    Err(format!("there was {happened:x?}"))
}
