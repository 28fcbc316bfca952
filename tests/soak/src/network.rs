//! What lies between clients and server, and fails at times: two forwarders for each ten or so sessions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kwik_netem::{Forwarder, ForwarderConfig, LinkSpec};

/// One way, by the first and by the second path.
const DELAYS_MS: [u64; 2] = [2, 8];

/// Two paths to the server.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    lines: [Arc<Line>; 2],
}

#[derive(Debug)]
struct Line {
    forwarder: Forwarder,
    /// How many faults keep it silent now.
    silences: AtomicUsize,
}

impl Network {
    /// To the server's two sockets.
    pub(crate) fn start(servers: [SocketAddr; 2]) -> Result<Self> {
        let line = |index: usize| -> Result<Arc<Line>> {
            let spec = LinkSpec::new().delay_ms(DELAYS_MS[index]);
            let forwarder = Forwarder::start(ForwarderConfig::to(servers[index]).both_ways(spec))
                .context("a forwarder could not be started")?;
            Ok(Arc::new(Line { forwarder, silences: AtomicUsize::new(0) }))
        };
        Ok(Self { lines: [line(0)?, line(1)?] })
    }

    /// What clients dial.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        self.lines.each_ref().map(|line| line.forwarder.local_addr())
    }

    /// Silences one of the two, or both.
    pub(crate) async fn silence(self, path: Option<usize>, lasting: Duration) {
        let lines = self.lines.iter().enumerate().filter(|(index, _)| path.is_none_or(|path| path == *index));
        let lines: Vec<_> = lines.map(|(_, line)| line).collect();
        for line in &lines {
            line.silences.fetch_add(1, Ordering::Relaxed);
            line.forwarder.silence();
        }
        tokio::time::sleep(lasting).await;
        for line in &lines {
            // Another fault may need it silent still.
            if line.silences.fetch_sub(1, Ordering::Relaxed) == 1 {
                line.forwarder.restore();
            }
        }
    }
}
