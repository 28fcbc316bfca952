//! Two sessions and nothing between them: what one writes has arrived at the other, in no time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use kwik::proto::acceptor::Acceptor;
use kwik::proto::carrier::{Carrier, CarrierMetrics, LaneClosed, Lanes};
use kwik::proto::config::{SessionConfig, ValidConfig};
use kwik::proto::event::{Action, PathAddress};
use kwik::proto::session::Session;
use kwik::proto::streams::recv::Read;
use kwik::proto::time::Time;
use kwik::proto::wire::frame::Intent;
use kwik::proto::wire::id::{Dir, LaneId, PathId, Side, StreamId};

const RTT: Duration = Duration::from_millis(1);
/// What a path takes at one time, as a congestion window would have it.
const WINDOW_BYTES: usize = 256 * 1024;
/// Time passes between two operations, so that timers fire as they would.
const STEP: Duration = Duration::from_micros(20);

enum Piece {
    Data(Bytes),
    Finished,
    Reset,
}

/// One direction of a path.
struct Line {
    sender: Side,
    pieces: VecDeque<(LaneId, Piece)>,
    waiting_bytes: usize,
    opened: [u64; 2],
}

impl Line {
    fn new(sender: Side) -> Self {
        Self { sender, pieces: VecDeque::new(), waiting_bytes: 0, opened: [0; 2] }
    }
}

impl Carrier for Line {
    fn capacity(&mut self) -> usize {
        WINDOW_BYTES.saturating_sub(self.waiting_bytes)
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        let (side, uni) = (u64::from(self.sender == Side::Server), u64::from(dir == Dir::Uni));
        let opened = if dir == Dir::Uni { &mut self.opened[1] } else { &mut self.opened[0] };
        *opened += 1;
        Some(LaneId((*opened - 1) << 2 | uni << 1 | side))
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        self.waiting_bytes += data.len();
        self.pieces.push_back((lane, Piece::Data(data)));
        Ok(())
    }

    fn finish(&mut self, lane: LaneId) {
        self.pieces.push_back((lane, Piece::Finished));
    }

    fn reset(&mut self, lane: LaneId) {
        self.pieces.push_back((lane, Piece::Reset));
    }

    fn send_datagram(&mut self, _: Bytes) -> bool {
        false
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        None
    }

    fn lanes(&self) -> Lanes {
        Lanes::Many
    }

    fn metrics(&self) -> CarrierMetrics {
        CarrierMetrics {
            rtt: Some(RTT),
            pto: Some(2 * RTT),
            congestion_window_bytes: Some(WINDOW_BYTES as u64),
            in_flight_bytes: Some(self.waiting_bytes as u64),
            knows_acks: true,
            ..CarrierMetrics::default()
        }
    }
}

/// A path, in both directions.
struct Conn {
    path: PathId,
    lines: [Line; 2],
    acceptor: Option<Acceptor>,
}

/// A client, a server, and the paths between them.
pub(crate) struct Pair {
    now: Time,
    sessions: [Option<Session>; 2],
    conns: Vec<Conn>,
    config: ValidConfig,
}

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

impl Pair {
    /// A session over this many paths.
    pub(crate) fn new(paths: usize, config: SessionConfig) -> Self {
        let now = Time::from_epoch(Duration::from_secs(1));
        let config = config.validate().expect("the numbers are in their ranges");
        let client = Session::client(now, config.clone(), [1; 32], PathAddress::default());
        let mut pair = Self { now, sessions: [Some(client), None], conns: Vec::new(), config };
        pair.settle();
        for _ in 1..paths {
            pair.session(CLIENT).add_path(now, PathAddress::default()).expect("there may be more paths");
            pair.settle();
        }
        assert_eq!(pair.session(SERVER).paths().count(), paths);
        pair
    }

    pub(crate) fn session(&mut self, end: usize) -> &mut Session {
        self.sessions[end].as_mut().expect("the session has begun")
    }

    pub(crate) fn open(&mut self, dir: Dir) -> StreamId {
        let opened = self.session(CLIENT).open(dir).expect("the session is open");
        opened.expect("there may be more streams")
    }

    /// Writes all of it, or as much as there is room for.
    pub(crate) fn write(&mut self, end: usize, id: StreamId, mut data: Bytes) {
        self.session(end).write(id, &mut data).expect("the stream is open");
    }

    pub(crate) fn finish(&mut self, end: usize, id: StreamId) {
        self.session(end).finish(id).expect("the stream is open");
    }

