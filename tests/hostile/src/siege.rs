//! One server under attack, with an innocent client beside it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

use crate::innocent::{Innocent, Lap};
use crate::lossy::Lossy;
use crate::peer::Client;
use crate::victim::Victim;

/// Where attacks come from: of another network than the innocent client's, which is 127.0.0.1.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 66, 6, 6);
/// How long each attack goes on.
const ATTACK: Duration = Duration::from_millis(1_800);
/// How long the server may take to read what it is to hold: a second, but for a machine that does a lot else.
const LEISURE: Duration = Duration::from_secs(10);
/// How long the innocent client is watched before.
const PEACE: Duration = Duration::from_millis(600);

/// Sieges share the machine's cores: one at a time, or they would measure one another.
static FIELD: Mutex<()> = Mutex::const_new(());

/// A server, an innocent client, and the time of the attack.
#[derive(Debug)]
pub struct Siege {
    name: &'static str,
    victim: Victim,
    innocent: Innocent,
    quiet: Lap,
    resident_before: Option<u64>,
    began: Instant,
    _field: MutexGuard<'static, ()>,
}

impl Siege {
    /// Starts a server (`program` as in [`Victim::start`]), and watches the innocent client for a while.
    pub async fn lay(name: &'static str, program: &str, arguments: &[&str]) -> Self {
        let field = FIELD.lock().await;
        let victim = Victim::start(program, arguments);
        let innocent = Innocent::begin(&victim.url).await;
        innocent.lap();
        tokio::time::sleep(PEACE).await;
        let quiet = innocent.lap();
        let resident_before = victim.memory().map(|memory| memory.resident);
        Self { name, victim, innocent, quiet, resident_before, began: Instant::now(), _field: field }
    }

    /// A socket for attackers.
    pub fn attacker(&self) -> Client {
        Client::from(ATTACKER, self.victim.address)
    }

    /// The same for an attacker to whom the order of what arrives matters, to 32 KiB.
    pub fn careful_attacker(&self) -> Client {
        Client::with_send_window(ATTACKER, self.victim.address, 32 << 10)
    }

    /// An attacker that decides which of its packets are lost.
    pub fn lossy_attacker(&self) -> Lossy {
        Lossy::connect(ATTACKER, self.victim.address)
    }

    /// What clients of kwik's own dial.
    pub fn url(&self) -> String {
        self.victim.url.clone()
    }

    /// Whether the attack goes on.
    pub fn goes_on(&self) -> bool {
        self.began.elapsed() < ATTACK
    }

    /// Goes on with something until it is done, or the attack's time is over (`None`).
    pub async fn within_time<T>(&self, attack: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at((self.began + ATTACK).into(), attack).await.ok()
    }

    /// The same for what has to be done for a case to mean anything: it may take longer than the attack's time.
    pub async fn at_leisure<T>(&self, attack: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at((self.began + LEISURE).into(), attack).await.ok()
    }

    /// Lets the rest of the attack's time pass, with everything held that the attacker has made the server hold.
    pub async fn wait_out(&self) {
        tokio::time::sleep_until((self.began + ATTACK).into()).await;
    }

    /// The server held at most so many bytes more than before the attack, so far.
    ///
    /// # Panics
    ///
    /// When it held more.
    pub fn held_at_most(&self, bound: u64) {
        let (Some(memory), Some(before)) = (self.victim.memory(), self.resident_before) else {
            return println!("{}: memory cannot be read here", self.name);
        };
        let [held, bound_mb] = [memory.peak.saturating_sub(before), bound].map(|bytes| bytes as f64 / 1e6);
        println!("{}: held {held:.1} MB of {bound_mb:.1} MB", self.name);
        assert!(
            held <= bound_mb,
            "{}: the server held {held:.1} MB, at most {bound_mb:.1} MB are promised",
            self.name
        );
    }

    /// The server gives back to the system what it held: soon it holds at most so many bytes more than before the attack.
    ///
    /// # Panics
    ///
    /// When it keeps more.
    pub async fn gives_back_all_but(&self, bound: u64) {
        let began = Instant::now();
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let (Some(first), Some(before)) = (self.victim.memory(), self.resident_before) else {
            return println!("{}: memory cannot be read here", self.name);
        };
        loop {
            looks.tick().await;
            let resident = self.victim.memory().map_or(0, |memory| memory.resident);
            let [held, kept, bound_mb] =
                [first.peak.saturating_sub(before), resident.saturating_sub(before), bound]
                    .map(|bytes| bytes as f64 / 1e6);
            if kept <= bound_mb {
                let took = began.elapsed().as_secs_f64();
                return println!("{}: held {held:.1} MB, and {kept:.1} MB {took:.1} s later", self.name);
            }
            assert!(
                began.elapsed() < LEISURE,
                "{}: the server held {held:.1} MB and keeps {kept:.1} MB, at most {bound_mb:.1} MB are promised",
                self.name
            );
        }
    }

    /// Ends the attack. No dial of the innocent client was lost, its session lives, and the server has nothing to
    /// complain of. What became of its echoes is printed.
    ///
    /// # Panics
    ///
    /// When any of that is not so.
    pub async fn lift(self) {
        let Self { name, victim, innocent, quiet, .. } = self;
        let lap = innocent.end().await;
        println!("{name}: {} dials, {} lost; {}", lap.dials, lap.lost.len(), lap.beside(&quiet));
        assert!(lap.lost.is_empty(), "{name}: {} lost, the first: {}", lap.lost.len(), lap.lost[0]);
        assert!(lap.dials > 0, "{name}: the innocent client did not even try");
        let complaints = victim.stop();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}
