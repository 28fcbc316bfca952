//! Output to carriers: handshake, pending control frames, datagrams, chunks, in this order; and which path is asked first.

use super::Session;
use crate::proto::carrier::{Carrier, LaneCommand};
use crate::proto::effects::{ControlWake, PathCommand};
use crate::proto::event::Action;
use crate::proto::paths::path::{Filled, Path, Phase};
use crate::proto::scheduler::select::{Ask, Next};
use crate::proto::streams::{Blocked, Outlet, SendReason, Sent};
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;

/// A path that wants anything at all gets this much: about a packet's worth.
const MIN_RECORD_BYTES: usize = 1_200;

impl Session {
    /// The path can take more: fills it, as far as there is something for it and its carrier wants it.
    ///
    /// To be called after anything happened to the path's carrier, and when an `Action::Transmit` names it.
    pub fn transmit(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(id) else { return };
        path.on_transmit();
        path.learn(carrier);
        self.check_path(now, id);
        let Some(path) = self.paths.get_mut(id) else { return };
        match path.phase() {
            Phase::Dialling | Phase::Greeting { hello_sent: Some(_) } => {}
            Phase::Greeting { hello_sent: None } => self.write_hello(now, id, carrier),
            Phase::Accepting => {
                self.write_accept(now, id, carrier);
                self.fill(now, id, carrier);
            }
            Phase::Established | Phase::Suspect { .. } => self.fill(now, id, carrier),
            Phase::Closing { .. } => self.write_close(id, carrier),
        }
    }

    fn fill(&mut self, now: Time, id: PathId, carrier: &mut dyn Carrier) {
        self.run_lane_commands(id, carrier);
        self.write_pending(now, id, carrier);
        self.send_datagrams(now, id, carrier);
        self.send_chunks(now, id, carrier);
        if let Some(path) = self.paths.get_mut(id) {
            path.learn(carrier);
        }
    }

    fn run_lane_commands(&mut self, id: PathId, carrier: &mut dyn Carrier) {
        let Some(path) = self.paths.get_mut(id) else { return };
        for command in path.lanes.drain_commands() {
            match command {
                LaneCommand::Finish(lane) => carrier.finish(lane),
                LaneCommand::Reset(lane) => carrier.reset(lane),
            }
        }
    }

    // ---- chunks ----

    fn send_chunks(&mut self, now: Time, path: PathId, carrier: &mut dyn Carrier) {
        let mut blocked = Blocked::none(self.side);
        let mut chunks = 0;
        let filled = loop {
            let capacity = match self.capacity(now, path, carrier) {
                0 => break Filled::Full,
                // A record for a few bytes would cost more than it carries.
                some => some.max(MIN_RECORD_BYTES),
            };
            let ask = Ask { now, path, capacity, blocked };
            let chunk = match self.selector.next_chunk(ask, &mut self.streams, &self.paths) {
                Next::Chunk(chunk) => chunk,
                Next::Declined => break Filled::Declined,
                Next::Nothing => break Filled::Drained,
            };
            let Some(entry) = self.paths.get(path) else { break Filled::Drained };
            let on = Outlet { id: path, control: entry.lanes.control(), view: entry.view(now) };
            match self.streams.write_chunk(now, on, &chunk, carrier, &mut self.effects) {
                Ok(written) => {
                    chunks += 1;
                    if let Some(entry) = self.paths.get_mut(path)
                        && let Some(lane) = written.opened
                    {
                        entry.lanes.on_opened(lane, chunk.stream);
                    }
                    if let Some(sent) = written.sent {
                        self.account(now, path, chunk.reason, sent);
                    }
                }
                Err(dir) => blocked.add(dir),
            }
        };
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.on_filled(now, filled, chunks);
        if self.streams.has_backlog() && self.paths.len() > 1 {
            self.wake_others(now, path, chunks);
        }
    }