    /// Reads what there is of a stream; returns how much that was, and whether it was the end.
    pub(crate) fn read(&mut self, end: usize, id: StreamId) -> (usize, bool) {
        let now = self.now;
        let mut bytes = 0;
        loop {
            match self.session(end).read(now, id, usize::MAX).expect("the stream is open") {
                Read::Data(data) => bytes += data.len(),
                Read::Finished => return (bytes, true),
                Read::Blocked => return (bytes, false),
            }
        }
    }

    /// The application lets go of its handles.
    pub(crate) fn release(&mut self, end: usize, id: StreamId) {
        let now = self.now;
        self.session(end).release_send(now, id);
        self.session(end).release_recv(now, id);
    }

    /// The next stream that the client has opened.
    pub(crate) fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        self.session(SERVER).accept(dir)
    }

    /// Lets everything arrive, and time pass.
    pub(crate) fn settle(&mut self) {
        self.now += STEP;
        for end in [CLIENT, SERVER] {
            let now = self.now;
            if let Some(session) = &mut self.sessions[end]
                && session.poll_timeout().is_some_and(|at| at <= now)
            {
                session.handle_timeout(now);
            }
        }
        while self.act(CLIENT) | self.act(SERVER) | self.deliver() {}
    }

    /// Carries out what one end wants; whether there was anything.
    fn act(&mut self, end: usize) -> bool {
        let Some(session) = &mut self.sessions[end] else { return false };
        // The benchmark knows what happens; the events are taken since a driver takes them.
        let mut is_news = std::iter::from_fn(|| session.poll_event()).count() > 0;
        while let Some(action) = session.poll_action() {
            is_news = true;
            match action {
                Action::Dial { path, .. } => {
                    let lines = [Line::new(Side::Client), Line::new(Side::Server)];
                    self.conns.push(Conn { path, lines, acceptor: Some(Acceptor::new()) });
                    session.path_connected(self.now, path);
                }
                Action::Transmit { path } => transmit(session, self.now, &mut self.conns, path, end),
                Action::ClosePath { .. } => panic!("a path is closed"),
            }
        }
        // As a driver does after each input, so that it is measured.
        std::hint::black_box(session.poll_timeout());
        is_news
    }

    /// Everything under way arrives, as a batch for each direction of each path; whether there was anything.
    fn deliver(&mut self) -> bool {
        let mut is_news = false;
        for conn in 0..self.conns.len() {
            for from in [CLIENT, SERVER] {
                let line = &mut self.conns[conn].lines[from];
                let pieces = std::mem::take(&mut line.pieces);
                line.waiting_bytes = 0;
                if pieces.is_empty() {
                    continue;
                }
                is_news = true;
                self.arrive(conn, 1 - from, pieces);
            }
        }
        is_news
    }

    fn arrive(&mut self, conn: usize, to: usize, pieces: VecDeque<(LaneId, Piece)>) {
        let path = self.conns[conn].path;
        for (lane, piece) in pieces {
            let dir = if lane.0 & 2 == 0 { Dir::Bi } else { Dir::Uni };
            let acceptor = if to == SERVER { self.conns[conn].acceptor.take() } else { None };
            if let (Some(acceptor), Piece::Data(data)) = (acceptor, &piece) {
                self.greet(acceptor, lane, data.clone());
                continue;
            }
            let now = self.now;
            let session = self.session(to);
            match piece {
                Piece::Data(data) => session.on_lane_data(now, path, lane, dir, data),
                Piece::Finished => session.on_lane_finished(now, path, lane),
                Piece::Reset => session.on_lane_reset(now, path, lane),
            }
        }
        let now = self.now;
        let session = self.sessions[to].as_mut().expect("something arrived at it");
        transmit(session, now, &mut self.conns, path, to);
    }

    fn greet(&mut self, acceptor: Acceptor, lane: LaneId, data: Bytes) {
        let accepted = acceptor.on_lane_data(lane, Dir::Bi, data).expect("the client is understood");
        let accepted = accepted.unwrap_or_else(|_| panic!("HELLO comes in one piece"));
        if let Intent::New = accepted.hello.intent {
            let server = Session::server(self.config.clone(), [2; 32], &accepted.hello);
            self.sessions[SERVER] = Some(server);
        }
        let now = self.now;
        self.session(SERVER).attach(now, accepted);
    }
}

fn transmit(session: &mut Session, now: Time, conns: &mut [Conn], path: PathId, end: usize) {
    if let Some(conn) = conns.iter_mut().find(|conn| conn.path == path) {
        session.transmit(now, path, &mut conn.lines[end]);
    }
}
