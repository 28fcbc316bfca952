//! All clients of a listener at one time.

use std::sync::Arc;
use std::time::Duration;

use kwik::Listener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::session;
use super::store::Store;

/// How long it may take to tell clients that they are cut off.
const TELLING_TIME: Duration = Duration::from_secs(1);

/// The sessions that are being served, each by a task of its own. Dropped, it leaves them without an answer.
pub(crate) struct Sessions {
    store: Arc<dyn Store>,
    tasks: JoinSet<()>,
    /// Dropped to have every session end at once.
    keep: watch::Sender<()>,
}

impl Sessions {
    pub(crate) fn new(store: impl Store + 'static) -> Self {
        Self { store: Arc::new(store), tasks: JoinSet::new(), keep: watch::Sender::new(()) }
    }

    /// Serves everyone who comes, until the listener takes nobody any more. Cancel safe: who has come stays.
    pub(crate) async fn serve(&mut self, listener: &Listener) {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Some(session) => {
                        let (store, stop) = (Arc::clone(&self.store), self.keep.subscribe());
                        self.tasks.spawn(session::serve(session, store, stop));
                    }
                    None => return,
                },
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    /// Waits until all that are there have ended. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends those that are left, and tells their clients if they can be told; returns how many there were.
    pub(crate) async fn cut_off(mut self) -> usize {
        let cut_off = self.tasks.len();
        drop(self.keep);
        // Clients that cannot be told find out by themselves.
        let told = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(TELLING_TIME, told).await;
        cut_off
    }
}
