//! One of the sessions that live through the whole run: what it does, and what is done to it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kwik::{AppCode, PathState, Session};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep, timeout};

use crate::counts::COUNTS;
use crate::exchange::{Failure, Kind, Request};
use crate::load::{PATIENCE, close, config};
use crate::pattern::Pattern;

/// A dial through a network that is silent may fail; one of these does not.
const DIAL_ATTEMPTS: usize = 3;
const MIB: u64 = 1 << 20;
/// Datagrams that may come this late; older ones are forgotten.
const DATAGRAM_WINDOW: u64 = 10_000;

/// What a session is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Downloads without a pause.
    BusyDown,
    /// Uploads without a pause.
    BusyUp,
    /// 100 bytes there and back.
    Echo,
    /// Ten small downloads at once.
    Requests,
    /// 1 MiB at a time.
    Down,
    /// 1 MiB at a time.
    Up,
    /// Small datagrams there and back.
    Datagrams,
    /// Next to nothing.
    Idle,
}

impl Traffic {
    /// Six sessions are busy; of the others, each twenty are the same mixture.
    pub(crate) fn of(index: usize) -> Self {
        match (index, index % 20) {
            (0..3, _) => Self::BusyDown,
            (3..6, _) => Self::BusyUp,
            (_, 0..8) => Self::Echo,
            (_, 8..12) => Self::Requests,
            (_, 12 | 13) => Self::Down,
            (_, 14) => Self::Up,
            (_, 15..18) => Self::Datagrams,
            _ => Self::Idle,
        }
    }

    pub(crate) fn is_busy(self) -> bool {
        matches!(self, Self::BusyDown | Self::BusyUp)
    }

    /// From one thing to the next.
    fn pause_ms(self) -> std::ops::Range<u64> {
        match self {
            Self::BusyDown | Self::BusyUp => 0..1,
            Self::Echo | Self::Datagrams => 100..300,
            Self::Requests => 300..700,
            Self::Down | Self::Up => 500..1_500,
            Self::Idle => 5_000..15_000,
        }
    }
}

/// See the module.
pub(crate) struct Member {
    index: usize,
    traffic: Traffic,
    /// Its two paths.
    urls: [String; 2],
    /// For further paths.
    spare_urls: [String; 2],
    rng: Mutex<ChaCha8Rng>,
    state: Mutex<State>,
    datagrams: AtomicU64,
    /// Held shared while a fault or an extra exchange uses the session, so that the session is not closed meanwhile.
    session_lock: tokio::sync::RwLock<()>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// It was told to break: what fails now fails for that reason.
    is_doomed: bool,
    /// Datagrams sent that have not come back.
    unanswered: BTreeSet<u64>,
}

