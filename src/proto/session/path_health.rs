//! Health of paths within a session: suspicion, recovery, loss, and closing in good order.

use std::time::Duration;

use bytes::Bytes;

use super::Session;
use crate::proto::error::SessionError;
use crate::proto::event::{Action, PathLoss, SessionEvent};
use crate::proto::futile::Use;
use crate::proto::paths::dialing::Redial;
use crate::proto::paths::path::{Path, PathPreference, Phase, PhaseEvent};
use crate::proto::streams::PathFailure;
use crate::proto::time::Time;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::frame::PathStatus;
use crate::proto::wire::id::{PathId, Side};
use crate::proto::wire::limits::ADVISED_ANSWER_WITHIN;

/// How long a path that is being closed may take to say what it has to.
const CLOSING_GRACE: Duration = Duration::from_millis(500);

/// What paths say before they go with their session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// CLOSE, on every path that still carries it.
    Close,
    None,
}

impl Session {
    // ---- health ----

    /// Looks at every path whose time has come.
    pub(super) fn check_paths(&mut self, now: Time) {
        for id in self.paths.ids() {
            self.check_path(now, id);
        }
    }

    /// Looks at one path: after a timeout, and whenever its carrier told something new.
    pub(super) fn check_path(&mut self, now: Time, id: PathId) {
        let ack_delay = self.peer_ack_delay();
        let is_late =
            self.paths.get(id).and_then(|path| self.opening_deadline(path)).is_some_and(|at| now >= at);
        let Some(path) = self.paths.get_mut(id) else { return };
        match path.phase() {
            Phase::Dialling | Phase::Greeting { .. } => {
                if is_late {
                    self.lose_path(now, id, PathLoss::NotOpened);
                }
            }
            Phase::Established if path.is_too_silent(now, ack_delay) => self.suspect(now, id),
            Phase::Established if path.wants_probe(now, ack_delay) => {
                path.liveness.ping();
                self.effects.actions.push_back(Action::Transmit { path: id });
            }
            Phase::Suspect { .. } if !path.is_too_silent(now, ack_delay) => self.trust_again(id),
            Phase::Suspect { since } => {
                if now >= path.give_up_at(since, self.config.path_timeout) {
                    self.lose_path(now, id, PathLoss::TimedOut);
                }
            }
            Phase::Closing { until } if now >= until => self.drop_closing(id),
            Phase::Accepting | Phase::Established | Phase::Closing { .. } => {}
        }
    }

    /// When a path that is being opened has taken too long.
    pub(super) fn opening_deadline(&self, path: &Path) -> Option<Time> {
        let patience = match path.phase() {
            // The host at an advised address may not know of the advice: it is not asked for long.
            Phase::Dialling if self.dialing.is_advised(path.id) => {
                self.config.handshake_timeout.min(ADVISED_ANSWER_WITHIN)
            }
            Phase::Dialling | Phase::Greeting { .. } => self.config.handshake_timeout,
            _ => return None,
        };
        Some(path.opened_at() + patience)
    }

    /// The path does not answer: what only it carries becomes work for the others, before its carrier gives up.
    fn suspect(&mut self, now: Time, id: PathId) {
        let Some(path) = self.paths.get_mut(id) else { return };
        path.on(PhaseEvent::Silent { at: now });
        let silent_for = path.silent_since().map(|at| now - at);
        let session = self.identity.id.map(tracing::field::display);
        tracing::debug!(session, side = ?self.side, path = %id, ?silent_for, "path suspect");
        self.stats.path_failures += 1;
        self.requeue_from(id, PathFailure::Silent);
        self.requeue_control();
        self.effects.notify(SessionEvent::PathSuspect(id));
        self.wake_all();
    }

    fn trust_again(&mut self, id: PathId) {
        let Some(path) = self.paths.get_mut(id) else { return };
        path.on(PhaseEvent::Answered);
        self.streams.on_path_recovered(id);
        self.rescue_from_suspects();
        self.effects.notify(SessionEvent::PathRecovered(id));
        self.wake_all();
    }

    /// A path is healthy that was not: what went out on suspect ones meanwhile, for want of a better one, is
    /// its work now.
    pub(super) fn rescue_from_suspects(&mut self) {
        let suspects = self.paths.iter().filter(|path| matches!(path.phase(), Phase::Suspect { .. }));
        let suspects: Vec<_> = suspects.map(|path| path.id).collect();
        if !suspects.is_empty() {
            suspects.into_iter().for_each(|id| self.requeue_from(id, PathFailure::Silent));
            self.requeue_control();
        }
    }

    /// Makes what `path` carries, and no healthy path does, work for the others.
    pub(super) fn requeue_from(&mut self, path: PathId, failure: PathFailure) {
        let healthy: Vec<_> = self.paths.healthy().map(|path| path.id).collect();
        self.streams.on_path_failed(path, failure, &healthy);
    }

    /// What may have been lost with a path is due again (docs/PROTOCOL.md section 6.3).
    pub(super) fn requeue_control(&mut self) {
        self.streams.requeue_control(&mut self.effects);
        let control = &mut self.effects.control;
        control.go_away |= self.life.draining.own;
        control.advice.extend(self.advertised.ids());
        control.requeue_path_closes();
        let stated = self.paths.iter().filter(|path| path.has_preference());
        control.path_statuses.extend(stated.map(|path| path.id));
    }