    /// What the carrier wants, and never more than a path of unknown capacity can have under way.
    fn capacity(&self, now: Time, id: PathId, carrier: &mut dyn Carrier) -> usize {
        let capacity = carrier.capacity();
        let Some(path) = self.paths.get(id) else { return 0 };
        if path.knows_window() || self.paths.usable().count() < 2 {
            return capacity;
        }
        let view = path.view(now);
        let room = view.window_bytes.saturating_sub(view.committed_bytes);
        capacity.min(usize::try_from(room).unwrap_or(capacity))
    }

    fn account(&mut self, now: Time, id: PathId, reason: SendReason, sent: Sent) {
        self.stats.sent_bytes += sent.new_bytes;
        self.selector.on_sent(id, reason, sent);
        match reason {
            SendReason::Retransmit => self.stats.retransmitted_bytes += sent.bytes,
            SendReason::Reinject | SendReason::Duplicate => self.stats.reinjected_bytes += sent.bytes,
            SendReason::New => {}
        }
        if let Some(path) = self.paths.get_mut(id) {
            path.on_sent(now, sent.bytes);
            if reason != SendReason::New {
                path.on_reinjected(sent.bytes);
            }
        }
    }

    // ---- who gets to ask ----

    /// Carries out what streams have asked for.
    pub(super) fn carry_out(&mut self, now: Time) {
        while let Some(PathCommand { path, command }) = self.effects.pop_command() {
            if let Some(entry) = self.paths.get_mut(path) {
                entry.lanes.command(command);
                self.wake(path);
            }
        }
        match self.effects.take_wake() {
            ControlWake::None => {}
            ControlWake::ControlPath => {
                if let Some(best) = self.paths.control_path() {
                    self.wake(best);
                }
            }
            ControlWake::Due => self.wake_for_control(now),
        }
    }

    pub(super) fn wake(&mut self, id: PathId) {
        if let Some(path) = self.paths.get_mut(id)
            && path.queue_wake()
        {
            self.effects.actions.push_back(Action::Transmit { path: id });
        }
    }

    pub(super) fn wake_all(&mut self) {
        for id in self.paths.ids() {
            if let Some(path) = self.paths.get_mut(id) {
                path.on_change();
            }
            self.wake(id);
        }
    }

    /// There is new data: the best path that waits for some gets to ask first; the rest follow if it leaves any.
    pub(super) fn wake_for_data(&mut self) {
        self.paths.iter_mut().for_each(Path::on_change);
        let waiting = self.paths.usable().filter(|path| path.is_app_limited());
        let best = waiting.min_by_key(|path| (path.rtt(), path.id)).map(|path| path.id);
        if let Some(best) = best {
            self.wake(best);
        }
    }

    pub(super) fn wake_for_control(&mut self, now: Time) {
        if self.effects.control.is_due(now)
            && let Some(best) = self.paths.control_path()
        {
            self.wake(best);
        }
        let due: Vec<_> =
            self.paths.iter().filter(|path| path.has_due_report(now)).map(|path| path.id).collect();
        due.into_iter().for_each(|id| self.wake(id));
    }

    /// There is more than `id` took: the others that wait for something get to ask, once at each point in time if
    /// nothing else changes, for what schedulers go by changes with time.
    fn wake_others(&mut self, now: Time, id: PathId, chunks: u64) {
        let others = self.paths.iter().filter(|path| path.id != id && path.is_app_limited());
        let waiting = others.filter(|path| chunks > 0 || !path.is_idle_at(now));
        let ids: Vec<_> = waiting.map(|path| path.id).collect();
        ids.into_iter().for_each(|id| self.wake(id));
    }

    // ---- streams whose time has come ----

    /// An acknowledgement can be lost with a path that only the peer knew to be bad. A stream that waits for the last
    /// one of a stream asks for it, by saying once more how the stream ended.
    pub(super) fn ask_overdue(&mut self, now: Time) {
        if self.streams.overdue_at().is_none_or(|at| now < at) {
            return;
        }
        let overdue = self.streams.take_overdue(now);
        if self.paths.has_healthy() {
            self.streams.ask_again(&overdue, &mut self.effects);
        }
        self.wake_for_data();
    }

    pub(super) fn check_policy_deadlines(&mut self, now: Time) {
        if self.streams.check_policy_deadlines(now) {
            self.wake_all();
        }
    }
}
