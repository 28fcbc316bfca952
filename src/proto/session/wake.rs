//! Which paths get to ask when something has changed, and streams whose time has come.

use super::Session;
use crate::proto::config::PathPolicy;
use crate::proto::event::Action;
use crate::proto::streams::send::{OVERDUE, SendState, SendStream};
use crate::proto::time::Time;
use crate::proto::wire::id::PathId;

impl Session {
    pub(super) fn wake(&mut self, id: PathId) {
        if let Some(path) = self.paths.get_mut(&id)
            && !std::mem::replace(&mut path.wake_queued, true)
        {
            self.actions.push_back(Action::Transmit { path: id });
        }
    }

    pub(super) fn wake_all(&mut self) {
        let ids: Vec<_> = self.paths.keys().copied().collect();
        for id in ids {
            if let Some(path) = self.paths.get_mut(&id) {
                path.idle_polled_at = None;
            }
            self.wake(id);
        }
    }

    /// There is new data: the best path that waits for some gets to ask first; the rest follow if it leaves any.
    pub(super) fn wake_for_data(&mut self) {
        self.paths.values_mut().for_each(|path| path.idle_polled_at = None);
        let waiting = self.paths.values().filter(|path| path.app_limited && self.is_usable(path.id));
        let best = waiting.min_by_key(|path| (path.rtt(), path.id)).map(|path| path.id);
        if let Some(best) = best {
            self.wake(best);
        }
    }

    pub(super) fn wake_for_control(&mut self, now: Time) {
        if self.pending.is_due(now)
            && let Some(best) = self.control_path()
        {
            self.wake(best);
        }
        let due: Vec<_> =
            self.paths.values().filter(|path| path.has_due_report(now)).map(|path| path.id).collect();
        due.into_iter().for_each(|id| self.wake(id));
    }

    /// There is more than `id` took: the others that wait for something get to ask, once at each point in time if
    /// nothing else changes, for what schedulers go by changes with time.
    pub(super) fn wake_others(&mut self, now: Time, id: PathId, sent_any: bool) {
        let ids: Vec<_> = self
            .paths
            .values()
            .filter(|path| {
                path.id != id && path.app_limited && (sent_any || path.idle_polled_at != Some(now))
            })
            .map(|path| path.id)
            .collect();
        ids.into_iter().for_each(|id| self.wake(id));
    }

    /// An acknowledgement can be lost with a path that only the peer knew to be bad. Whoever waits for the last
    /// one of a stream asks for it, by saying once more how the stream ended.
    pub(super) fn ask_overdue(&mut self, now: Time) {
        if self.overdue_at.is_none_or(|at| now < at) {
            return;
        }
        self.overdue_at = self.send.values().any(SendStream::awaits_completion).then_some(now + OVERDUE);
        let can_ask = self.has_healthy_path() && !self.is_closed();
        let overdue = self.send.values_mut().filter_map(|stream| stream.is_overdue(now).then_some(stream.id));
        for id in overdue.collect::<Vec<_>>() {
            match self.send.get_mut(&id) {
                Some(stream) if can_ask && matches!(stream.state, SendState::Finished) => stream.ask_again(),
                Some(_) if can_ask => drop(self.pending.resets.insert(id)),
                _ => {}
            }
            self.enqueue(id);
        }
        self.wake_for_data();
    }

    pub(super) fn stream_deadline(&self) -> Option<Time> {
        let streams = self.outstanding.iter().filter_map(|stream| self.send.get(stream));
        let due = streams.filter(|stream| !stream.deadline_passed).filter_map(|stream| match stream.policy {
            PathPolicy::Deadline(within) => Some(stream.progress_at + within / 2),
            _ => None,
        });
        due.min()
    }

    pub(super) fn check_deadline_streams(&mut self, now: Time) {
        let mut late = false;
        for stream in self.send.values_mut() {
            if let PathPolicy::Deadline(within) = stream.policy {
                stream.deadline_passed = now >= stream.progress_at + within / 2;
                late |= stream.deadline_passed;
            }
        }
        if late {
            self.wake_all();
        }
    }
}
