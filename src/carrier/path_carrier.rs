//! The carrier of a path: a QUIC connection, whose streams are the lanes or carry HTTP/3, as the two ends agree.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{Connection, ConnectionError, ConnectionEvent, EndpointEvent, Transmit};

use super::allowance::Allowance;
use super::h3::{ALPN_H3, Effect, Ended, H3, H3Code, LANE_CODE, OriginPolicy};
use super::observed::Observations;
use super::quic::receive::Arrival;
use super::quic::{self, QuicCarrier};
use crate::proto::carrier::{Carrier, CarrierMetrics, LaneClosed};
use crate::proto::config::SessionConfig;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::id::{Dir, LaneId};

/// Datagrams that are kept until the session is open (draft-ietf-webtrans-http3 section 4.6): a few may
/// overtake the first words of a session.
const MAX_EARLY_DATAGRAMS: usize = 16;

/// Something that has happened to the connection as a whole.
#[derive(Debug)]
pub(crate) enum Change {
    /// Lanes may be opened.
    Connected,
    /// The connection is gone; nothing more comes.
    Lost(ConnectionError),
    /// The connection is there, and the session on it is over or was refused.
    Ended(Ended),
}

/// What lies between the streams and the lanes.
enum Layer {
    /// Server: the ends have not agreed yet.
    Undecided(Arc<OriginPolicy>),
    /// Nothing: the streams are the lanes.
    Bare,
    Http(Box<H3>),
}

/// A path's carrier, to be driven as a [`QuicCarrier`] is.
pub(crate) struct PathCarrier {
    quic: QuicCarrier,
    layer: Layer,
    /// Over HTTP/3: datagrams that came before the session was open.
    early_datagrams: Vec<Bytes>,
}

impl PathCarrier {
    /// A client's, whose streams are the lanes.
    pub(crate) fn bare(connection: Connection, observations: Arc<Observations>) -> Self {
        Self::new(connection, observations, Layer::Bare)
    }

    /// A client's, which asks `authority` for a session of WebTransport.
    pub(crate) fn web_transport(
        connection: Connection,
        observations: Arc<Observations>,
        authority: String,
    ) -> Self {
        Self::new(connection, observations, Layer::Http(Box::new(H3::client(authority))))
    }

    /// A server's: the client chooses. Over HTTP/3 the origin policy decides.
    pub(crate) fn accepted(
        connection: Connection,
        observations: Arc<Observations>,
        policy: Arc<OriginPolicy>,
    ) -> Self {
        Self::new(connection, observations, Layer::Undecided(policy))
    }

    fn new(connection: Connection, observations: Arc<Observations>, layer: Layer) -> Self {
        Self { quic: QuicCarrier::new(connection, observations), layer, early_datagrams: Vec::new() }
    }

    /// The connection itself.
    pub(crate) fn connection(&self) -> &Connection {
        self.quic.connection()
    }

    /// As [`QuicCarrier::allow_lanes`].
    pub(crate) fn allow_lanes(&mut self, config: &SessionConfig) {
        self.quic.allow_lanes(config);
    }

    /// As [`QuicCarrier::allow_bytes`].
    pub(crate) fn allow_bytes(&mut self, bytes: u64) {
        self.quic.allow_bytes(bytes);
    }

    /// As [`QuicCarrier::held_bytes`].
    pub(crate) fn held_bytes(&self) -> u64 {
        self.quic.held_bytes()
    }

    /// As [`QuicCarrier::allowed_bytes`].
    pub(crate) fn allowed_bytes(&self) -> u64 {
        self.quic.allowed_bytes()
    }

    // ---- what comes in ----

    /// A packet, or news from the endpoint.
    pub(crate) fn handle_event(&mut self, event: ConnectionEvent) {
        self.quic.handle_event(event);
    }

