//! Control lanes: HELLO, ACCEPT, pending control frames, the last frame of a path; and datagrams.

use bytes::{Bytes, BytesMut};
use rand_core::Rng;

use super::{Session, State};
use crate::proto::carrier::Carrier;
use crate::proto::config::PathPolicy;
use crate::proto::control::Occasion;
use crate::proto::datagrams::Outgoing;
use crate::proto::event::PathLoss;
use crate::proto::paths::path::{Path, PathPreference, PhaseEvent};
use crate::proto::paths::reports::Report;
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::{Frame, PathReport, PathStatus};
use crate::proto::wire::grease::put_grease_frame;
use crate::proto::wire::id::{Dir, PathId};
use crate::proto::wire::lane::put_control_header;

impl Session {
    pub(super) fn write_hello(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(lane) = carrier.open_lane(Dir::Bi) else { return };
        let mut buf = BytesMut::new();
        put_control_header(&mut buf);
        Frame::Hello(self.hello(id)).encode(&mut buf);
        put_grease_frame(&mut buf, self.identity.rng.next_u64());
        let Some(path) = self.paths.get_mut(id) else { return };
        path.lanes.set_control(lane);
        path.on(PhaseEvent::HelloSent { at: now });
        self.write_control(now, id, carrier, buf);
    }

    pub(super) fn write_accept(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(accept) = self.accept_frame(id) else { return };
        let mut buf = BytesMut::new();
        put_control_header(&mut buf);
        Frame::Accept(accept).encode(&mut buf);
        put_grease_frame(&mut buf, self.identity.rng.next_u64());
        self.write_control(now, id, carrier, buf);
        self.establish(now, id);
    }

    pub(super) fn write_close(&mut self, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(id) else { return };
        let Some(control) = path.lanes.control() else { return };
        if !path.take_close() {
            return;
        }
        let mut buf = BytesMut::new();
        match &self.life.state {
            State::Closed { close: Some(close), .. } => Frame::Close(close.clone()).encode(&mut buf),
            _ => {
                let code = path.close_code().unwrap_or(TransportCode::NoError.as_u64());
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
        let Some(path) = self.paths.get_mut(id) else { return };
        let Some(control) = path.lanes.control() else { return };
        path.liveness.on_sent(now);
        if carrier.write(control, buf.freeze()).is_err() {
            // Without its control lane a path is of no use.
            let reason = "the peer stopped the control lane".to_owned();
            self.path_closed(now, id, PathLoss::Failed(reason));
        }
    }

    /// Writes what is due, on this path if it is as good as any, and always what concerns this path alone.
    pub(super) fn write_pending(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let mut buf = self.effects.control.take_buffer();
        let occasion = if self.streams.has_backlog() { Occasion::Data } else { Occasion::None };
        if self.effects.control.is_wanted(now, occasion) {
            if self.paths.may_carry_control(id) {
                self.put_stream_frames(now, occasion, &mut buf);
                self.put_session_frames(&mut buf);
            } else {
                self.wake_for_control(now);
            }
        }
        if let Some(path) = self.paths.get_mut(id) {
            put_path_frames(now, occasion, path, &mut buf);
        }
        let frames = buf.split();
        self.effects.control.keep_buffer(buf);
        self.write_control(now, id, carrier, frames);
    }

    fn put_stream_frames(&mut self, now: Time, occasion: Occasion, buf: &mut BytesMut) {
        let (control, streams) = (&mut self.effects.control, &mut self.streams);
        for id in control.take_acks(now, occasion) {
            streams.ack_frame(id).encode(buf);
        }
        if std::mem::take(&mut control.max_data) {
            streams.max_data_frame().encode(buf);
        }
        let max_stream_data = std::mem::take(&mut control.max_stream_data);
        put_all(max_stream_data.into_iter().filter_map(|id| streams.max_stream_data_frame(id)), buf);
        if std::mem::take(&mut control.max_streams_bidi) {
            Frame::MaxStreams { dir: Dir::Bi, max: streams.peer_limit(Dir::Bi) }.encode(buf);
        }
        if std::mem::take(&mut control.max_streams_uni) {
            Frame::MaxStreams { dir: Dir::Uni, max: streams.peer_limit(Dir::Uni) }.encode(buf);
        }
        let resets = std::mem::take(&mut control.resets);
        put_all(resets.into_iter().filter_map(|id| streams.reset_frame(id)), buf);
        let stops = std::mem::take(&mut control.stops);
        put_all(stops.into_iter().filter_map(|id| streams.stop_frame(id)), buf);
    }

    fn put_session_frames(&mut self, buf: &mut BytesMut) {
        let control = &mut self.effects.control;
        for id in std::mem::take(&mut control.path_statuses) {
            if let Some(path) = self.paths.get(id) {
                let PathPreference { sequence, standby, cost } = path.preference();
                Frame::PathStatus(PathStatus { path: id, sequence, standby, cost }).encode(buf);
            }
        }
        let advice = std::mem::take(&mut control.advice);
        put_all(advice.into_iter().filter_map(|advice| self.advertised.frame(advice)), buf);
        for (path, code) in control.take_path_closes() {
            Frame::PathClose { path, code, reason: Bytes::new() }.encode(buf);
        }
        if std::mem::take(&mut control.go_away) {
            Frame::GoAway.encode(buf);
        }
    }

    pub(super) fn send_datagrams(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        if !self.datagrams.has_outgoing() || !self.paths.is_usable(id) {
            return;
        }
        let best = self.paths.best_for_datagrams();
        let max = carrier.max_datagram_bytes();
        let paths = &self.paths;
        let fits = |policy: PathPolicy| match policy {
            PathPolicy::Pin(path) => path == id,
            PathPolicy::Prefer(path) if paths.is_usable(path) => path == id,
            _ => best == Some(id),
        };
        let (mut frames, mut sent_count) = (BytesMut::new(), 0);
        while let Some(datagram) = self.datagrams.next_outgoing(now, fits) {
            let sent = match max {
                Some(max) => {
                    let data = datagram.encode();
                    data.len() <= max && carrier.send_datagram(data)
                }
                None => {
                    let Outgoing { sequence, data } = datagram;
                    Frame::Datagram { sequence, data }.encode(&mut frames);
                    true
                }
            };
            sent_count += u64::from(sent);
            self.datagrams.on_dropped(u64::from(!sent));
        }
        if let Some(path) = self.paths.get_mut(id).filter(|_| sent_count > 0) {
            path.on_datagrams_sent(now, sent_count);
        }
        if self.datagrams.has_outgoing()
            && let Some(best) = best.filter(|best| *best != id)
        {
            self.wake(best);
        }
        self.write_control(now, id, carrier, frames);
    }
}

fn put_all(frames: impl Iterator<Item = Frame>, buf: &mut BytesMut) {
    frames.for_each(|frame| frame.encode(buf));
}

/// The frames that concern only the path they travel on.
fn put_path_frames(now: Time, occasion: Occasion, path: &mut Path, buf: &mut BytesMut) {
    for token in path.liveness.drain_pongs() {
        Frame::Pong { token }.encode(buf);
    }
    for token in path.liveness.take_pings(now) {
        Frame::Ping { token }.encode(buf);
    }
    if let Some(Report { received_bytes, delay }) = path.take_report(now, occasion) {
        let delay_us = u64::try_from(delay.as_micros()).unwrap_or(0);
        Frame::PathReport(PathReport { received_bytes, delay_us }).encode(buf);
    }
}
