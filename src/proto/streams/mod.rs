//! The streams of a session: both halves of each, the indexes over them, and what all of them hold together.
//!
//! Only this room changes the byte totals and the indexes over streams (ready, outstanding, redundant, timed, ending):
//! whatever asks "which streams need X" asks one of these, never all streams. What a change asks of the session goes
//! into `Effects`.

pub(crate) mod assembler;
mod chunk;
pub(crate) mod flow;
pub(crate) mod ids;
mod incoming;
mod outgoing;
mod ready;
pub mod recv;
pub(crate) mod send;
mod send_buffer;
pub(crate) mod send_lanes;
mod transmit;
mod writers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;

use self::assembler::Held;
pub(crate) use self::chunk::{
    Blocked, Chunk, NextChunk, Outlet, PathFailure, PeerReset, SendOutcome, SendReason, Sent,
};
use self::flow::{RecvWindow, SendCredit};
use self::ids::{Known, StreamIds};
use self::ready::ReadyQueue;
use self::recv::{RecvStream, Violation};
use self::send::SendStream;
use self::writers::Writers;
use crate::proto::config::{SessionConfig, Window};
use crate::proto::effects::{ControlWake, Effects};
use crate::proto::event::Event;
use crate::proto::futile::Use;
use crate::proto::memory::Pressure;
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::Parameters;
use crate::proto::wire::id::{Dir, Side, StreamId};

/// What the configuration says of streams.
#[derive(Clone, Copy, Debug)]
struct StreamLimits {
    receive_window: Window,
    /// The first window of all together.
    session_window_bytes: u64,
    send_buffer_bytes: usize,
    unsent_bytes: usize,
    session_send_buffer_bytes: usize,
}

/// Bytes of all streams together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Written and kept until the peer acknowledges them.
    pub(crate) retained: u64,
    /// Of these, never sent.
    pub(crate) unsent: u64,
    /// Let go of since the session began, because the peer has them.
    pub(crate) acknowledged: u64,
    /// Handed to the application.
    pub(crate) delivered: u64,
}

/// All streams of a session.
#[derive(Debug)]
pub(crate) struct Streams {
    side: Side,
    limits: StreamLimits,
    ids: StreamIds,
    send: BTreeMap<StreamId, SendStream>,
    recv: BTreeMap<StreamId, RecvStream>,
    /// Streams of which either half is here.
    open: u64,
    /// Streams with something to send.
    ready: ReadyQueue,
    /// Streams with bytes under way that are not acknowledged.
    outstanding: BTreeSet<StreamId>,
    /// Streams that every path is to carry.
    redundant: BTreeSet<StreamId>,
    /// Streams whose data is worth something for a time only.
    timed: BTreeSet<StreamId>,
    /// Streams that have said how they end and wait for the peer's word on it.
    ending: BTreeSet<StreamId>,
    /// When to look for streams of `ending` whose answer is overdue.
    overdue_at: Option<Time>,
    /// Streams whose application waits for room.
    writers: Writers,
    totals: Totals,
    /// What the peer lets one new stream send.
    initial_credit: u64,
    credit: SendCredit,
    recv_window: RecvWindow,
    /// By how much the windows of all receiving streams have grown.
    grown_windows: u64,
    /// What all receiving streams keep.
    held: Held,
    pressure: Pressure,
    /// For the headers of records.
    scratch: BytesMut,
}

/// The window of one stream: it grows to no more than half of the session's, so that one that is not read leaves the others
/// the rest.
fn stream_window(config: &SessionConfig) -> Window {
    let Window { initial_bytes, max_bytes } = config.stream_receive_window;
    let half = config.session_receive_window.max_bytes / 2;
    Window { initial_bytes, max_bytes: max_bytes.min(half).max(initial_bytes) }
}

impl Streams {
    pub(crate) fn new(side: Side, config: &SessionConfig) -> Self {
        let window = config.session_receive_window;
        Self {
            side,
            limits: StreamLimits {
                receive_window: stream_window(config),
                session_window_bytes: window.initial_bytes,
                send_buffer_bytes: config.stream_send_buffer_bytes,
                unsent_bytes: config.stream_unsent_bytes,
                session_send_buffer_bytes: config.session_send_buffer_bytes,
            },
            ids: StreamIds::new(side, config.max_streams_bidi, config.max_streams_uni),
            send: BTreeMap::new(),
            recv: BTreeMap::new(),
            open: 0,
            ready: ReadyQueue::default(),
            outstanding: BTreeSet::new(),
            redundant: BTreeSet::new(),
            timed: BTreeSet::new(),
            ending: BTreeSet::new(),
            overdue_at: None,
            writers: Writers::default(),
            totals: Totals::default(),
            initial_credit: 0,
            credit: SendCredit::new(0),
            recv_window: RecvWindow::new(window.initial_bytes, window.max_bytes),
            grown_windows: 0,
            held: Held::default(),
            pressure: Pressure::default(),
            scratch: BytesMut::new(),
        }
    }

    /// Takes over the peer's limits.
    pub(crate) fn on_peer_parameters(&mut self, peer: &Parameters) {
        self.credit.raise(peer.initial_max_data_bytes);
        self.ids.raise_limit(Dir::Bi, peer.initial_max_streams_bidi);
        self.ids.raise_limit(Dir::Uni, peer.initial_max_streams_uni);
        self.initial_credit = peer.initial_max_stream_data_bytes;
        // Streams that the peer opened may have overtaken its word on limits.
        self.for_each_sending(|stream| {
            stream.credit.raise(peer.initial_max_stream_data_bytes);
        });
    }