    /// A time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.quic.handle_timeout(now);
    }

    /// When something is to be done even if nothing happens.
    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.quic.poll_timeout()
    }

    /// What the endpoint has to be told.
    pub(crate) fn poll_endpoint_events(&mut self) -> Option<EndpointEvent> {
        self.quic.poll_endpoint_events()
    }

    /// Takes in what has happened; tells what concerns the connection as a whole.
    pub(crate) fn poll(&mut self) -> Option<Change> {
        while let Some(change) = self.quic.poll() {
            match (change, &self.layer) {
                (quic::Change::Lost(reason), _) => return Some(Change::Lost(reason)),
                (quic::Change::Connected, Layer::Bare | Layer::Undecided(_)) => {
                    return Some(Change::Connected);
                }
                // There is more to agree on first.
                (quic::Change::Connected, Layer::Http(_)) => {}
            }
        }
        self.decide();
        let Layer::Http(h3) = &mut self.layer else { return None };
        if !h3.is_started() {
            start(h3, &mut self.quic);
        }
        if h3.is_open() || h3.is_server() {
            // What a server still has to read is for `receive_early`.
            return None;
        }
        match self.receive_http(|_| {}) {
            Err(ended) => Some(Change::Ended(ended)),
            Ok(is_open) => is_open.then_some(Change::Connected),
        }
    }

    /// Server: goes by what the ends have agreed on.
    fn decide(&mut self) {
        if let Layer::Undecided(policy) = &self.layer
            && let Some(protocol) = self.quic.protocol()
        {
            self.layer = match protocol == ALPN_H3 {
                true => Layer::Http(Box::new(H3::server(Arc::clone(policy)))),
                false => Layer::Bare,
            };
        }
    }

    /// Whether there is anything for [`receive`](Self::receive).
    pub(crate) fn has_arrivals(&self) -> bool {
        self.quic.has_arrivals()
    }

    /// Takes in what has arrived on the lanes, as [`QuicCarrier::receive`].
    ///
    /// # Errors
    ///
    /// When the session is over, though the connection is not.
    pub(crate) fn receive(
        &mut self,
        allowance: &Allowance,
        mut take: impl FnMut(Arrival),
    ) -> Result<(), Ended> {
        let Layer::Http(h3) = &mut self.layer else {
            self.quic.receive(allowance, take);
            return Ok(());
        };
        let mut outcome = Ok(());
        self.early_datagrams.drain(..).for_each(|data| take(Arrival::Datagram(data)));
        self.quic.receive(allowance, |arrival| {
            // Much of what comes over HTTP/3 is no item of the session's.
            allowance.spend(1);
            // What has arrived on lanes together with the farewell is the session's still.
            if !matches!(outcome, Err(Ended::Violation { .. }))
                && let Err(ended) = h3.on_arrival(arrival, &mut take)
            {
                outcome = Err(ended);
            }
        });
        carry_out(h3, &mut self.quic);
        outcome
    }

    /// Server: takes in what has arrived on the first lane, and what HTTP/3 has to know. The rest waits.
    ///
    /// # Errors
    ///
    /// When there will be no session.
    pub(crate) fn receive_early(&mut self, mut take: impl FnMut(Arrival)) -> Result<(), Ended> {
        match &self.layer {
            Layer::Undecided(_) => {}
            Layer::Bare => {
                self.quic.receive_from(|lane, _| if lane == LaneId(0) { usize::MAX } else { 0 }, take);
                // Their session is not known, so they are not kept.
                self.quic.drop_datagrams();
            }
            Layer::Http(_) => drop(self.receive_http(&mut take)?),
        }
        Ok(())
    }

    /// Over HTTP/3: reads on as far as is possible before lanes are taken. Returns whether there is a session.
    fn receive_http(&mut self, mut take: impl FnMut(Arrival)) -> Result<bool, Ended> {
        let Layer::Http(h3) = &mut self.layer else { return Ok(false) };
        let early_datagrams = &mut self.early_datagrams;
        let mut take = |arrival| match arrival {
            // A copy, since what it came with may be a thousand times as large.
            Arrival::Datagram(data) if early_datagrams.len() < MAX_EARLY_DATAGRAMS => {
                early_datagrams.push(Bytes::copy_from_slice(&data));
            }
            Arrival::Datagram(_) => {}
            arrival => take(arrival),
        };
        loop {
            let mut arrivals = Vec::new();
            self.quic.receive_from(|lane, dir| h3.wanted_early(lane, dir), |arrival| arrivals.push(arrival));
            let is_all = arrivals.is_empty();
            if is_all {
                // Last, since they may be of the session that has just been opened.
                self.quic.receive_apart_from_lanes(|arrival| arrivals.push(arrival));
            }
            let outcome = arrivals.into_iter().try_for_each(|arrival| h3.on_arrival(arrival, &mut take));
            carry_out(h3, &mut self.quic);
            outcome?;
            if is_all {
                return Ok(h3.is_open());
            }
        }
    }

    // ---- what goes out ----

    /// As [`QuicCarrier::poll_transmit`].
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        max_datagrams: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Transmit> {
        self.quic.poll_transmit(now, max_datagrams, buffer)
    }

    /// As [`QuicCarrier::whole_packets`].
    pub(crate) fn whole_packets(&self) -> usize {
        self.quic.whole_packets()
    }

    /// Server, over HTTP/3: ends what this end says, so that the client closes the path. Returns false when this is
    /// not how the path is closed.
    pub(crate) fn take_leave(&mut self) -> bool {
        let is_server = self.connection().side().is_server();
        let Layer::Http(h3) = &mut self.layer else { return false };
        let leaves = is_server && h3.is_open();
        if leaves {
            h3.take_leave();
            carry_out(h3, &mut self.quic);
        }
        leaves
    }

    /// Ends the path. Returns whether that is all; if not, the connection has to stay until the peer has heard, to
    /// be [`cut`](Self::cut) then: a browser does not tell the page the code of a connection that is gone.
    pub(crate) fn close(&mut self, now: Instant, code: u64, reason: Bytes) -> bool {
        match &mut self.layer {
            Layer::Http(h3) if h3.is_open() => {
                h3.close(code, &reason);
                carry_out(h3, &mut self.quic);
                false
            }
            Layer::Http(_) => {
                self.cut(now, H3Code::NoError);
                true
            }
            Layer::Undecided(_) | Layer::Bare => {
                self.quic.close(now, code, reason);
                true
            }
        }
    }

    /// Ends the connection, whatever is on it.
    pub(crate) fn cut(&mut self, now: Instant, code: H3Code) {
        self.quic.close(now, code as u64, Bytes::new());
    }

    /// Ends the connection, of a session or of none, without waiting for anything: BUSY when its room is another's,
    /// LIMIT_EXCEEDED when it holds too much, INTERNAL when this end has failed.
    pub(crate) fn abort(&mut self, now: Instant, code: TransportCode) {
        match self.layer {
            Layer::Http(_) if matches!(code, TransportCode::Busy | TransportCode::LimitExceeded) => {
                self.cut(now, H3Code::ExcessiveLoad);
            }
            Layer::Http(_) => self.cut(now, H3Code::InternalError),
            Layer::Undecided(_) | Layer::Bare => self.quic.close(now, code.as_u64(), Bytes::new()),
        }
    }

    /// What the peer's code of a connection's closing means to a session. HTTP/3's own say nothing about it.
    pub(crate) fn close_code(&self, code: u64) -> u64 {
        match self.layer {
            Layer::Http(_) if code == H3Code::NoError as u64 => TransportCode::NoError.as_u64(),
            Layer::Http(_) => TransportCode::Internal.as_u64(),
            Layer::Undecided(_) | Layer::Bare => code,
        }
    }
}

