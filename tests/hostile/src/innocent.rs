//! A client of kwik's own that does nothing wrong: a 100-byte echo every 5 ms, and a fresh dial every 0.3 s.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kwik::{AppCode, Config, RecvStream, SendStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

const ECHO_BYTES: usize = 100;
const ECHO_INTERVAL: Duration = Duration::from_millis(5);
const DIAL_INTERVAL: Duration = Duration::from_millis(300);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The client, in a thread of its own: a case that keeps its own threads busy does not slow it down by that.
#[derive(Debug)]
pub struct Innocent {
    tally: Arc<Mutex<Tally>>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Tally {
    echoes: Vec<Duration>,
    /// When echoes were due that have not come back.
    under_way: VecDeque<Instant>,
    dials: usize,
    lost: Vec<String>,
}

/// What it saw in some time.
#[derive(Clone, Debug, Default)]
pub struct Lap {
    /// How long echoes took, from when they were due; those still under way count with their age. Sorted.
    pub echoes: Vec<Duration>,
    /// Dials that came to an end.
    pub dials: usize,
    /// Dials that were refused or got no echo, and why; and the end of the session with the echoes, if it ended.
    pub lost: Vec<String>,
}

impl Lap {
    /// The time that so many per mille of the echoes stayed below.
    pub fn permille(&self, permille: usize) -> Duration {
        let last = self.echoes.len().saturating_sub(1);
        self.echoes.get(last * permille / 1_000).copied().unwrap_or_default()
    }

    /// The 99th percentile.
    pub fn p99(&self) -> Duration {
        self.permille(990)
    }

    /// How it compares to a lap without attack: both 99th percentiles, and their ratio.
    pub fn beside(&self, quiet: &Lap) -> String {
        let [with, without] = [self.p99(), quiet.p99()].map(|time| time.as_secs_f64() * 1e3);
        format!("p99 {with:.2} ms, without attack {without:.2} ms: {:.1} x", with / without.max(1e-3))
    }
}

impl Innocent {
    /// Begins to use the server at `url`, which echoes streams that begin with `E`. Returns once the first echo is
    /// back.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached at all.
    pub async fn begin(url: &str) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = oneshot::channel();
        let thread = std::thread::spawn({
            let (url, tally) = (url.to_owned(), Arc::clone(&tally));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(live(&url, &tally, stopped, ready));
            }
        });
        is_ready.await.expect("the server answers while nobody attacks it");
        Self { tally, stop, thread }
    }

    /// What it saw since this was last called.
    pub fn lap(&self) -> Lap {
        let mut tally = lock(&self.tally);
        let mut echoes = std::mem::take(&mut tally.echoes);
        echoes.extend(tally.under_way.iter().map(Instant::elapsed));
        echoes.sort_unstable();
        Lap { echoes, dials: std::mem::take(&mut tally.dials), lost: std::mem::take(&mut tally.lost) }
    }

    /// Lets dials that are under way come to their end, and returns what it saw since the last lap.
    pub async fn end(self) -> Lap {
        self.stop.send_replace(true);
        let lap = self.lap();
        let Self { tally, thread, .. } = self;
        tokio::task::spawn_blocking(|| thread.join())
            .await
            .expect("it is joined")
            .expect("it does not panic");
        let mut tally = lock(&tally);
        let lost = lap.lost.into_iter().chain(std::mem::take(&mut tally.lost)).collect();
        Lap { echoes: lap.echoes, dials: lap.dials + tally.dials, lost }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn live(
    url: &str,
    tally: &Arc<Mutex<Tally>>,
    stopped: watch::Receiver<bool>,
    ready: oneshot::Sender<()>,
) {
    let (session, send, recv) = match begin_echo(url).await {
        Ok(begun) => begun,
        // Whoever waits for `ready` is told by its absence.
        Err(error) => return eprintln!("the innocent client cannot begin: {error}"),
    };
    let _ = ready.send(());
    let echoes =
        async { tokio::try_join!(ask(send, tally, stopped.clone()), listen(recv, tally)).map(|_| ()) };
    let mut until = stopped.clone();
    let echoes = async {
        tokio::select! {
            Err(error) = echoes => lock(tally).lost.push(format!("the session with the echoes: {error}")),
            _ = until.wait_for(|stop| *stop) => {}
        }
    };
    tokio::join!(echoes, dial_on(url, tally, stopped.clone()));
    session.close(AppCode::new(0), b"");
}

async fn begin_echo(url: &str) -> Result<(kwik::Session, SendStream, RecvStream), Error> {
    let session = kwik::dial(url, Config::default()).await?;
    let (mut send, mut recv) = session.open_bi().await?;
    send.write_all(b"E").await?;
    send.write_all(&[7; ECHO_BYTES]).await?;
    recv.read_exact(&mut [0; ECHO_BYTES]).await?;
    Ok((session, send, recv))
}

/// Asks when it is due, whatever came of those before: waiting for them would hide how long they take.
async fn ask(
    mut send: SendStream,
    tally: &Mutex<Tally>,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let mut due = tokio::time::interval(ECHO_INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !*stopped.borrow() {
        let at = due.tick().await.into_std();
        lock(tally).under_way.push_back(at);
        send.write_all(&[7; ECHO_BYTES]).await?;
    }
    Ok(())
}

async fn listen(mut recv: RecvStream, tally: &Mutex<Tally>) -> Result<(), Error> {
    loop {
        let mut echo = [0; ECHO_BYTES];
        recv.read_exact(&mut echo).await?;
        if echo != [7; ECHO_BYTES] {
            return Err("an echo of something else".into());
        }
        let mut tally = lock(tally);
        if let Some(due) = tally.under_way.pop_front() {
            tally.echoes.push(due.elapsed());
        }
    }
}

async fn dial_on(url: &str, tally: &Arc<Mutex<Tally>>, stopped: watch::Receiver<bool>) {
    let mut due = tokio::time::interval(DIAL_INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut dials = JoinSet::new();
    while !*stopped.borrow() {
        due.tick().await;
        let (url, tally) = (url.to_owned(), Arc::clone(tally));
        dials.spawn(async move {
            let outcome = dial_once(&url).await;
            let mut tally = lock(&tally);
            tally.dials += 1;
            if let Err(error) = outcome {
                tally.lost.push(format!("a dial: {error}"));
            }
        });
    }
    while dials.join_next().await.is_some() {}
}

async fn dial_once(url: &str) -> Result<(), Error> {
    let session = kwik::dial(url, Config::default()).await?;
    let (mut send, mut recv) = session.open_bi().await?;
    send.write_all(b"Ehello").await?;
    send.finish()?;
    let echo = tokio::time::timeout(Duration::from_secs(10), recv.read_to_end(10)).await??;
    session.close(AppCode::new(0), b"");
    if echo == b"hello" { Ok(()) } else { Err("an echo of something else".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_echoes() {
        let lap = Lap { echoes: (1..=101).map(Duration::from_millis).collect(), ..Lap::default() };
        assert_eq!(lap.p99(), Duration::from_millis(100));
        assert_eq!(lap.permille(500), Duration::from_millis(51));
        assert_eq!(Lap::default().p99(), Duration::ZERO);
    }
}
