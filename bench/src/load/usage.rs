//! What a process has used so far, as the kernel knows it.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::process::own_cpu_seconds;

/// Of one process, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// User and system time of all threads.
    pub(crate) cpu_seconds: f64,
    /// Memory now (VmRSS).
    pub(crate) resident_bytes: u64,
    /// Memory when it was most (VmHWM).
    pub(crate) peak_resident_bytes: u64,
    /// Threads now.
    pub(crate) threads: u64,
}

impl Usage {
    /// Of the process that asks.
    pub(crate) fn own() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        Self::parse(own_cpu_seconds()?, &status).context("/proc/self/status lacks a line")
    }

    fn parse(cpu_seconds: f64, status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Some(Self {
            cpu_seconds,
            resident_bytes: field("VmRSS")? * 1024,
            peak_resident_bytes: field("VmHWM")? * 1024,
            threads: field("Threads")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_account_is_read_in_its_kilobytes() {
        let status = "Name:\tprogram\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
        let usage = Usage::parse(0.5, status).unwrap();
        assert_eq!((usage.resident_bytes, usage.peak_resident_bytes, usage.threads), (1 << 20, 2 << 20, 7));
        assert!(Usage::parse(0.5, "Threads:\t7\n").is_none());
        assert!(Usage::own().unwrap().threads > 0);
    }
}
