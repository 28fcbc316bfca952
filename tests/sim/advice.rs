//! Tests of what a hostile server can make its client dial: by advice (docs/PROTOCOL.md section 9), and
//! by paths that are accepted only to be closed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kwik::proto::config::SessionConfig;
use kwik::proto::event::{Action, PathAddress, PathLoss};
use kwik::proto::session::{CloseState, Session};
use kwik::proto::time::Time;
use kwik::proto::wire::code::AppCode;
use kwik::proto::wire::code::TransportCode;
use kwik::proto::wire::frame::{Accept, AddPath, Frame, Parameters, Reject};
use kwik::proto::wire::id::{Dir, LaneId, PathId};
use kwik::proto::wire::limits::{ADVISED_INITIALS_PER_MINUTE, ADVISED_IPS_PER_ATTEMPT};

use crate::hostile::{Sink, accept, bytes_of, control, parameters};
use crate::rng::SimRng;

const CONTROL: LaneId = LaneId(0);
const OWN: &str = "server.example:4433";
const MINUTE: Duration = Duration::from_secs(60);

/// When a client of RFC 9002 sends Initials to one that does not answer, after the attempt began: the first
/// flight, and two packets at each probe timeout, from a round trip of 100 ms.
const FLIGHTS_MS: [u64; 11] = [0, 300, 300, 900, 900, 2_100, 2_100, 4_500, 4_500, 9_300, 9_300];
/// A second IP address of the name is tried so long after the first.
const HEAD_START: Duration = Duration::from_millis(250);

struct Dial {
    began: Time,
    authority: String,
}

/// A client, and what it sends to whom.
struct Victim {
    now: Time,
    session: Session,
    paths: BTreeMap<PathId, Sink>,
    dials: BTreeMap<PathId, Dial>,
    /// Of attempts that advice has caused.
    initials: Vec<Time>,
    advised_dials: usize,
    own_dials: Vec<Time>,
}

impl Victim {
    fn new(seed: [u8; 32]) -> Self {
        let now = Time::from_epoch(Duration::from_secs(1));
        let address = PathAddress { authority: OWN.to_owned(), ..PathAddress::default() };
        let mut config = SessionConfig::default();
        config.resume_timeout = 10 * MINUTE;
        let mut victim = Self {
            now,
            session: Session::client(now, config.validate().unwrap(), seed, address),
            paths: BTreeMap::new(),
            dials: BTreeMap::new(),
            initials: Vec::new(),
            advised_dials: 0,
            own_dials: Vec::new(),
        };
        victim.settle();
        victim.answer(PathId::PRIMARY);
        assert_eq!(victim.session.close_state(), CloseState::Open);
        victim
    }

    fn settle(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Dial { path, address } => {
                    match address.authority.as_str() {
                        OWN => self.own_dials.push(self.now),
                        _ => self.advised_dials += 1,
                    }
                    self.dials.insert(path, Dial { began: self.now, authority: address.authority });
                }
                Action::ClosePath { path, .. } => {
                    self.end_dial(path);
                    self.paths.remove(&path);
                }
                Action::Transmit { path } => self.transmit(path),
            }
        }
        while self.session.poll_event().is_some() {}
    }

    fn transmit(&mut self, path: PathId) {
        if let Some(carrier) = self.paths.get_mut(&path) {
            self.session.transmit(self.now, path, carrier);
        }
    }

    /// An attempt is over, answered or not: either way one more Initial, that acknowledges or closes.
    fn end_dial(&mut self, path: PathId) {
        let Some(Dial { began, authority }) = self.dials.remove(&path) else { return };
        if authority == OWN {
            return;
        }
        let is_name = authority.contains("example");
        for ip in 0..if is_name { ADVISED_IPS_PER_ATTEMPT as u32 } else { 1 } {
            let began = began + HEAD_START * ip;
            if began <= self.now {
                let sent = FLIGHTS_MS.map(|ms| began + Duration::from_millis(ms));
                self.initials.extend(sent.into_iter().filter(|at| *at <= self.now));
                self.initials.push(self.now);
            }
        }
    }

    /// The server is there, too, and accepts the path.
    fn answer(&mut self, path: PathId) {
        self.connect(path);
        let Frame::Accept(first) = accept() else { unreachable!() };
        let parameters = Parameters { max_paths: 100, resume_timeout_ms: 1 << 30, ..parameters() };
        let credentials = first.credentials.filter(|_| path == PathId::PRIMARY);
        self.say(path, control(&[Frame::Accept(Accept { credentials, parameters, ..first })]));
    }

    fn connect(&mut self, path: PathId) {
        self.end_dial(path);
        self.paths.insert(path, Sink::default());
        self.session.path_connected(self.now, path);
        self.transmit(path);
        self.settle();
    }

    fn say(&mut self, path: PathId, bytes: Bytes) {
        self.session.on_lane_data(self.now, path, CONTROL, Dir::Bi, bytes);
        self.settle();
    }

    /// Time passes, and the session's timeouts with it.
    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
    }

    fn busiest_minute(mut self) -> usize {
        let open: Vec<_> = self.dials.keys().copied().collect();
        open.into_iter().for_each(|path| self.end_dial(path));
        self.initials.sort();
        let within = |at: Time| move |other: &&Time| **other >= at && **other - at < MINUTE;
        self.initials.iter().map(|at| self.initials.iter().filter(within(*at)).count()).max().unwrap_or(0)
    }
}

/// One of 200 addresses, of each kind.
fn anywhere(rng: &mut SimRng) -> String {
    let host = rng.within(0..40);
    match rng.within(0..5) {
        0 => format!("[2001:db8::{host}]:443"),
        1 => format!("target{host}.example:53"),
        2 => format!("127.0.0.{host}:53"),
        _ => format!("198.51.100.{host}:443"),
    }
}

