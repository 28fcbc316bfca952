//! KWIK's bytes, well-formed or not, as docs/PROTOCOL.md describes them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The largest integer of the wire (section 1).
pub const MAX_VARINT: u64 = (1 << 62) - 1;

/// The types of frames (section 4.2).
#[allow(missing_docs, reason = "the table of section 4.2 says what they are")]
pub mod kind {
    pub const HELLO: u64 = 0x01;
    pub const ACCEPT: u64 = 0x02;
    pub const REJECT: u64 = 0x03;
    pub const PATH_STATUS: u64 = 0x04;
    pub const PING: u64 = 0x05;
    pub const PONG: u64 = 0x06;
    pub const ACK: u64 = 0x07;
    pub const PATH_REPORT: u64 = 0x08;
    pub const MAX_DATA: u64 = 0x09;
    pub const MAX_STREAM_DATA: u64 = 0x0a;
    pub const MAX_STREAMS: u64 = 0x0b;
    pub const RESET_STREAM: u64 = 0x0c;
    pub const STOP_SENDING: u64 = 0x0d;
    pub const ADD_PATH: u64 = 0x0e;
    pub const REMOVE_PATH: u64 = 0x0f;
    pub const PATH_CLOSE: u64 = 0x10;
    pub const GOAWAY: u64 = 0x11;
    pub const CLOSE: u64 = 0x12;
    pub const STREAM: u64 = 0x13;
    pub const DATAGRAM: u64 = 0x14;
    /// Reserved: it never gets a meaning (section 8).
    pub const GREASE: u64 = 0x5f;
}

/// The header of a control lane (section 2.2).
pub const CONTROL_LANE: u8 = 0x01;

/// A varint in the fewest bytes (RFC 9000 section 16).
pub fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
        _ => long_varint(value),
    }
}

/// The same in eight bytes, whatever the value.
pub fn long_varint(value: u64) -> Vec<u8> {
    assert!(value <= MAX_VARINT);
    (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec()
}

/// Several varints.
pub fn varints(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| varint(*value)).collect()
}

/// A frame: type, length, body.
pub fn frame(kind: u64, body: &[u8]) -> Vec<u8> {
    [varint(kind), varint(body.len() as u64), body.to_vec()].concat()
}

/// A frame whose body is integers.
pub fn numbers(kind: u64, body: &[u64]) -> Vec<u8> {
    frame(kind, &varints(body))
}

/// A text: its length and its bytes.
pub fn text(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// The name and the keys of a session, from its first ACCEPT.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "section 3.2 says what they are")]
pub struct Credentials {
    pub session: [u8; 16],
    pub resume_key: [u8; 32],
    pub nonce: [u8; 16],
}

impl Credentials {
    /// The proof that path `id` may join (section 3.3).
    pub fn proof(&self, id: u64) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.resume_key).expect("any length will do");
        mac.update(b"kwik/1 join");
        mac.update(&self.session);
        mac.update(&id.to_be_bytes());
        mac.update(&self.nonce);
        mac.finalize().into_bytes().into()
    }
}

/// Parameters (section 4.3) that let the peer do as much as anybody does: 64 MiB, 1,000 streams of each kind,
/// datagrams, 8 paths, 30 s.
pub fn parameters() -> Vec<u8> {
    let values =
        [(1, 1 << 26), (2, 1 << 26), (3, 1_000), (4, 1_000), (5, 65_000), (6, 8), (7, 30_000), (8, 25)];
    values.iter().flat_map(|(id, value)| parameter(*id, *value)).collect()
}

/// One parameter.
pub fn parameter(id: u64, value: u64) -> Vec<u8> {
    let value = varint(value);
    [varint(id), varint(value.len() as u64), value].concat()
}

/// HELLO for a new session.
pub fn hello_new() -> Vec<u8> {
    hello(&[1], 0, &varint(0), &parameters())
}

/// HELLO of a path that joins, with this proof.
pub fn hello_join(session: &[u8; 16], path: u64, proof: &[u8; 32]) -> Vec<u8> {
    hello(&[1], path, &[&[1][..], session, proof].concat(), &parameters())
}

/// HELLO with everything given.
pub fn hello(versions: &[u64], path: u64, intent: &[u8], parameters: &[u8]) -> Vec<u8> {
    let versions = [varint(versions.len() as u64), varints(versions)].concat();
    frame(kind::HELLO, &[versions, varint(path), intent.to_vec(), parameters.to_vec()].concat())
}

/// ACCEPT, with credentials.
pub fn accept(version: u64, credentials: &Credentials) -> Vec<u8> {
    accept_with(version, credentials, &parameters())
}

/// The same, with these parameters.
pub fn accept_with(version: u64, credentials: &Credentials, parameters: &[u8]) -> Vec<u8> {
    let Credentials { session, resume_key, nonce } = credentials;
    let keys = [&session[..], &[1], resume_key, nonce].concat();
    let body = [varint(version), keys, parameters.to_vec()];
    frame(kind::ACCEPT, &body.concat())
}

/// ACCEPT of a path that joined.
pub fn accept_join(session: &[u8; 16]) -> Vec<u8> {
    frame(kind::ACCEPT, &[varint(1), session.to_vec(), vec![0], parameters()].concat())
}

/// REJECT.
pub fn reject(code: u64, reason: &[u8]) -> Vec<u8> {
    frame(kind::REJECT, &[varint(code), text(reason)].concat())
}

