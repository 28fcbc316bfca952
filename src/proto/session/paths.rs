//! Opening and steering of paths within a session: carriers that come and go, the handshake, advice, preferences.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use super::{Session, State};
use crate::proto::acceptor::Accepted;
use crate::proto::error::{PathError, SessionError};
use crate::proto::event::{Action, Event, PathLoss, SessionEvent};
use crate::proto::paths::lanes::PathLanes;
use crate::proto::paths::path::{Path, PathInfo, PathPreference, PhaseEvent};
use crate::proto::streams::recv::Violation;
use crate::proto::time::Time;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::frame::{Accept, AddPath, Intent, Reject};
use crate::proto::wire::id::{PathId, Side};
use crate::proto::wire::limits::VERSION;
use crate::proto::wire::token;

impl Session {
    // ---- inputs from the backend ----

    /// Client: the carrier that [`Action::Dial`] asked for is there.
    pub fn path_connected(&mut self, now: Time, path: PathId) {
        if let Some(entry) = self.paths.get_mut(path)
            && entry.on(PhaseEvent::Connected)
        {
            self.dialing.on_answered(now, path);
            self.effects.actions.push_back(Action::Transmit { path });
        }
        self.wake_for_control(now);
    }

    /// Client: where the path leads on the network, which a backend that looks names up says before
    /// [`path_connected`](Self::path_connected). The server may advise further addresses of this kind.
    pub fn path_remote(&mut self, path: PathId, remote: IpAddr) {
        if path == PathId::PRIMARY {
            self.dialing.on_first_remote(remote);
        }
    }

    /// Client: of the addresses that the name of a path stands for, leaves those that may be dialled for it. That
    /// is all of them, unless it was the server that advised the name.
    pub fn admit_remotes(&mut self, path: PathId, remotes: &mut Vec<SocketAddr>) {
        self.dialing.admit_remotes(path, remotes);
    }

    /// Client: the carrier could not be had.
    pub fn path_failed(&mut self, now: Time, path: PathId, reason: String) {
        self.lose_path(now, path, PathLoss::Failed(reason));
    }

    /// The carrier is gone, closed by either end or by the network.
    pub fn path_closed(&mut self, now: Time, path: PathId, loss: PathLoss) {
        let code = TransportCode::SessionClosed;
        let is_attached = self.paths.get(path).is_some_and(Path::is_attached);
        if is_attached && loss == PathLoss::ClosedByPeer(code.into()) {
            // CLOSE did not make it, the carrier's own farewell did.
            self.lose_path(now, path, loss);
            self.end(now, SessionError::PeerError { code, reason: Bytes::new() }, None);
            return;
        }
        self.lose_path(now, path, loss);
    }

    /// Server: admits a path that asks to join this session, or says why not. A valid proof uses its path id up,
    /// whatever comes of the path later.
    pub fn check_join(&mut self, path: PathId, session_proof: &Intent) -> Result<(), TransportCode> {
        let (Some(credentials), Intent::Join { session, proof }) =
            (&self.identity.credentials, session_proof)
        else {
            return Err(TransportCode::ProtocolViolation);
        };
        if self.is_closed() {
            return Err(TransportCode::UnknownSession);
        }
        if !token::verify(credentials, *session, path, proof) {
            return Err(TransportCode::BadProof);
        }
        if !self.paths.claim_id(path) {
            return Err(TransportCode::PathIdUsed);
        }
        // Twice as many as stated: a client that lost its paths may be back before this end knows of the loss.
        if self.paths.len() >= 2 * self.max_paths() {
            return Err(TransportCode::TooManyPaths);
        }
        Ok(())
    }

    /// Server: the path is part of the session from here on. For one that joins, `check_join` has agreed.
    pub fn attach(&mut self, now: Time, accepted: Accepted) {
        let id = accepted.hello.path;
        if accepted.hello.intent == Intent::New {
            self.paths.claim_id(id);
        }
        let lanes = PathLanes::with_control(accepted.control, accepted.reader);
        self.paths.insert(Path::accepted(id, lanes, now));
        self.pace_acks(now);
        self.effects.actions.push_back(Action::Transmit { path: id });
        self.read_lane(now, id, accepted.control, crate::proto::wire::id::Dir::Bi);
    }

