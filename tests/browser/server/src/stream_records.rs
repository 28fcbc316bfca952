//! The records of named streams: what each has sent and received, and its outcome.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

/// The streams of a server by name. A record is made when it is first asked for, also before its stream is open.
#[derive(Debug, Default)]
pub(crate) struct StreamRecords {
    records: Mutex<HashMap<String, Arc<StreamRecord>>>,
}

impl StreamRecords {
    pub(crate) fn record(&self, name: &str) -> Arc<StreamRecord> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(records.entry(name.to_owned()).or_default())
    }
}

/// The progress and the outcome of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamRecord {
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    may_read: watch::Sender<bool>,
    outcome: watch::Sender<Option<Value>>,
}

impl StreamRecord {
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
        // It fails only without a sender, which is part of the record.
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
