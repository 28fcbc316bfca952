//! The applications at both ends, and the oracle: what is read must be what was written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;

use bytes::Bytes;
use kwik::proto::config::PathPolicy;
use kwik::proto::error::{OpenError, ReadError, WriteError};
use kwik::proto::event::{Event, SessionEvent};
use kwik::proto::session::Session;
use kwik::proto::streams::recv::Read;
use kwik::proto::time::Time;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::id::{Dir, Side, StreamId};

pub(crate) const RESET: AppCode = AppCode::new(77);
pub(crate) const STOP: AppCode = AppCode::new(88);

/// A prime, so that no size of a chunk or a buffer divides it.
const PERIOD: usize = 65_521;

/// The pattern that all streams carry, twice over.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let once = (0..PERIOD as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8);
    once.clone().chain(once).collect()
});

/// At most `len` bytes of what `sender` writes on `stream` at `offset`.
pub(crate) fn content(sender: Side, stream: StreamId, offset: u64, len: u64) -> Bytes {
    let shift = stream.0 * 7_919 + if sender == Side::Client { 0 } else { 31 };
    let start = ((offset + shift) % PERIOD as u64) as usize;
    PATTERN.slice(start..start + len.min(PERIOD as u64) as usize)
}

/// What happens on one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) dir: Dir,
    /// What the end that opens it writes.
    pub(crate) there: u64,
    /// What the other end writes, on a bidirectional stream.
    pub(crate) back: u64,
    pub(crate) write_bytes: u64,
    pub(crate) policy: PathPolicy,
    pub(crate) priority: i32,
    /// The end that opens it gives up after this many bytes.
    pub(crate) reset_after: Option<u64>,
    /// The other end stops reading after this many bytes.
    pub(crate) stop_after: Option<u64>,
    /// The other end reads about so much and no more, until [`App::read_on`].
    pub(crate) pause_after: Option<u64>,
}

impl Plan {
    pub(crate) fn uni(there: u64) -> Self {
        Self {
            dir: Dir::Uni,
            there,
            back: 0,
            write_bytes: 60_000,
            policy: PathPolicy::Any,
            priority: 0,
            reset_after: None,
            stop_after: None,
            pause_after: None,
        }
    }

    pub(crate) fn bi(there: u64, back: u64) -> Self {
        Self { dir: Dir::Bi, back, ..Self::uni(there) }
    }
}

/// How one direction of a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    Reset,
    Stopped,
    Session,
}

#[derive(Debug)]
struct Outgoing {
    total: u64,
    written: u64,
    finished: bool,
    plan: Plan,
    own: bool,
}

#[derive(Debug)]
struct Incoming {
    total: u64,
    read: u64,
    stop_after: Option<u64>,
    pause_after: Option<u64>,
}

/// One end's application.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) side: Side,
    pub(crate) wants: VecDeque<Plan>,
    outgoing: BTreeMap<StreamId, Outgoing>,
    incoming: BTreeMap<StreamId, Incoming>,
    /// How sending ended, by stream.
    pub(crate) sent: BTreeMap<StreamId, End>,
    /// How receiving ended, by stream.
    pub(crate) received: BTreeMap<StreamId, End>,
    pub(crate) received_bytes: u64,
    pub(crate) session_events: Vec<SessionEvent>,
    pub(crate) pongs: u64,
    pub(crate) opened: bool,
    pub(crate) closed: bool,
    pub(crate) datagrams: BTreeSet<u64>,
    /// Reads at most this much at one time, when asked to; `None`: all, at once.
    pub(crate) reads_slowly: Option<u64>,
    pub(crate) finished_at: Time,
    readable: BTreeSet<StreamId>,
}

/// What each end needs to know of the streams that the other one opens.
pub(crate) type Plans = BTreeMap<StreamId, Plan>;