    /// Opens a stream of this end's, if the peer allows one more.
    pub(crate) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let id = self.ids.open(dir)?;
        self.insert(id);
        Some(id)
    }

    /// The next stream that the peer opened.
    pub(crate) fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        self.ids.accept(dir)
    }

    fn insert(&mut self, id: StreamId) {
        let own = id.initiator() == self.side;
        self.open += 1;
        if own || id.dir() == Dir::Bi {
            self.send.insert(id, SendStream::new(id, self.initial_credit));
        }
        if !own || id.dir() == Dir::Bi {
            self.recv.insert(id, RecvStream::new(id, self.limits.receive_window));
        }
    }

    /// The peer mentions a stream that it sends on: opens it if it is new.
    pub(crate) fn learn(&mut self, id: StreamId, effects: &mut Effects) -> Result<(), Violation> {
        let peer_sends = id.dir() == Dir::Bi || id.initiator() != self.side;
        if !peer_sends {
            let what = format!("the peer sends on stream {id}, which is not its to send on");
            return Err(Violation::new(TransportCode::StreamState, what));
        }
        self.require(id, effects)
    }

    /// The peer mentions the sending half of this end's: opens it if it is new.
    fn learn_own_half(&mut self, id: StreamId, effects: &mut Effects) -> Result<(), Violation> {
        if id.dir() == Dir::Uni && id.initiator() != self.side {
            let what = format!("the peer speaks of a sending half that stream {id} does not have");
            return Err(Violation::new(TransportCode::StreamState, what));
        }
        self.require(id, effects)
    }

    fn require(&mut self, id: StreamId, effects: &mut Effects) -> Result<(), Violation> {
        match self.ids.lookup(id) {
            Known::Yes => Ok(()),
            Known::Never => {
                let what = format!("the peer mentions stream {id}, which was never opened");
                Err(Violation::new(TransportCode::StreamState, what))
            }
            Known::OverLimit => {
                let what = format!("the peer opens stream {id}, beyond the limit");
                Err(Violation::new(TransportCode::StreamLimit, what))
            }
            Known::Opens => {
                for opened in self.ids.opened_by_peer(id) {
                    self.insert(opened);
                    effects.events.push_back(Event::Incoming(opened.dir()));
                }
                Ok(())
            }
        }
    }

    /// MAX_STREAMS. It is of use if the application waits for what it allows.
    pub(crate) fn on_max_streams(&mut self, dir: Dir, max: u64, effects: &mut Effects) -> Use {
        if !self.ids.raise_limit(dir, max) {
            return Use::None;
        }
        effects.events.push_back(Event::Available(dir));
        Use::Some
    }

    /// How many streams the peer may open in all.
    pub(crate) fn peer_limit(&mut self, dir: Dir) -> u64 {
        self.ids.peer_limit(dir)
    }

    /// When both halves of one of the peer's streams are forgotten, it may open another.
    fn on_forgotten(&mut self, id: StreamId, effects: &mut Effects) {
        if self.send.contains_key(&id) || self.recv.contains_key(&id) {
            return;
        }
        self.open -= 1;
        if id.initiator() == self.side {
            return;
        }
        self.ids.replenish(id.dir());
        match id.dir() {
            Dir::Bi => effects.control.max_streams_bidi = true,
            Dir::Uni => effects.control.max_streams_uni = true,
        }
        effects.wake_control(ControlWake::ControlPath);
    }

    /// What may have been lost with a path is due again (docs/PROTOCOL.md section 6.3).
    pub(crate) fn requeue_control(&self, effects: &mut Effects) {
        let control = &mut effects.control;
        control.max_data = true;
        control.max_streams_bidi = true;
        control.max_streams_uni = true;
        for stream in self.recv.values() {
            control.ack(stream.id, Time::ZERO);
            match stream.state {
                recv::RecvState::Open => drop(control.max_stream_data.insert(stream.id)),
                recv::RecvState::Stopped { .. } => drop(control.stops.insert(stream.id)),
                recv::RecvState::Reset { .. } | recv::RecvState::Done => {}
            }
        }
        for id in &self.ending {
            if self.send.get(id).is_some_and(|stream| matches!(stream.state, send::SendState::Reset { .. })) {
                control.resets.insert(*id);
            }
        }
    }

    /// The session is over: nothing is sent or kept for the peer any more.
    pub(crate) fn abandon(&mut self) {
        self.send.values_mut().for_each(SendStream::abandon);
        self.totals.retained = 0;
        self.totals.unsent = 0;
        self.ready.clear();
        self.outstanding.clear();
        self.writers.clear();
        self.timed.clear();
        self.ending.clear();
        self.overdue_at = None;
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// What has arrived and waits for the application.
    pub(crate) fn held(&self) -> Held {
        self.held
    }

    /// Streams of which either half is here.
    pub(crate) fn len(&self) -> u64 {
        self.open
    }

    /// Halves of streams that are here.
    pub(crate) fn halves(&self) -> usize {
        self.send.len() + self.recv.len()
    }

    /// How much the peer may have on its way at one time, in bytes.
    pub(crate) fn receive_window(&self) -> u64 {
        self.recv_window.window()
    }

    /// How short memory is; returns how it was before.
    pub(crate) fn set_pressure(&mut self, pressure: Pressure) -> Pressure {
        std::mem::replace(&mut self.pressure, pressure)
    }
}
