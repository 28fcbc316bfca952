//! A carrier as a QUIC connection would be: lanes, packets, acknowledgements, loss recovery, a window.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kwik::proto::carrier::{Carrier, CarrierMetrics, LaneClosed, Lanes};
use kwik::proto::time::Time;
use kwik::proto::wire::id::{Dir, LaneId, Side};

pub(crate) const PACKET_BYTES: u64 = 1_400;
/// What a packet costs besides its payload.
const OVERHEAD_BYTES: u64 = 60;
const INITIAL_WINDOW_BYTES: u64 = 14_000;
/// Later packets that have to be acknowledged before one counts as lost (RFC 9002 section 6.1.1).
const REORDERING: u64 = 3;
const MAX_DATAGRAM_BYTES: usize = 1_200;

/// Which kind of carrier a path is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// Slow start, then half the window at each loss; tells all that it knows.
    Quic,
    /// The window is fixed to 1.25 bandwidth-delay products.
    Fixed,
    /// As `Quic`, but tells nothing.
    Browser,
    /// One ordered lane and no datagrams; tells nothing.
    OneLane,
}

/// What one lane carries in one packet.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Data {
        lane: LaneId,
        offset: u64,
        data: Bytes,
        fin: bool,
    },
    Reset {
        lane: LaneId,
    },
    Stop {
        lane: LaneId,
    },
    Datagram(Bytes),
    /// Asks for an acknowledgement.
    Ping,
}

impl Piece {
    fn bytes(&self) -> u64 {
        match self {
            Piece::Data { data, .. } | Piece::Datagram(data) => data.len() as u64 + 8,
            Piece::Reset { .. } | Piece::Stop { .. } | Piece::Ping => 8,
        }
    }

