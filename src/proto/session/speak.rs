//! What is said on control lanes: greetings, what has to be stated, farewells; and datagrams.

use bytes::{BufMut, Bytes, BytesMut};
use rand_core::Rng;

use super::{Advice, Session, State};
use crate::proto::carrier::Carrier;
use crate::proto::config::PathPolicy;
use crate::proto::event::PathLoss;
use crate::proto::paths::path::{Path, Phase};
use crate::proto::streams::send::SendState;
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::{Ack, Frame, PathReport, PathStatus};
use crate::proto::wire::grease::put_grease_frame;
use crate::proto::wire::id::{Dir, PathId};
use crate::proto::wire::lane::put_control_header;

impl Session {
    pub(super) fn write_hello(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(lane) = carrier.open_lane(Dir::Bi) else { return };
        let mut buf = BytesMut::new();
        put_control_header(&mut buf);
        Frame::Hello(self.hello(id)).encode(&mut buf);
        put_grease_frame(&mut buf, self.rng.next_u64());
        let Some(path) = self.paths.get_mut(&id) else { return };
        path.control = Some(lane);
        path.phase = Phase::Greeting { hello_sent: Some(now) };
        self.write_control(now, id, carrier, buf);
    }

    pub(super) fn write_accept(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(accept) = self.accept_frame(id) else { return };
        let mut buf = BytesMut::new();
        put_control_header(&mut buf);
        Frame::Accept(accept).encode(&mut buf);
        put_grease_frame(&mut buf, self.rng.next_u64());
        self.write_control(now, id, carrier, buf);
        self.establish(now, id);
    }

    pub(super) fn write_close(&mut self, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        let Some(control) = path.control else { return };
        if std::mem::replace(&mut path.close_written, true) {
            return;
        }
        let mut buf = BytesMut::new();
        match &self.state {
            State::Closed { said: Some(close), .. } => Frame::Close(close.clone()).encode(&mut buf),
            _ => {
                let code = path.close_code.unwrap_or(TransportCode::NoError.as_u64());
                Frame::PathClose { path: id, code, reason: Bytes::new() }.encode(&mut buf);
            }
        }
        // A lane that is closed already needs no farewell.
        let _ = carrier.write(control, buf.freeze());
        carrier.finish(control);
    }

    fn write_control(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier, buf: BytesMut) {
        if buf.is_empty() {
            return;
        }
        let Some(path) = self.paths.get_mut(&id) else { return };
        let Some(control) = path.control else { return };
        path.on_spoke(now);
        if carrier.write(control, buf.freeze()).is_err() {
            // Without its control lane a path is of no use.
            let reason = "the peer stopped the control lane".to_owned();
            self.path_closed(now, id, PathLoss::Failed(reason));
        }
    }

    /// States what is due, on this path if it is as good as any, and always what concerns this path alone.
    pub(super) fn write_pending(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let mut buf = std::mem::take(&mut self.control_scratch);
        if self.pending.is_due(now) {
            if self.may_carry_control(id) {
                self.put_pending(now, &mut buf);
            } else {
                self.wake_for_control(now);
            }
        }
        if let Some(path) = self.paths.get_mut(&id) {
            put_path_frames(now, path, &mut buf);
        }
        let frames = buf.split();
        self.control_scratch = buf;
        self.write_control(now, id, carrier, frames);
    }

    /// Whether `id` is a path for statements: healthy, and not much slower than the best.
    fn may_carry_control(&self, id: PathId) -> bool {
        let Some(path) = self.paths.get(&id) else { return false };
        match self.control_path() {
            Some(best) if best == id => true,
            Some(best) => {
                let best_rtt = self.paths.get(&best).map(Path::rtt).unwrap_or_default();
                path.is_healthy() && path.rtt() <= best_rtt * 3 / 2
            }
            None => true,
        }
    }

    /// The healthy path with the least rtt.
    pub(super) fn control_path(&self) -> Option<PathId> {
        let healthy = self.paths.values().filter(|path| path.is_healthy());
        healthy.min_by_key(|path| (path.is_standby(), path.rtt(), path.id)).map(|path| path.id)
    }