impl App {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            wants: VecDeque::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            sent: BTreeMap::new(),
            received: BTreeMap::new(),
            received_bytes: 0,
            session_events: Vec::new(),
            pongs: 0,
            opened: false,
            closed: false,
            datagrams: BTreeSet::new(),
            reads_slowly: None,
            finished_at: Time::ZERO,
            readable: BTreeSet::new(),
        }
    }

    /// Whether all that it wanted to do and had to do is done.
    pub(crate) fn is_done(&self) -> bool {
        self.wants.is_empty() && self.outgoing.is_empty() && self.incoming.is_empty()
    }

    pub(crate) fn unfinished(&self) -> String {
        format!("wants {:?}\nsends {:?}\nreceives {:?}", self.wants, self.outgoing, self.incoming)
    }

    pub(crate) fn on_event(&mut self, now: Time, session: &mut Session, plans: &mut Plans, event: Event) {
        match event {
            Event::Opened => {
                self.opened = true;
                self.open_wanted(now, session, plans);
            }
            Event::Available(_) => self.open_wanted(now, session, plans),
            Event::Incoming(dir) => self.accept(now, session, plans, dir),
            Event::Readable(id) => self.on_readable(now, session, id),
            Event::Writable(id) => self.write(now, session, id),
            Event::SendDone(id) => self.on_send_done(now, session, id),
            Event::Datagram => self.on_datagram(now, session),
            Event::Pong(..) => self.pongs += 1,
            Event::Session(event) => self.session_events.push(event),
            Event::Closed => self.on_closed(now, session),
        }
    }

    pub(crate) fn open_wanted(&mut self, now: Time, session: &mut Session, plans: &mut Plans) {
        while let Some(plan) = self.wants.front().copied() {
            let id = match session.open(plan.dir) {
                Ok(Some(id)) => id,
                Ok(None) => return,
                Err(OpenError::GoingAway) => return self.wants.clear(),
                Err(error) => panic!("{:?} cannot open a stream: {error}", self.side),
            };
            self.wants.pop_front();
            plans.insert(id, plan);
            self.begin_sending(now, session, id, plan, true);
            if plan.dir == Dir::Bi {
                self.begin_receiving(now, session, id, plan, true);
            }
        }
    }

    fn accept(&mut self, now: Time, session: &mut Session, plans: &Plans, dir: Dir) {
        while let Some(id) = session.accept(dir) {
            let plan = plans[&id];
            self.begin_receiving(now, session, id, plan, false);
            if dir == Dir::Bi {
                self.begin_sending(now, session, id, plan, false);
            }
        }
    }

    fn begin_sending(&mut self, now: Time, session: &mut Session, id: StreamId, plan: Plan, own: bool) {
        session.set_priority(id, plan.priority);
        session.set_policy(id, plan.policy);
        let total = if own { plan.there } else { plan.back };
        self.outgoing.insert(id, Outgoing { total, written: 0, finished: false, plan, own });
        self.write(now, session, id);
    }

    fn begin_receiving(&mut self, now: Time, session: &mut Session, id: StreamId, plan: Plan, own: bool) {
        let (total, stop_after, pause_after) =
            if own { (plan.back, None, None) } else { (plan.there, plan.stop_after, plan.pause_after) };
        self.incoming.insert(id, Incoming { total, read: 0, stop_after, pause_after });
        self.on_readable(now, session, id);
    }

    fn write(&mut self, now: Time, session: &mut Session, id: StreamId) {
        let Some(out) = self.outgoing.get_mut(&id) else { return };
        while !out.finished {
            let give_up = out.own && out.plan.reset_after.is_some_and(|after| out.written >= after);
            let outcome = if give_up {
                out.finished = true;
                session.reset(now, id, RESET)
            } else if out.written == out.total {
                out.finished = true;
                session.finish(id)
            } else {
                let len = (out.total - out.written).min(out.plan.write_bytes);
                let mut data = content(self.side, id, out.written, len);
                let offered = data.len();
                match session.write(id, &mut data) {
                    Ok(taken) => {
                        out.written += taken as u64;
                        if taken < offered {
                            return;
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            };
            if let Err(error) = outcome {
                assert!(
                    matches!(error, WriteError::Stopped { code: STOP, .. } | WriteError::Session(_)),
                    "{:?} writes on {id}: {error}",
                    self.side
                );
                return;
            }
        }
    }

    fn on_send_done(&mut self, now: Time, session: &mut Session, id: StreamId) {
        let Some(out) = self.outgoing.remove(&id) else { return };
        let end = match session.send_outcome(id) {
            Some(Ok(())) if out.own && out.plan.reset_after.is_some() => End::Reset,
            Some(Ok(())) => {
                assert_eq!(out.written, out.total, "stream {id} is said to be delivered");
                End::Complete
            }
            Some(Err(WriteError::Stopped { code: STOP, .. })) => End::Stopped,
            other => panic!("{:?}: stream {id} ends with {other:?}", self.side),
        };
        self.sent.insert(id, end);
        self.finished_at = now;
        session.release_send(now, id);
    }

    fn on_readable(&mut self, now: Time, session: &mut Session, id: StreamId) {
        if self.reads_slowly.is_some() {
            self.readable.insert(id);
        } else {
            self.read(now, session, id, u64::MAX);
        }
    }

    /// For slow readers: reads a little of everything.
    pub(crate) fn read_a_little(&mut self, now: Time, session: &mut Session) {
        let Some(little) = self.reads_slowly else { return };
        for id in std::mem::take(&mut self.readable) {
            if self.read(now, session, id, little) {
                self.readable.insert(id);
            }
        }
    }

    /// Reads the rest of the streams that were paused.
    pub(crate) fn read_on(&mut self, now: Time, session: &mut Session) {
        for id in self.incoming.keys().copied().collect::<Vec<_>>() {
            if self.incoming.get_mut(&id).is_some_and(|stream| stream.pause_after.take().is_some()) {
                self.on_readable(now, session, id);
            }
        }
    }

    /// Reads up to `most` bytes; returns whether there may be more.
    fn read(&mut self, now: Time, session: &mut Session, id: StreamId, mut most: u64) -> bool {
        let side = self.side;
        let Some(stream) = self.incoming.get_mut(&id) else { return false };
        let end = loop {
            if stream.stop_after.is_some_and(|after| stream.read >= after) {
                break match session.stop(now, id, STOP) {
                    Ok(()) | Err(ReadError::Closed { .. }) => End::Stopped,
                    Err(error) => panic!("{side:?} stops {id}: {error}"),
                };
            }
            if stream.pause_after.is_some_and(|after| stream.read >= after) {
                return false;
            }
            if most == 0 {
                return true;
            }
            match session.read(now, id, most.min(1 << 20) as usize) {
                Ok(Read::Data(data)) => {
                    most -= data.len() as u64;
                    verify(side.peer(), id, stream.read, &data);
                    stream.read += data.len() as u64;
                    self.received_bytes += data.len() as u64;
                    assert!(stream.read <= stream.total, "stream {id} has more bytes than were written");
                }
                Ok(Read::Blocked) => return false,
                Ok(Read::Finished) => {
                    assert_eq!(stream.read, stream.total, "stream {id} ends early");
                    break End::Complete;
                }
                Err(ReadError::Reset { code, .. }) => {
                    assert!(code == RESET || code == STOP, "stream {id} is reset with {code}");
                    break End::Reset;
                }
                Err(ReadError::Session(_)) => break End::Session,
                Err(error) => panic!("{side:?} reads {id}: {error}"),
            }
        };
        self.incoming.remove(&id);
        self.received.insert(id, end);
        self.finished_at = now;
        session.release_recv(now, id);
        false
    }

    fn on_datagram(&mut self, now: Time, session: &mut Session) {
        while let Some(data) = session.recv_datagram(now) {
            let number = u64::from_be_bytes(data[..8].try_into().expect("eight bytes at least"));
            assert!(self.datagrams.insert(number), "datagram {number} is delivered twice");
        }
    }

    fn on_closed(&mut self, now: Time, session: &mut Session) {
        self.closed = true;
        self.wants.clear();
        for dir in [Dir::Bi, Dir::Uni] {
            while session.accept(dir).is_some() {}
        }
        for id in self.incoming.keys().copied().collect::<Vec<_>>() {
            self.read(now, session, id, u64::MAX);
        }
        for (id, _) in std::mem::take(&mut self.outgoing) {
            let end = match session.send_outcome(id) {
                Some(Ok(())) => End::Complete,
                Some(Err(WriteError::Stopped { .. })) => End::Stopped,
                _ => End::Session,
            };
            self.sent.insert(id, end);
            session.release_send(now, id);
        }
    }
}

fn verify(sender: Side, id: StreamId, mut offset: u64, mut data: &[u8]) {
    while !data.is_empty() {
        let expected = content(sender, id, offset, data.len() as u64);
        let (now, later) = data.split_at(expected.len());
        assert!(now == expected, "stream {id}: wrong bytes in the {} at {offset}", now.len());
        offset += now.len() as u64;
        data = later;
    }
}