/// Opens the streams that HTTP/3 begins with, if the handshake is far enough for that.
fn start(h3: &mut H3, quic: &mut QuicCarrier) {
    let Some(control) = quic.open_lane(Dir::Uni) else { return };
    let connect = if h3.is_server() { None } else { quic.open_lane(Dir::Bi) };
    // Codes of lanes say nothing here, and yet have to be ones of WebTransport.
    quic.use_lane_code(LANE_CODE);
    h3.start(control, connect);
    carry_out(h3, quic);
}

fn carry_out(h3: &mut H3, quic: &mut QuicCarrier) {
    for effect in h3.take_effects() {
        match effect {
            // A stream that the peer stopped is told as an arrival.
            Effect::Write(lane, bytes) => drop(quic.write(lane, bytes)),
            Effect::Finish(lane) => quic.finish(lane),
            Effect::Reset(lane, code) => quic.reset_with(lane, code as u64),
            Effect::Stop(lane, code) => {
                quic.stop(lane, code as u64);
                h3.forget(lane);
            }
        }
    }
}

impl Carrier for PathCarrier {
    fn capacity(&mut self) -> usize {
        self.quic.capacity()
    }

    fn open_lane(&mut self, dir: Dir) -> Option<LaneId> {
        let lane = self.quic.open_lane(dir)?;
        if let Layer::Http(h3) = &mut self.layer {
            let head = h3.lane_head(lane, dir);
            // The peer cannot have stopped it yet.
            let _ = self.quic.write(lane, head);
        }
        Some(lane)
    }

    fn write(&mut self, lane: LaneId, data: Bytes) -> Result<(), LaneClosed> {
        self.quic.write(lane, data)
    }

    fn finish(&mut self, lane: LaneId) {
        self.quic.finish(lane);
    }

    fn reset(&mut self, lane: LaneId) {
        self.quic.reset(lane);
    }

    fn send_datagram(&mut self, data: Bytes) -> bool {
        match &self.layer {
            Layer::Http(h3) => self.quic.send_datagram(h3.wrap_datagram(&data)),
            Layer::Undecided(_) | Layer::Bare => self.quic.send_datagram(data),
        }
    }

    fn max_datagram_bytes(&mut self) -> Option<usize> {
        let max = self.quic.max_datagram_bytes()?;
        match &self.layer {
            Layer::Http(h3) => max.checked_sub(h3.datagram_overhead_bytes()),
            Layer::Undecided(_) | Layer::Bare => Some(max),
        }
    }

    fn metrics(&self) -> CarrierMetrics {
        self.quic.metrics()
    }
}
