//! The application at each end: makes calls on its session, reads all that arrives, and accounts for every byte.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kwik::proto::config::PathPolicy;
use kwik::proto::error::ReadError;
use kwik::proto::session::Session;
use kwik::proto::streams::recv::Read;
use kwik::proto::time::Time;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::id::{Dir, Side, StreamId};

/// A call that an application may make on its session.
#[expect(missing_docs, reason = "each variant says what `stream` is; `bytes` are bytes, `on` is yes or no")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Open a stream of this kind.
    Open(Dir),
    /// Write so many bytes to the `stream`th stream that it may write to.
    Write { stream: u8, bytes: u16 },
    /// Finish the `stream`th stream that it may write to.
    Finish { stream: u8 },
    /// Reset the `stream`th stream that it may write to.
    Reset { stream: u8 },
    /// Read no more of the `stream`th stream that it reads.
    Stop { stream: u8 },
    /// Send the `stream`th stream that it may write to on all paths, or leave the choice to the scheduler.
    Copy { stream: u8, on: bool },
    /// Read all that arrives, or nothing.
    Read { on: bool },
    /// Send a datagram on all paths.
    Datagram,
    /// Open no more streams.
    Drain,
    /// Close the session when everything is delivered.
    Close,
    /// Close it now.
    Abort,
}

/// The bytes of one direction of a stream, counted by both applications.
#[derive(Debug, Default)]
pub(crate) struct Account {
    written_bytes: u64,
    finished: bool,
    /// The writer has reset it, or the reader has stopped it.
    given_up: bool,
    read_bytes: u64,
    read_to_end: bool,
}

/// The accounts of all streams, by writing side and stream.
pub(crate) type Accounts = BTreeMap<(Side, StreamId), Account>;

#[derive(Debug)]
pub(crate) struct App {
    side: Side,
    writes: Vec<StreamId>,
    reads: Vec<StreamId>,
    is_reading: bool,
    datagrams_sent: u32,
    datagrams_seen: BTreeSet<u32>,
}

/// The byte of every stream at this offset.
fn pattern(stream: StreamId, side: Side, offset: u64) -> u8 {
    (offset.wrapping_mul(31) ^ stream.0.wrapping_mul(17) ^ side as u64) as u8
}

impl App {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            writes: Vec::new(),
            reads: Vec::new(),
            is_reading: true,
            datagrams_sent: 0,
            datagrams_seen: BTreeSet::new(),
        }
    }

    /// Makes a call, which does nothing where the session refuses it.
    pub(crate) fn call(&mut self, now: Time, session: &mut Session, accounts: &mut Accounts, call: Call) {
        let side = self.side;
        let nth = |list: &[StreamId], n: u8| list.get(usize::from(n) % list.len().max(1)).copied();
        match call {
            Call::Open(dir) => {
                if let Ok(Some(id)) = session.open(dir) {
                    self.take_up(id);
                    accounts.entry((side, id)).or_default();
                }
            }
            Call::Write { stream, bytes } => {
                let Some(id) = nth(&self.writes, stream) else { return };
                let account = accounts.entry((side, id)).or_default();
                let from = account.written_bytes;
                let mut data: Bytes =
                    (from..from + u64::from(bytes)).map(|offset| pattern(id, side, offset)).collect();
                account.written_bytes += session.write(id, &mut data).unwrap_or(0) as u64;
            }
            Call::Finish { stream } => {
                let Some(id) = nth(&self.writes, stream) else { return };
                if session.finish(id).is_ok() {
                    accounts.entry((side, id)).or_default().finished = true;
                }
            }
            Call::Reset { stream } => {
                let Some(id) = nth(&self.writes, stream) else { return };
                if session.reset(now, id, AppCode::new(7)).is_ok() {
                    accounts.entry((side, id)).or_default().given_up = true;
                }
            }
            Call::Stop { stream } => {
                let Some(id) = nth(&self.reads, stream) else { return };
                if session.stop(now, id, AppCode::new(8)).is_ok() {
                    accounts.entry((side.peer(), id)).or_default().given_up = true;
                }
            }
            Call::Copy { stream, on } => {
                let Some(id) = nth(&self.writes, stream) else { return };
                session.set_policy(id, if on { PathPolicy::Redundant } else { PathPolicy::Any });
            }
            Call::Read { on } => self.is_reading = on,
            Call::Datagram => {
                let data = Bytes::copy_from_slice(&self.datagrams_sent.to_be_bytes());
                if session.send_datagram(now, data, PathPolicy::Redundant).is_ok() {
                    self.datagrams_sent += 1;
                }
            }
            Call::Drain => session.drain(now),
            Call::Close => session.close(now, AppCode::new(5), Bytes::from_static(b"done")),
            Call::Abort => session.abort(now, AppCode::new(6), Bytes::new()),
        }
    }

    fn take_up(&mut self, id: StreamId) {
        if id.initiator() == self.side || id.dir() == Dir::Bi {
            self.writes.push(id);
        }
        if id.initiator() != self.side || id.dir() == Dir::Bi {
            self.reads.push(id);
        }
    }

    /// Takes all that has arrived, unless it is not to read, and compares.
    pub(crate) fn read_all(&mut self, now: Time, session: &mut Session, accounts: &mut Accounts) {
        if !self.is_reading {
            return;
        }
        for dir in [Dir::Bi, Dir::Uni] {
            while let Some(id) = session.accept(dir) {
                self.take_up(id);
            }
        }
        for id in self.reads.clone() {
            let writer = self.side.peer();
            let account = accounts.entry((writer, id)).or_default();
            loop {
                match session.read(now, id, usize::MAX) {
                    Ok(Read::Data(data)) => account.check(id, writer, &data),
                    Ok(Read::Finished) => {
                        assert!(account.finished, "{id} ends, but was never finished");
                        assert_eq!(account.read_bytes, account.written_bytes, "{id} ends early");
                        account.read_to_end = true;
                    }
                    Ok(Read::Blocked) => break,
                    Err(ReadError::Reset { .. }) => {
                        assert!(account.given_up, "{id} was reset, but neither end has given it up");
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
        while let Some(data) = session.recv_datagram(now) {
            let number = u32::from_be_bytes(data[..].try_into().expect("a datagram of ours"));
            assert!(self.datagrams_seen.insert(number), "datagram {number} came twice");
        }
    }

    pub(crate) fn check_datagrams(&self, sender: &App) {
        assert!(self.datagrams_seen.last().is_none_or(|last| *last < sender.datagrams_sent));
    }
}

impl Account {
    fn check(&mut self, id: StreamId, writer: Side, data: &[u8]) {
        for byte in data {
            assert_eq!(*byte, pattern(id, writer, self.read_bytes), "{id} at {}", self.read_bytes);
            self.read_bytes += 1;
        }
        assert!(self.read_bytes <= self.written_bytes, "{id}: bytes that were never written");
    }

    /// Whether the reader has all that it is owed.
    pub(crate) fn is_settled(&self) -> bool {
        self.given_up || (self.read_bytes == self.written_bytes && self.read_to_end == self.finished)
    }
}
