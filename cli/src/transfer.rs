//! A transfer that is being watched: progress while it runs, figures at the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kwik::Session;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::digest::Digest;
use crate::display::{Display, Screen};
use crate::duration::in_ms;
use crate::path_totals::{Direction, PathReport, PathTotals};

/// How often the paths are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Of the whole file.
    pub(crate) bytes: u64,
    /// From the request to the last byte.
    pub(crate) seconds: f64,
    pub(crate) sha256: Digest,
    pub(crate) paths: Vec<PathReport>,
    pub(crate) path_failures: u64,
    pub(crate) resumes: u64,
    pub(crate) longest_stall_ms: f64,
}

/// What is being transferred.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) direction: Direction,
    pub(crate) total_bytes: u64,
    /// Transferred before.
    pub(crate) done_bytes: u64,
    /// When it was asked for.
    pub(crate) since: Instant,
}

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct Transfer {
    session: Session,
    view: Arc<Mutex<View>>,
    position: watch::Sender<u64>,
    watcher: JoinHandle<()>,
    direction: Direction,
    since: Instant,
}

#[derive(Debug)]
struct View {
    totals: PathTotals,
    /// None once the transfer is over.
    display: Option<Display>,
    stalls: Stalls,
}

impl Transfer {
    /// Begins to watch.
    pub(crate) fn start(session: &Session, screen: &Screen, subject: Subject<'_>) -> Self {
        let Subject { name, direction, total_bytes, done_bytes, since } = subject;
        let display = Display::new(screen, name, direction, total_bytes, done_bytes);
        let view = View { totals: PathTotals::default(), display: Some(display), stalls: Stalls::default() };
        let view = Arc::new(Mutex::new(view));
        let position = watch::Sender::new(done_bytes);
        let watcher = tokio::spawn(look_regularly(session.clone(), Arc::clone(&view), position.subscribe()));
        Self { session: session.clone(), view, position, watcher, direction, since }
    }

    /// So many more bytes have gone through, after a wait of this length.
    pub(crate) fn progressed(&self, bytes: u64, waited: Duration) {
        lock(&self.view).stalls.add(waited);
        self.position.send_modify(|position| *position += bytes);
    }

    /// Waits until so many bytes are through.
    pub(crate) fn reaches(&self, bytes: u64) -> impl Future<Output = ()> + use<> {
        let mut position = self.position.subscribe();
        async move {
            // It fails when the transfer is dropped: then nobody waits for this either.
            let _ = position.wait_for(|position| *position >= bytes).await;
        }
    }

    /// The figures, now that all is through.
    pub(crate) fn report(self, sha256: Digest) -> Report {
        let seconds = self.since.elapsed().as_secs_f64();
        let mut view = lock(&self.view);
        view.totals.observe(self.session.paths());
        let stats = self.session.stats();
        Report {
            bytes: *self.position.borrow(),
            seconds,
            sha256,
            paths: view.totals.report(self.direction),
            path_failures: stats.path_failures,
            resumes: stats.resumes,
            longest_stall_ms: in_ms(view.stalls.longest),
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.watcher.abort();
        // The watcher may live a little longer, the lines on the screen must not.
        lock(&self.view).display = None;
    }
}

async fn look_regularly(session: Session, view: Arc<Mutex<View>>, position: watch::Receiver<u64>) {
    let mut interval = tokio::time::interval(LOOK_INTERVAL);
    loop {
        interval.tick().await;
        let paths = session.paths();
        let View { totals, display, .. } = &mut *lock(&view);
        totals.observe(paths);
        if let Some(display) = display {
            display.draw(Instant::now(), *position.borrow(), totals);
        }
    }
}

/// Nothing panics while it holds the lock; figures would be the least of it.
fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest wait, not counting that for the first byte.
#[derive(Debug, Default)]
struct Stalls {
    begun: bool,
    longest: Duration,
}

impl Stalls {
    fn add(&mut self, waited: Duration) {
        if std::mem::replace(&mut self.begun, true) {
            self.longest = self.longest.max(waited);
        }
    }
}

impl Report {
    /// For people.
    pub(crate) fn line(&self, name: &str) -> String {
        let rate = self.bytes as f64 / self.seconds.max(1e-6);
        format!(
            "{name}: {} in {:.2} s ({}/s), SHA-256 {}",
            indicatif::BinaryBytes(self.bytes),
            self.seconds,
            indicatif::BinaryBytes(rate as u64),
            self.sha256
        )
    }

    /// For programs: one object on one line.
    pub(crate) fn json(&self) -> String {
        // Numbers, texts and a list of them: there is nothing that cannot be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stall_is_counted_from_the_first_byte_on() {
        let mut stalls = Stalls::default();
        for waited_ms in [900, 3, 20, 5] {
            stalls.add(Duration::from_millis(waited_ms));
        }
        assert_eq!(stalls.longest, Duration::from_millis(20));
    }
}