    /// How long acknowledgements and reports of little may wait: where there is no other path to choose, they change
    /// nothing for the peer, if it says so.
    pub(super) fn pace_acks(&mut self, now: Time) {
        let own = self.config.max_ack_delay;
        let peer = self.peer_parameters.as_ref().map_or(0, |peer| peer.lone_path_ack_delay_ms.min(1_000));
        let is_patient = self.paths.len() == 1 && !own.is_zero();
        let delay = if is_patient { own.max(Duration::from_millis(peer)) } else { own };
        if delay < self.effects.control.ack_delay() {
            self.paths.iter_mut().for_each(|path| path.hasten_report(now, delay));
        }
        self.effects.control.set_ack_delay(now, delay);
    }

    /// ACCEPT has gone out, or has come in.
    pub(super) fn establish(&mut self, now: Time, path: PathId) {
        self.pace_acks(now);
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.on_accepted(now);
        if entry.has_preference() {
            self.effects.control.path_statuses.insert(path);
        }
        self.dialing.on_established(now, path);
        self.effects.notify(SessionEvent::PathAdded(path));
        if self.life.suspended_since.take().is_some() {
            self.stats.resumes += 1;
            self.effects.notify(SessionEvent::Resumed);
            self.requeue_control();
        }
        self.rescue_from_suspects();
        self.wake_all();
    }

    /// Client: the server's word on a path.
    pub(super) fn on_accept(&mut self, now: Time, path: PathId, accept: Accept) {
        if accept.version != VERSION || (self.identity.id.is_none() && accept.credentials.is_none()) {
            let what = "the server accepts a version that was not offered, or gives no credentials";
            self.violation(now, path, Violation::new(TransportCode::ProtocolViolation, what));
            return;
        }
        match self.identity.id {
            None => {
                self.identity.id = Some(accept.session);
                self.identity.credentials = accept.credentials;
                self.apply_parameters(&accept.parameters);
                self.life.state = State::Open;
                self.effects.events.push_back(Event::Opened);
            }
            Some(id) if id != accept.session => {
                let what = "the server answered for another session";
                self.violation(now, path, Violation::new(TransportCode::ProtocolViolation, what));
                return;
            }
            Some(_) => {}
        }
        self.establish(now, path);
        self.read_early(now, path);
        self.dial_due(now);
    }

    /// Client: the server refuses a path.
    pub(super) fn on_reject(&mut self, now: Time, path: PathId, reject: &Reject) {
        let code = TransportCode::from_u64(reject.code).unwrap_or(TransportCode::Internal);
        let reason = reject.reason.clone();
        let fatal = self.identity.id.is_none()
            || matches!(code, TransportCode::UnknownSession | TransportCode::Version);
        if fatal && self.has_attached_path_besides(path) {
            // The session lives on other paths: this address leads to a server that does not know it.
            self.dialing.forget_path(now, path, &mut self.identity.rng);
            self.lose_path(now, path, PathLoss::Failed(code.to_string()));
        } else if fatal {
            self.end(now, SessionError::Rejected { code, reason }, None);
        } else {
            self.lose_path(now, path, PathLoss::Failed(format!("the server refused it: {code}")));
        }
    }

    fn has_attached_path_besides(&self, path: PathId) -> bool {
        self.paths.attached().any(|other| other.id != path)
    }

    // ---- dialling ----

    /// Client: dials what is missing and due.
    pub(super) fn dial_due(&mut self, now: Time) {
        if self.side == Side::Server || self.is_closed() {
            return;
        }
        while self.may_dial() {
            let id = self.paths.next_id();
            let Some(address) = self.dialing.dial(now, id) else { break };
            self.paths.insert_dialed(Path::dialled(id, address.clone(), now));
            self.pace_acks(now);
            self.effects.actions.push_back(Action::Dial { path: id, address });
        }
    }