/// One thing that a server can do to make its client dial.
fn provoke(victim: &mut Victim, rng: &mut SimRng) {
    let dialled: Vec<_> = victim.dials.keys().copied().collect();
    let open: Vec<_> = victim.paths.keys().copied().collect();
    let pick =
        |rng: &mut SimRng, paths: &[PathId]| paths.get(rng.within(0..paths.len() as u64) as usize).copied();
    // The session itself stays alive on its first path, if that is there.
    let Some(&speaker) = open.first() else {
        dialled.iter().for_each(|path| victim.answer(*path));
        return;
    };
    match rng.within(0..10) {
        0..=4 => {
            let advice = rng.within(0..400);
            let authority = anywhere(rng);
            let add = AddPath { advice, priority: 0, relay: false, authority, certificate_hash: None };
            victim.say(speaker, bytes_of(&[Frame::AddPath(add)]));
        }
        5 | 6 => {
            // In order mostly, so that the client does not stop to listen.
            let advice = (victim.now.since_epoch().as_millis() / 100) as u64;
            let ids = advice.saturating_sub(rng.within(0..3))..advice;
            let frames: Vec<_> = ids.map(|advice| Frame::RemovePath { advice }).collect();
            victim.say(speaker, bytes_of(&frames));
        }
        7 => {
            let any: Vec<_> = dialled.iter().chain(&open).copied().collect();
            let codes = [TransportCode::NoError, TransportCode::PathAbandoned];
            let code = codes[rng.within(0..2) as usize].as_u64();
            if let Some(path) = pick(rng, &any) {
                victim.say(speaker, bytes_of(&[Frame::PathClose { path, code, reason: Bytes::new() }]));
            }
        }
        8 => {
            if let Some(path) = pick(rng, &dialled) {
                victim.answer(path);
            }
        }
        _ => {
            if let Some(path) = pick(rng, &dialled) {
                victim.end_dial(path);
                victim.session.path_failed(victim.now, path, "refused".into());
                victim.settle();
            }
        }
    }
}

#[test]
fn whatever_a_server_advises_takes_back_answers_and_closes_a_minute_sees_64_initials_at_most() {
    let mut dials = 0;
    for seed in 0..100 {
        let mut rng = SimRng::new(seed);
        let mut victim = Victim::new(rng.seed());
        let end = victim.now + 3 * MINUTE;
        while victim.now < end {
            for _ in 0..rng.within(1..8) {
                provoke(&mut victim, &mut rng);
            }
            victim.wait(rng.ms(1..300));
        }
        dials += victim.advised_dials;
        let busiest = victim.busiest_minute();
        assert!(busiest as u64 <= ADVISED_INITIALS_PER_MINUTE, "seed {seed}: {busiest} Initials in a minute");
    }
    assert!(dials > 1_000, "advice is followed: {dials} dials");
}

#[test]
fn advice_that_is_never_answered_is_asked_less_and_less() {
    let mut victim = Victim::new([1; 32]);
    for (advice, authority) in [(1, "198.51.100.1:443"), (2, "target.example:443")] {
        let authority = authority.to_owned();
        let add = AddPath { advice, priority: 0, relay: false, authority, certificate_hash: None };
        victim.say(PathId::PRIMARY, bytes_of(&[Frame::AddPath(add)]));
    }
    victim.wait(10 * MINUTE);
    let per_place = victim.advised_dials / 2;
    assert!((8..=20).contains(&per_place), "{per_place} attempts at each in ten minutes");
}

/// A way to end a path that the server has just seen come.
type Ending = fn(&mut Victim, PathId);

#[test]
fn a_server_that_ends_each_path_as_soon_as_it_is_there_is_not_dialled_in_a_loop() {
    let endings: [(&str, Ending); 6] = [
        ("PATH_CLOSE", |victim, path| {
            let code = TransportCode::PathAbandoned.as_u64();
            victim.answer(path);
            victim.say(path, bytes_of(&[Frame::PathClose { path, code, reason: Bytes::new() }]));
        }),
        ("the control lane reset", |victim, path| {
            victim.answer(path);
            victim.session.on_lane_reset(victim.now, path, CONTROL);
        }),
        ("the control lane ended", |victim, path| {
            victim.answer(path);
            victim.session.on_lane_finished(victim.now, path, CONTROL);
        }),
        ("the connection closed", |victim, path| {
            victim.answer(path);
            let code = AppCode::from(TransportCode::GoingAway);
            victim.session.path_closed(victim.now, path, PathLoss::ClosedByPeer(code));
        }),
        ("the connection broken", |victim, path| {
            victim.answer(path);
            victim.session.path_closed(victim.now, path, PathLoss::Failed("reset".into()));
        }),
        ("REJECT", |victim, path| {
            victim.connect(path);
            let code = TransportCode::TooManyPaths.as_u64();
            victim.say(path, control(&[Frame::Reject(Reject { code, reason: Bytes::new() })]));
        }),
    ];
    for (name, end) in endings {
        let mut victim = Victim::new([1; 32]);
        victim.session.path_closed(victim.now, PathId::PRIMARY, PathLoss::TimedOut);
        victim.settle();
        let until = victim.now + MINUTE;
        while victim.now < until {
            let dialled: Vec<_> = victim.dials.keys().copied().collect();
            for path in dialled {
                end(&mut victim, path);
                victim.settle();
            }
            victim.wait(Duration::from_millis(1));
        }
        assert_eq!(victim.session.close_state(), CloseState::Open, "{name}");
        let dials = victim.own_dials.len();
        assert!((20..=60).contains(&dials), "{name}: {dials} dials in a minute");
    }
}