impl Member {
    pub(crate) fn new(
        index: usize,
        seed: u64,
        traffic: Traffic,
        urls: [String; 2],
        spare_urls: [String; 2],
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1 << 32 | index as u64);
        Self {
            index,
            traffic,
            urls,
            spare_urls,
            rng: Mutex::new(rng),
            state: Mutex::default(),
            datagrams: AtomicU64::new(0),
            session_lock: tokio::sync::RwLock::new(()),
        }
    }

    // ---- what it does ----

    /// Session after session, the next one when the last was told to break.
    pub(crate) async fn live(self: Arc<Self>, end: Instant) {
        // Not all in the first instant.
        sleep(Duration::from_millis(self.draw(0..2_000))).await;
        while Instant::now() < end {
            let Some(session) = self.dial().await else { return };
            let listening = tokio::spawn(Arc::clone(&self).listen(session.clone()));
            // Through a silent network it fails, and the session has one path only.
            let second = session.add_path(&self.urls[1]).await;
            COUNTS.event(if second.is_ok() { "second paths" } else { "second paths that failed" });
            let outcome = self.use_until(&session, end).await;
            self.look_at(outcome);
            listening.abort();
        }
    }

    async fn dial(&self) -> Option<Session> {
        let mut last = String::new();
        for _ in 0..DIAL_ATTEMPTS {
            match kwik::dial(&self.urls[0], config()).await {
                Ok(session) => {
                    COUNTS.event("sessions dialled");
                    let mut state = self.state();
                    *state = State { session: Some(session.clone()), ..State::default() };
                    return Some(session);
                }
                Err(error) => last = error.to_string(),
            }
            COUNTS.event("dials repeated through failing networks");
        }
        COUNTS.violation(format!("session {}: {DIAL_ATTEMPTS} dials failed, the last: {last}", self.index));
        None
    }

    async fn use_until(&self, session: &Session, end: Instant) -> Result<(), Failure> {
        while Instant::now() < end {
            self.within_patience(self.act(session)).await?;
            let pause = Duration::from_millis(self.draw(self.traffic.pause_ms()));
            tokio::select! {
                () = sleep(pause.min(end - Instant::now().min(end))) => {}
                end = session.closed() => return Err(Failure::Broken(end.to_string())),
            }
        }
        let _exclusive = self.session_lock.write().await;
        self.within_patience(close(session)).await
    }

    /// Once what it does all the time.
    async fn act(&self, session: &Session) -> Result<(), Failure> {
        let run = |kind, bytes| self.request(kind, bytes).run(session, Duration::ZERO);
        match self.traffic {
            Traffic::BusyDown => run(Kind::Get, 16 * MIB).await,
            Traffic::BusyUp => run(Kind::Put, 16 * MIB).await,
            Traffic::Down => run(Kind::Get, MIB).await,
            Traffic::Up => run(Kind::Put, MIB).await,
            Traffic::Echo | Traffic::Idle => run(Kind::Echo, 100).await,
            Traffic::Requests => {
                let mut running = tokio::task::JoinSet::new();
                for _ in 0..10 {
                    let request = self.request(Kind::Get, self.draw(100..20_000));
                    let session = session.clone();
                    running.spawn(async move { request.run(&session, Duration::ZERO).await });
                }
                running.join_all().await.into_iter().collect()
            }
            Traffic::Datagrams => self.send_datagrams(session),
        }?;
        COUNTS.event("exchanges");
        Ok(())
    }

    fn send_datagrams(&self, session: &Session) -> Result<(), Failure> {
        for _ in 0..5 {
            let number = self.datagrams.fetch_add(1, Ordering::Relaxed);
            let body = Pattern { seed: number }.bytes(0, self.draw(1..1_000) as usize);
            let datagram = [&number.to_be_bytes()[..], &body].concat();
            let mut state = self.state();
            state.unanswered.insert(number);
            state.unanswered.retain(|sent| sent + DATAGRAM_WINDOW > number);
            drop(state);
            // While there is no path, nothing fits; that is no failure of the session.
            let sent = session.send_datagram(Bytes::from(datagram));
            COUNTS.event(if sent.is_ok() { "datagrams sent" } else { "datagrams without a path" });
            if let Some(error) = session.close_reason() {
                return Err(Failure::Broken(error.to_string()));
            }
        }
        Ok(())
    }

    /// Takes the datagrams that come back: none twice, none with wrong bytes.
    async fn listen(self: Arc<Self>, session: Session) {
        while let Ok(datagram) = session.recv_datagram().await {
            let (number, body) = datagram.split_at(datagram.len().min(8));
            let number = number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let is_late = number + DATAGRAM_WINDOW <= self.datagrams.load(Ordering::Relaxed);
            if !(Pattern { seed: number }).is_at(0, body) {
                COUNTS.violation(format!("session {}: datagram {number} has wrong bytes", self.index));
            } else if !self.state().unanswered.remove(&number) && !is_late {
                COUNTS.violation(format!("session {}: datagram {number} came twice", self.index));
            }
            COUNTS.checked(datagram.len());
            COUNTS.event("datagrams back");
        }
    }

    // ---- what is done to it ----

    /// Ends the session at once. The next one begins soon.
    pub(crate) fn abort(&self) {
        let mut state = self.state();
        if let Some(session) = state.session.clone() {
            state.is_doomed = true;
            drop(state);
            session.abort(AppCode::new(3), b"told to");
        }
    }

    /// Has a path more for a while.
    pub(crate) async fn add_path_for(&self, lasting: Duration) {
        let Some(session) = self.session() else { return };
        let spare = self.draw(0..2) as usize;
        if let Ok(path) = session.add_path(&self.spare_urls[spare]).await {
            sleep(lasting).await;
            // Gone already when the session is.
            let _ = path.remove();
        }
    }

    /// Has a path less for a while, if it has another one then.
    pub(crate) async fn remove_path_for(&self, lasting: Duration) {
        let Some(session) = self.session() else { return };
        let paths: Vec<_> =
            session.paths().into_iter().filter(|path| path.state == PathState::Active).collect();
        let removed = (paths.len() >= 2).then(|| &paths[self.draw(0..paths.len() as u64) as usize]);
        let Some(removed) = removed else { return };
        let remote = removed.remote.map(|remote| format!("kwik://{remote}?"));
        let known = [&self.urls, &self.spare_urls];
        let url =
            known.into_iter().flatten().find(|url| remote.as_ref().is_some_and(|at| url.starts_with(at)));
        if session.remove_path(removed.id).is_ok()
            && let Some(url) = url
        {
            sleep(lasting).await;
            // Through a silent network it fails.
            let _ = session.add_path(url).await;
        }
    }

    /// Does something else on the session at the same time.
    pub(crate) async fn beside<F: Future<Output = Result<(), Failure>>>(
        &self,
        what: impl FnOnce(Session) -> F,
    ) {
        let _in_use = self.session_lock.read().await;
        if let Some(session) = self.session() {
            let id = session.id();
            let outcome = self.within_patience(what(session)).await;
            // Of a session that is there no more nothing is expected.
            if self.session().is_some_and(|now| now.id() == id) || matches!(outcome, Err(Failure::Damaged(_)))
            {
                self.look_at(outcome);
            }
        }
    }

    // ---- ----

    async fn within_patience(&self, what: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
        match timeout(PATIENCE, what).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Damaged(format!("{:?} hangs: not done after {PATIENCE:?}", self.traffic))),
        }
    }

    /// Whether what failed may fail.
    fn look_at(&self, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => {}
            Err(Failure::Broken(_)) if self.state().is_doomed => {}
            Err(Failure::Broken(text) | Failure::Damaged(text)) => {
                let session = self.session();
                let paths: Vec<_> = session.iter().flat_map(Session::paths).map(|path| path.state).collect();
                COUNTS.violation(format!(
                    "session {} ({:?}): {text}; paths: {paths:?}",
                    self.index, self.traffic
                ));
            }
        }
    }

    fn request(&self, kind: Kind, bytes: u64) -> Request {
        Request { kind, seed: self.draw(0..u64::MAX), bytes }
    }

    fn session(&self) -> Option<Session> {
        self.state().session.clone()
    }

    fn draw(&self, range: std::ops::Range<u64>) -> u64 {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        range.start + rng.next_u64() % (range.end - range.start)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