    /// Whether there is room for another path. Before the session has a name there is nothing to join:
    /// further paths wait for the first.
    pub(super) fn may_dial(&self) -> bool {
        let alive = self.paths.iter().filter(|path| path.is_alive()).count();
        alive < if self.identity.id.is_none() { 1 } else { self.max_paths() }
    }

    /// Something says that the network may be back (a page that is visible again, an interface that came
    /// up): redial at once whatever is missing.
    pub fn network_changed(&mut self, now: Time) {
        self.dialing.network_changed(now);
        self.dial_due(now);
    }

    /// Client: ADD_PATH.
    pub(super) fn on_advice(&mut self, now: Time, add: AddPath) {
        let advice = add.advice;
        let Some(address) = self.dialing.judge(add) else { return };
        self.effects.notify(SessionEvent::Advised(address.clone()));
        if !self.config.follow_advice {
            return;
        }
        if self.dialing.len() >= self.max_paths() {
            self.dialing.no_room();
            return;
        }
        self.dialing.add_advised(now, address, advice);
        self.dial_due(now);
    }

    /// Client: REMOVE_PATH.
    pub(super) fn on_advice_withdrawn(&mut self, now: Time, advice: u64) {
        if let Some(path) = self.dialing.forget_advice(now, advice, &mut self.identity.rng) {
            self.close_path(now, path, TransportCode::NoError);
        }
    }

    // ---- the application's wishes ----

    /// Removes a path: what it carries goes on elsewhere, and it is not dialled again.
    pub fn remove_path(&mut self, now: Time, path: PathId) -> Result<(), PathError> {
        if !self.paths.contains(path) {
            return Err(PathError::Unknown { path });
        }
        self.dialing.forget_path(now, path, &mut self.identity.rng);
        self.close_path(now, path, TransportCode::NoError);
        Ok(())
    }

    /// Puts a path on standby, or back into use, for both directions.
    pub fn set_standby(&mut self, path: PathId, standby: bool) -> Result<(), PathError> {
        self.prefer(path, |preference| PathPreference { standby, ..preference })
    }

    /// Says what a byte on this path costs, for both directions; only comparisons matter.
    pub fn set_cost(&mut self, path: PathId, cost: u32) -> Result<(), PathError> {
        self.prefer(path, |preference| PathPreference { cost: cost.into(), ..preference })
    }

    fn prefer(
        &mut self,
        path: PathId,
        change: impl FnOnce(PathPreference) -> PathPreference,
    ) -> Result<(), PathError> {
        let entry = self.paths.get_mut(path).ok_or(PathError::Unknown { path })?;
        entry.prefer(change(entry.preference()));
        self.effects.control.path_statuses.insert(path);
        self.wake_all();
        Ok(())
    }

    /// This end's share of traffic for this path, under the weighted scheduler; 0 counts as 1.
    pub fn set_weight(&mut self, path: PathId, weight: u32) -> Result<(), PathError> {
        self.paths.get_mut(path).ok_or(PathError::Unknown { path })?.set_weight(weight);
        Ok(())
    }

    /// Measures a round trip on the path's control lane; [`Event::Pong`] with the token follows.
    pub fn ping(&mut self, path: PathId) -> Result<u64, PathError> {
        let entry = self.paths.get_mut(path).filter(|path| path.is_attached());
        let entry = entry.ok_or(PathError::Unknown { path })?;
        let token = entry.liveness.ping();
        self.effects.actions.push_back(Action::Transmit { path });
        Ok(token)
    }

    /// What is known of one path.
    pub fn path_info(&self, path: PathId) -> Option<PathInfo> {
        self.paths.get(path).map(Path::info)
    }

    /// What is known of all paths, by id.
    pub fn paths(&self) -> impl Iterator<Item = PathInfo> + '_ {
        self.paths.iter().map(Path::info)
    }
}