    fn put_pending(&mut self, now: Time, buf: &mut BytesMut) {
        for id in self.pending.take_acks(now) {
            let complete = Ack { stream: id, complete: true, contiguous: 0, ranges: Vec::new() };
            let ack = self.recv.get_mut(&id).map_or(complete, |stream| stream.ack());
            Frame::Ack(ack).encode(buf);
        }
        if std::mem::take(&mut self.pending.max_data) {
            Frame::MaxData { max_bytes: self.recv_window.limit() }.encode(buf);
        }
        for stream in std::mem::take(&mut self.pending.max_stream_data) {
            if let Some(entry) = self.recv.get(&stream) {
                Frame::MaxStreamData { stream, max_bytes: entry.window.limit() }.encode(buf);
            }
        }
        if std::mem::take(&mut self.pending.max_streams_bidi) {
            Frame::MaxStreams { dir: Dir::Bi, max: self.ids.peer_limit(Dir::Bi) }.encode(buf);
        }
        if std::mem::take(&mut self.pending.max_streams_uni) {
            Frame::MaxStreams { dir: Dir::Uni, max: self.ids.peer_limit(Dir::Uni) }.encode(buf);
        }
        for stream in std::mem::take(&mut self.pending.resets) {
            if let Some(entry) = self.send.get(&stream)
                && let SendState::Reset { code } = entry.state
            {
                Frame::ResetStream { stream, code: code.0, final_size: entry.final_size() }.encode(buf);
            }
        }
        for stream in std::mem::take(&mut self.pending.stops) {
            if let Some(code) = self.recv.get(&stream).and_then(|entry| entry.stop_code()) {
                Frame::StopSending { stream, code: code.0 }.encode(buf);
            }
        }
        self.put_rare(buf);
    }

    fn put_rare(&mut self, buf: &mut BytesMut) {
        for id in std::mem::take(&mut self.pending.path_statuses) {
            if let Some(path) = self.paths.get(&id) {
                let preference = path.own;
                let (sequence, standby, cost) = (preference.sequence, preference.standby, preference.cost);
                Frame::PathStatus(PathStatus { path: id, sequence, standby, cost }).encode(buf);
            }
        }
        for advice in std::mem::take(&mut self.pending.advice) {
            match self.advice.get(&advice) {
                Some(Advice::Add(add)) => Frame::AddPath(add.clone()).encode(buf),
                Some(Advice::Withdrawn) => Frame::RemovePath { advice }.encode(buf),
                None => {}
            }
        }
        for (path, code) in self.pending.take_path_closes() {
            Frame::PathClose { path, code, reason: Bytes::new() }.encode(buf);
        }
        if std::mem::take(&mut self.pending.go_away) {
            Frame::GoAway.encode(buf);
        }
    }

    pub(super) fn send_datagrams(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        if self.datagrams_out.is_empty() || !self.is_usable(id) {
            return;
        }
        let best = self.best_path_for_datagrams();
        let max = carrier.max_datagram_bytes();
        let usable: Vec<_> = self.paths.keys().copied().filter(|path| self.is_usable(*path)).collect();
        let fits = |policy: PathPolicy| match policy {
            PathPolicy::Pin(path) => path == id,
            PathPolicy::Prefer(path) if usable.contains(&path) => path == id,
            _ => best == Some(id),
        };
        let mut frames = BytesMut::new();
        while let Some(datagram) = self.datagrams_out.pop_where(now, |datagram| fits(datagram.tag.policy)) {
            let sequence = datagram.tag.sequence;
            let sent = match max {
                Some(max) => {
                    let mut buf = BytesMut::with_capacity(8 + datagram.data.len());
                    crate::proto::wire::varint::put(&mut buf, sequence);
                    buf.put_slice(&datagram.data);
                    buf.len() <= max && carrier.send_datagram(buf.freeze())
                }
                None => {
                    Frame::Datagram { sequence, data: datagram.data }.encode(&mut frames);
                    true
                }
            };
            if let Some(path) = self.paths.get_mut(&id)
                && sent
            {
                path.counts.datagrams_sent += 1;
                path.on_spoke(now);
            } else {
                self.stats.dropped_datagrams += 1;
            }
        }
        if !self.datagrams_out.is_empty()
            && let Some(best) = best.filter(|best| *best != id)
        {
            self.wake(best);
        }
        self.write_control(now, id, carrier, frames);
    }

    fn best_path_for_datagrams(&self) -> Option<PathId> {
        let usable = self.paths.values().filter(|path| self.is_usable(path.id));
        usable.min_by_key(|path| (path.rtt(), path.id)).map(|path| path.id)
    }
}

/// The frames that concern only the path they travel on.
fn put_path_frames(now: Time, path: &mut Path, buf: &mut BytesMut) {
    for token in path.pongs.drain(..) {
        Frame::Pong { token }.encode(buf);
    }
    for token in std::mem::take(&mut path.pings) {
        path.on_pinged(now, token);
        Frame::Ping { token }.encode(buf);
    }
    if let Some((received_bytes, delay)) = path.take_report(now) {
        let delay_us = u64::try_from(delay.as_micros()).unwrap_or(0);
        Frame::PathReport(PathReport { received_bytes, delay_us }).encode(buf);
    }
}
