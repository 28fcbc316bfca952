//! Opening many sessions, some at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::super::session::Dialer;

/// Dials under way at one time: enough to keep two cores busy, and few enough that none waits for long.
const AT_ONCE: usize = 64;

/// Opens `count` sessions, and makes of each what the caller needs.
pub(crate) async fn establish<
    D: Dialer,
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
>(
    dialer: &D,
    count: usize,
    prepare: fn(D::Session) -> F,
) -> Result<Vec<T>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE.min(count) {
        let (dialer, next) = (dialer.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut opened = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(opened);
                }
                let session = async { prepare(dialer.dial().await?).await };
                opened.push(session.await.with_context(|| format!("session {number} of {count} failed"))?);
            }
        });
    }
    let mut opened = Vec::with_capacity(count);
    while let Some(some) = tasks.join_next().await {
        let some: Result<Vec<T>> = some?;
        opened.extend(some?);
    }
    Ok(opened)
}
