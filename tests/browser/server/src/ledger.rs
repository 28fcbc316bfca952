//! What is known of the streams that have a name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

/// The streams of a server by name. One that is not there yet can be asked for.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Mutex<HashMap<String, Arc<Entry>>>,
}

impl Ledger {
    pub(crate) fn entry(&self, name: &str) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(name.to_owned()).or_default())
    }
}

/// One stream: what it has done so far, and what it came to.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    may_read: watch::Sender<bool>,
    outcome: watch::Sender<Option<Value>>,
}

impl Entry {
    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// `{received, sent}` in bytes.
    pub(crate) fn progress(&self) -> Value {
        json!({ "received": self.received_bytes(), "sent": self.sent_bytes.load(Ordering::Relaxed) })
    }

    pub(crate) fn release(&self) {
        self.may_read.send_replace(true);
    }

    pub(crate) async fn released(&self) {
        // Only an entry that is gone has no sender.
        let _ = self.may_read.subscribe().wait_for(|may_read| *may_read).await;
    }

    pub(crate) fn end(&self, outcome: Value) {
        self.outcome.send_replace(Some(outcome));
    }

    pub(crate) async fn outcome(&self) -> Value {
        let mut outcome = self.outcome.subscribe();
        outcome
            .wait_for(Option::is_some)
            .await
            .map_or(Value::Null, |outcome| outcome.clone().unwrap_or_default())
    }
}