    /// PATH_STATUS.
    pub(super) fn on_path_status(&mut self, status: &PathStatus) -> Use {
        let PathStatus { path, sequence, standby, cost } = *status;
        let preference = PathPreference { sequence, standby, cost };
        if self.paths.get_mut(path).is_some_and(|path| path.on_peer_preference(preference)) {
            self.wake_all();
        }
        // However new it is, an honest peer has little of this to say.
        Use::None
    }

    // ---- ends ----

    /// The path is gone: everything that it carried is work for the others.
    pub(super) fn lose_path(&mut self, now: Time, id: PathId, loss: PathLoss) {
        let Some(path) = self.paths.remove(id) else { return };
        self.pace_acks(now);
        let was_closing = !path.is_alive();
        if !matches!(loss, PathLoss::ClosedByPeer(_)) || path.phase() == Phase::Dialling {
            let code = path.close_code().unwrap_or(TransportCode::PathAbandoned.as_u64());
            self.effects.actions.push_back(Action::ClosePath { path: id, code, reason: Bytes::new() });
        }
        if self.is_closed() {
            return;
        }
        if path.is_healthy() {
            self.stats.path_failures += 1;
        }
        if self.identity.id.is_none() {
            self.end(now, SessionError::DialFailed { loss }, None);
            return;
        }
        self.effects.control.path_statuses.remove(&id);
        if loss == PathLoss::TimedOut {
            // What silenced the path may have done so in one direction only: the peer is told on another one.
            self.effects.control.path_closes.insert(id, TransportCode::PathAbandoned.as_u64());
        }
        let by_application = path.is_opened_by_application() && !self.dialing.was_reached(id);
        let redial = if by_application && matches!(loss, PathLoss::Failed(_) | PathLoss::NotOpened) {
            self.dialing.forget_path(now, id, &mut self.identity.rng);
            Redial::AtOnce
        } else {
            self.dialing.on_lost(now, id, &mut self.identity.rng)
        };
        if path.is_attached() || was_closing {
            self.requeue_control();
        }
        self.after_loss(now, id, redial);
        if !was_closing {
            self.effects.notify(SessionEvent::PathLost(id, loss));
        }
        self.dial_due(now);
    }

    fn after_loss(&mut self, now: Time, id: PathId, redial: Redial) {
        self.requeue_from(id, PathFailure::Closed);
        self.datagrams.on_path_closed(id);
        let left = self.paths.attached().next().is_some();
        if !left && self.life.suspended_since.is_none() && !self.is_closed() {
            self.life.suspended_since = Some(now);
            self.effects.notify(SessionEvent::Suspended);
            if redial == Redial::AtOnce {
                self.dialing.network_changed(now);
            }
        }
        self.wake_all();
    }

    /// Closes a path in good order: it carries nothing new, says why, and goes.
    pub(super) fn close_path(&mut self, now: Time, id: PathId, code: TransportCode) {
        let Some(path) = self.paths.get_mut(id) else { return };
        if matches!(path.phase(), Phase::Dialling | Phase::Greeting { .. }) {
            self.lose_path(now, id, PathLoss::Removed);
            return;
        }
        if !path.is_alive() {
            return;
        }
        let was_healthy = path.is_healthy();
        path.on(PhaseEvent::Removed { until: now + CLOSING_GRACE });
        path.set_close_code(code.as_u64());
        self.effects.actions.push_back(Action::Transmit { path: id });
        self.effects.control.path_closes.insert(id, code.as_u64());
        self.effects.notify(SessionEvent::PathLost(id, PathLoss::Removed));
        if !was_healthy {
            self.drop_closing(id);
        }
        // Its streams are other paths' work at once: a copy too many is better than a stream that waits.
        self.requeue_control();
        self.after_loss(now, id, Redial::AtOnce);
    }

    /// PATH_CLOSE: the peer has abandoned a path.
    pub(super) fn on_path_close(&mut self, now: Time, id: PathId, code: u64) {
        if self.side == Side::Client && code == TransportCode::NoError.as_u64() {
            self.dialing.forget_path(now, id, &mut self.identity.rng);
        }
        self.effects.control.path_closes.remove(&id);
        if let Some(path) = self.paths.get(id)
            && path.is_alive()
        {
            let answer = TransportCode::PathAbandoned.as_u64();
            self.effects.actions.push_back(Action::ClosePath {
                path: id,
                code: answer,
                reason: Bytes::new(),
            });
            self.lose_path(now, id, PathLoss::ClosedByPeer(AppCode::from_wire(code)));
        }
    }

    /// A path in `Closing` has said what it had to.
    fn drop_closing(&mut self, id: PathId) {
        if let Some(path) = self.paths.remove(id) {
            let code = path.close_code().unwrap_or(TransportCode::NoError.as_u64());
            self.effects.actions.push_back(Action::ClosePath { path: id, code, reason: Bytes::new() });
        }
    }

    /// The session ends: every path says so if there is something to say, and goes.
    pub(super) fn close_all_paths(&mut self, now: Time, code: u64, farewell: Farewell) {
        for id in self.paths.ids() {
            let Some(path) = self.paths.get_mut(id) else { continue };
            path.set_close_code(code);
            if farewell == Farewell::Close && path.is_attached() {
                path.on(PhaseEvent::Removed { until: now + CLOSING_GRACE.max(path.rtt() * 3) });
                self.effects.actions.push_back(Action::Transmit { path: id });
            } else {
                self.drop_closing(id);
            }
        }
    }
}