/// PATH_CLOSE.
pub fn path_close(path: u64, code: u64, reason: &[u8]) -> Vec<u8> {
    frame(kind::PATH_CLOSE, &[varint(path), varint(code), text(reason)].concat())
}

/// CLOSE.
pub fn close(flags: u64, code: u64, reason: &[u8]) -> Vec<u8> {
    frame(kind::CLOSE, &[varint(flags), varint(code), text(reason)].concat())
}

/// ADD_PATH without a certificate's hash.
pub fn add_path(advice: u64, authority: &str) -> Vec<u8> {
    frame(kind::ADD_PATH, &[varints(&[advice, 0, 0]), text(authority.as_bytes())].concat())
}

/// ACK with ranges of (gap, length).
pub fn ack(stream: u64, complete: bool, contiguous: u64, ranges: &[(u64, u64)]) -> Vec<u8> {
    let head = varints(&[stream, u64::from(complete), contiguous, ranges.len() as u64]);
    let ranges = ranges.iter().flat_map(|(gap, length)| varints(&[*gap, *length])).collect();
    frame(kind::ACK, &[head, ranges].concat())
}

/// STREAM: a chunk on the control lane.
pub fn stream(stream: u64, offset: u64, fin: bool, data: &[u8]) -> Vec<u8> {
    frame(kind::STREAM, &[varints(&[stream, offset, u64::from(fin)]), data.to_vec()].concat())
}

/// The header of a STREAM lane.
pub fn lane(stream: u64) -> Vec<u8> {
    varints(&[0x00, stream])
}

/// A record (section 5.1).
pub fn record(offset: u64, fin: bool, data: &[u8]) -> Vec<u8> {
    [record_head(offset, fin, data.len() as u64), data.to_vec()].concat()
}

/// A record's first two fields.
pub fn record_head(offset: u64, fin: bool, length: u64) -> Vec<u8> {
    varints(&[offset, length << 1 | u64::from(fin)])
}

/// The id of the client's `index`th bidirectional stream (RFC 9000 section 2.1).
pub fn client_bidi(index: u64) -> u64 {
    index << 2
}

/// The id of the client's `index`th unidirectional stream.
pub fn client_uni(index: u64) -> u64 {
    index << 2 | 2
}

/// The id of the server's `index`th bidirectional stream.
pub fn server_bidi(index: u64) -> u64 {
    index << 2 | 1
}

/// The id of the server's `index`th unidirectional stream.
pub fn server_uni(index: u64) -> u64 {
    index << 2 | 3
}

/// Takes bytes apart from the front.
#[derive(Clone, Debug)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next varint, if it is there as a whole.
    pub fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        Some(value & (u64::MAX >> (66 - 8 * bytes.len())))
    }

    /// The next `len` bytes, if they are there.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next bytes of this number, if they are there.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

/// A frame that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u64,
    /// Its body.
    pub body: Vec<u8>,
}

impl Frame {
    /// Takes a whole frame from the front of `bytes`.
    pub fn read(bytes: &mut Vec<u8>) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let kind = cursor.varint()?;
        let length = cursor.varint()?;
        let body = cursor.take(length.try_into().ok()?)?.to_vec();
        let rest = cursor.0.len();
        bytes.drain(..bytes.len() - rest);
        Some(Self { kind, body })
    }

    /// The body's first `N` fields, all of them integers.
    pub fn fields<const N: usize>(&self) -> [u64; N] {
        let mut cursor = Cursor(&self.body);
        std::array::from_fn(|_| cursor.varint().unwrap_or_else(|| panic!("too short: {self:?}")))
    }

    /// What an ACCEPT gives.
    pub fn credentials(&self) -> Credentials {
        let read = || {
            let mut cursor = Cursor(&self.body);
            cursor.varint()?;
            let session = cursor.array()?;
            (cursor.varint()? == 1).then_some(())?;
            Some(Credentials { session, resume_key: cursor.array()?, nonce: cursor.array()? })
        };
        read().unwrap_or_else(|| panic!("no credentials: {self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of section 10, by name.
    fn example(name: &str) -> Vec<u8> {
        let text = include_str!("../../../docs/PROTOCOL.md");
        let (_, from) = text.split_once(&format!("\n{name}:")).expect("an example of this name");
        let mut lines = from.lines();
        let first = lines.next().unwrap_or_default().trim();
        let more = lines.take_while(|line| line.starts_with(' ')).map(str::trim);
        let hex: String = std::iter::once(first).chain(more).collect();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn what_is_written_here_is_what_the_specification_shows() {
        assert_eq!(varint(37), example("VARINT-37"));
        assert_eq!(varint(15_293), example("VARINT-15293"));
        assert_eq!([lane(0), record(0, true, b"GET")].concat(), example("LANE-REQUEST"));
        assert_eq!(record(70_000, true, b"world"), example("RECORD-FIN"));
        assert_eq!(reject(0x0e, b"full"), example("REJECT"));
        assert_eq!(ack(4, false, 1_000, &[(100, 100), (5, 15)]), example("ACK"));
        assert_eq!(path_close(1, 0x0f, b"wifi gone"), example("PATH_CLOSE"));
        assert_eq!(close(1, 42, b"bye"), example("CLOSE"));
        assert_eq!(stream(0, 3, true, b"hi"), example("STREAM"));
    }

    #[test]
    fn a_proof_is_the_one_that_the_specification_shows() {
        let accept = Frame::read(&mut example("ACCEPT-NEW")).unwrap();
        assert_eq!(accept.credentials().proof(1).to_vec(), example("PROOF"));
    }
}