    fn lane(&self) -> Option<LaneId> {
        match self {
            Piece::Data { lane, .. } => Some(*lane),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Sent {
    at: Time,
    bytes: u64,
    pieces: Vec<Piece>,
}

#[derive(Debug, Default)]
struct InLane {
    next: u64,
    held: BTreeMap<u64, Bytes>,
    end: Option<u64>,
    over: bool,
}

/// What came out of a packet, in the order in which the application side hears of it.
#[derive(Debug)]
pub(crate) enum Arrival {
    Data(LaneId, Bytes),
    Finished(LaneId),
    Reset(LaneId),
    Stopped(LaneId),
    Datagram(Bytes),
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Half {
    side: Side,
    model: Model,
    max_lanes: u64,
    opened: [u64; 2],
    closed: u64,
    out_offsets: BTreeMap<LaneId, u64>,
    stopped: BTreeSet<LaneId>,
    urgent: VecDeque<Piece>,
    waiting: VecDeque<Piece>,
    waiting_bytes: u64,

    next_packet: u64,
    unacked: BTreeMap<u64, Sent>,
    in_flight: u64,
    window: u64,
    threshold: u64,
    recovery_until: u64,
    smoothed: Option<Duration>,
    variation: Duration,
    awaiting_since: Option<Time>,
    active_at: Time,
    probes: u32,
    lost_packets: u64,

    inbound: BTreeMap<LaneId, InLane>,
    /// Numbers of packets that arrived and whose acknowledgement has not gone out.
    pub(crate) to_acknowledge: Vec<u64>,
    /// When the timer is set to go off.
    pub(crate) timer: Option<Time>,
}

impl Half {
    pub(crate) fn new(side: Side, model: Model, now: Time, product_bytes: u64, max_lanes: u64) -> Self {
        let window = match model {
            Model::Fixed => (product_bytes * 5 / 4).max(INITIAL_WINDOW_BYTES),
            _ => INITIAL_WINDOW_BYTES,
        };
        Self {
            side,
            model,
            max_lanes,
            opened: [0; 2],
            closed: 0,
            out_offsets: BTreeMap::new(),
            stopped: BTreeSet::new(),
            urgent: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            next_packet: 0,
            unacked: BTreeMap::new(),
            in_flight: 0,
            window,
            threshold: u64::MAX,
            recovery_until: 0,
            smoothed: None,
            variation: Duration::ZERO,
            awaiting_since: None,
            active_at: now,
            probes: 0,
            lost_packets: 0,
            inbound: BTreeMap::new(),
            to_acknowledge: Vec::new(),
            timer: None,
        }
    }

    // ---- sending ----

    /// The next packet that the window allows.
    pub(crate) fn next_packet(&mut self, now: Time) -> Option<Packet> {
        if self.in_flight >= self.window {
            return None;
        }
        self.build(now)
    }

    fn build(&mut self, now: Time) -> Option<Packet> {
        let mut pieces = Vec::new();
        let mut room = PACKET_BYTES - OVERHEAD_BYTES;
        while room > 20
            && let Some(piece) = self.urgent.pop_front().or_else(|| self.pop_waiting())
        {
            let (piece, rest) = split(piece, room);
            room = room.saturating_sub(piece.bytes());
            pieces.push(piece);
            if let Some(rest) = rest {
                self.urgent.push_front(rest);
                break;
            }
        }
        if pieces.is_empty() {
            return None;
        }
        let number = self.next_packet;
        self.next_packet += 1;
        let bytes = pieces.iter().map(Piece::bytes).sum::<u64>() + OVERHEAD_BYTES;
        self.unacked.insert(number, Sent { at: now, bytes, pieces: pieces.clone() });
        self.in_flight += bytes;
        self.awaiting_since.get_or_insert(now);
        self.active_at = now;
        Some(Packet { number, bytes, pieces })
    }

    fn pop_waiting(&mut self) -> Option<Piece> {
        let piece = self.waiting.pop_front()?;
        self.waiting_bytes -= piece.bytes();
        Some(piece)
    }

    fn push(&mut self, piece: Piece) {
        if piece.lane() == Some(LaneId(0)) && self.model != Model::OneLane {
            self.urgent.push_back(piece);
        } else {
            self.waiting_bytes += piece.bytes();
            self.waiting.push_back(piece);
        }
    }

    /// Acknowledgements have come. Returns whether they told anything new.
    pub(crate) fn on_ack(&mut self, now: Time, numbers: &[u64]) -> bool {
        let limited = self.in_flight + self.waiting_bytes + PACKET_BYTES >= self.window;
        let mut acked = 0;
        let mut newest = None;
        for number in numbers {
            let Some(sent) = self.unacked.remove(number) else { continue };
            self.in_flight -= sent.bytes;
            acked += sent.bytes;
            newest = newest.max(Some((*number, sent.at)));
            self.closed += sent.pieces.iter().filter(|piece| ends_lane(piece)).count() as u64;
        }
        let Some((newest, sent_at)) = newest else { return false };
        self.measure(now - sent_at);
        self.probes = 0;
        self.active_at = now;
        self.find_lost(newest);
        self.awaiting_since = (!self.unacked.is_empty()).then_some(now);
        if limited && self.model != Model::Fixed {
            self.window +=
                if self.window < self.threshold { acked } else { acked * PACKET_BYTES / self.window };
        }
        true
    }

    fn find_lost(&mut self, newest: u64) {
        let lost: Vec<_> =
            self.unacked.range(..(newest + 1).saturating_sub(REORDERING)).map(|(n, _)| *n).collect();
        for number in lost {
            let Some(sent) = self.unacked.remove(&number) else { continue };
            self.in_flight -= sent.bytes;
            self.lost_packets += 1;
            for piece in sent.pieces.into_iter().rev() {
                if !matches!(piece, Piece::Datagram(_)) {
                    self.urgent.push_front(piece);
                }
            }
            if number >= self.recovery_until && self.model != Model::Fixed {
                self.recovery_until = self.next_packet;
                self.window = (self.window / 2).max(2 * PACKET_BYTES);
                self.threshold = self.window;
            }
        }
    }

    fn measure(&mut self, sample: Duration) {
        match self.smoothed {
            None => (self.smoothed, self.variation) = (Some(sample), sample / 2),
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    fn pto(&self) -> Duration {
        let smoothed = self.smoothed.unwrap_or(Duration::from_millis(333));
        smoothed + (self.variation * 4).max(Duration::from_millis(1))
    }

    /// When to probe, if nothing is heard.
    pub(crate) fn deadline(&self) -> Option<Time> {
        (!self.unacked.is_empty()).then(|| self.active_at + self.pto() * 2_u32.pow(self.probes.min(5)))
    }

    /// The oldest packet once more, to see whether anybody answers.
    pub(crate) fn probe(&mut self, now: Time) -> Option<Packet> {
        let (_, oldest) = self.unacked.first_key_value()?;
        let pieces: Vec<_> =
            oldest.pieces.iter().filter(|p| !matches!(p, Piece::Datagram(_))).cloned().collect();
        self.urgent.push_front(Piece::Ping);
        for piece in pieces.into_iter().rev() {
            self.urgent.push_front(piece);
        }
        self.probes += 1;
        self.build(now)
    }

    /// Asks for an acknowledgement.
    pub(crate) fn ping(&mut self) {
        self.urgent.push_back(Piece::Ping);
    }

    // ---- receiving ----

    /// Asks the peer to send no more on any lane but the control lane. Returns which ones there are.
    pub(crate) fn stop_lanes(&mut self) -> Vec<LaneId> {
        let mut lanes = Vec::new();
        for (lane, entry) in &mut self.inbound {
            if lane.0 != 0 && !std::mem::replace(&mut entry.over, true) {
                lanes.push(*lane);
            }
        }
        lanes.iter().for_each(|lane| self.push(Piece::Stop { lane: *lane }));
        lanes
    }

    /// Takes a packet apart.
    pub(crate) fn on_packet(&mut self, packet: Packet) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        self.to_acknowledge.push(packet.number);
        for piece in packet.pieces {
            match piece {
                Piece::Data { lane, offset, data, fin } => {
                    self.on_data(lane, offset, data, fin, &mut arrivals)
                }
                Piece::Reset { lane } => {
                    let entry = self.inbound.entry(lane).or_default();
                    if !std::mem::replace(&mut entry.over, true) {
                        arrivals.push(Arrival::Reset(lane));
                    }
                }
                Piece::Stop { lane } => {
                    if self.stopped.insert(lane) {
                        self.reset(lane);
                        arrivals.push(Arrival::Stopped(lane));
                    }
                }
                Piece::Datagram(data) => arrivals.push(Arrival::Datagram(data)),
                Piece::Ping => {}
            }
        }
        arrivals
    }

    fn on_data(&mut self, lane: LaneId, offset: u64, data: Bytes, fin: bool, arrivals: &mut Vec<Arrival>) {
        let entry = self.inbound.entry(lane).or_default();
        if entry.over {
            return;
        }
        let end = offset + data.len() as u64;
        if fin {
            entry.end = Some(end);
        }
        if end > entry.next && entry.held.get(&offset).is_none_or(|held| held.len() < data.len()) {
            entry.held.insert(offset, data);
        }
        while let Some(first) = entry.held.first_entry()
            && *first.key() <= entry.next
        {
            let (at, data) = first.remove_entry();
            let known = (entry.next - at) as usize;
            if known < data.len() {
                let new = data.slice(known..);
                entry.next += new.len() as u64;
                arrivals.push(Arrival::Data(lane, new));
            }
        }
        if entry.end == Some(entry.next) {
            entry.over = true;
            arrivals.push(Arrival::Finished(lane));
        }
    }
}

fn ends_lane(piece: &Piece) -> bool {
    matches!(piece, Piece::Data { fin: true, .. } | Piece::Reset { .. })
}

/// What fits into `room`, and the rest.
fn split(piece: Piece, room: u64) -> (Piece, Option<Piece>) {
    let Piece::Data { lane, offset, mut data, fin } = piece else { return (piece, None) };
    let room = (room - 8) as usize;
    if data.len() <= room {
        return (Piece::Data { lane, offset, data, fin }, None);
    }
    let rest = data.split_off(room);
    let rest = Piece::Data { lane, offset: offset + room as u64, data: rest, fin };
    (Piece::Data { lane, offset, data, fin: false }, Some(rest))
}

pub(crate) fn lane_dir(lane: LaneId) -> Dir {
    if lane.0 & 2 == 0 { Dir::Bi } else { Dir::Uni }
}

impl Carrier for Half {
    fn capacity(&mut self) -> usize {
        let slack = (4 * PACKET_BYTES).max(self.window / 4);
        (self.window + slack).saturating_sub(self.in_flight + self.waiting_bytes) as usize
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        let opened = self.opened.iter().sum::<u64>();
        let is_first_of_one = self.model == Model::OneLane && opened == 0;
        if !is_first_of_one && (self.model == Model::OneLane || opened >= self.closed + self.max_lanes) {
            return None;
        }
        let side = u64::from(self.side == Side::Server);
        let kind = u64::from(dir == Dir::Uni);
        let index = self.opened[kind as usize];
        self.opened[kind as usize] += 1;
        Some(LaneId(index << 2 | kind << 1 | side))
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        if self.stopped.contains(&lane) {
            return Err(LaneClosed);
        }
        let next = self.out_offsets.entry(lane).or_default();
        let offset = *next;
        *next += data.len() as u64;
        self.push(Piece::Data { lane, offset, data, fin: false });
        Ok(())
    }

    fn finish(&mut self, lane: LaneId) {
        let offset = self.out_offsets.get(&lane).copied().unwrap_or(0);
        self.push(Piece::Data { lane, offset, data: Bytes::new(), fin: true });
    }

    fn reset(&mut self, lane: LaneId) {
        let of_lane = |piece: &Piece| piece.lane() == Some(lane);
        self.waiting.retain(|piece| !of_lane(piece));
        self.waiting_bytes = self.waiting.iter().map(Piece::bytes).sum();
        self.urgent.retain(|piece| !of_lane(piece));
        self.unacked.values_mut().for_each(|sent| sent.pieces.retain(|piece| !of_lane(piece)));
        self.push(Piece::Reset { lane });
    }

    fn send_datagram(&mut self, data: Bytes) -> bool {
        if self.model == Model::OneLane || self.waiting_bytes > 100_000 {
            return false;
        }
        self.push(Piece::Datagram(data));
        true
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        (self.model != Model::OneLane).then_some(MAX_DATAGRAM_BYTES)
    }

    fn lanes(&self) -> Lanes {
        if self.model == Model::OneLane { Lanes::One } else { Lanes::Many }
    }

    fn metrics(&self) -> CarrierMetrics {
        if matches!(self.model, Model::Browser | Model::OneLane) {
            return CarrierMetrics::default();
        }
        CarrierMetrics {
            rtt: self.smoothed,
            pto: Some(self.pto()),
            congestion_window_bytes: Some(self.window),
            in_flight_bytes: Some(self.in_flight),
            awaiting_since: self.awaiting_since,
            knows_acks: true,
            lost_packets: self.lost_packets,
            sent_packets: self.next_packet,
        }
    }
}
