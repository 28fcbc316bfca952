//! What one run has found: figures with names, as JSON from one process to another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::usage::Usage;

/// The figures of one run, in the order of the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) figures: Vec<Figure>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What it is, with its unit.
    pub(crate) name: String,
    pub(crate) value: f64,
}

impl Report {
    /// Adds one.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64) {
        self.figures.push(Figure { name: name.into(), value });
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// Adds what both processes have held, and the server's threads.
    pub(crate) fn add_processes(&mut self, span: &Span) {
        self.add("peak MB, client", span.end.client.peak_resident_bytes as f64 / 1e6);
        self.add("peak MB, server", span.end.server.peak_resident_bytes as f64 / 1e6);
        self.add("threads, server", span.end.server.threads as f64);
    }

    /// Adds what one of `count` units of work has cost in CPU time, which is given in `per_second`ths of a second.
    pub(crate) fn add_cpu(&mut self, unit: &str, count: f64, per_second: f64, span: &Span) {
        let [client, server] = [span.client_cpu_seconds(), span.server_cpu_seconds()];
        let cost = |cpu_seconds: f64| cpu_seconds * per_second / count;
        self.add(unit, cost(client + server));
        self.add(format!("{unit}, client"), cost(client));
        self.add(format!("{unit}, server"), cost(server));
    }
}

/// Both processes at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) client: Usage,
    pub(crate) server: Usage,
}

/// Both processes at the beginning and at the end of what is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) begin: Mark,
    pub(crate) end: Mark,
    pub(crate) duration: Duration,
}

impl Span {
    pub(crate) fn client_cpu_seconds(&self) -> f64 {
        self.end.client.cpu_seconds - self.begin.client.cpu_seconds
    }

    pub(crate) fn server_cpu_seconds(&self) -> f64 {
        self.end.server.cpu_seconds - self.begin.server.cpu_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_that_of_the_window_for_each_unit_of_work() {
        let usage =
            |cpu_seconds| Usage { cpu_seconds, resident_bytes: 0, peak_resident_bytes: 0, threads: 3 };
        let span = Span {
            begin: Mark { client: usage(1.0), server: usage(10.0) },
            end: Mark { client: usage(1.5), server: usage(11.0) },
            duration: Duration::from_secs(2),
        };
        let mut report = Report::default();
        report.add_cpu("CPU us/echo", 1_000.0, 1e6, &span);
        assert_eq!(report.get("CPU us/echo"), Some(1_500.0));
        assert_eq!(report.get("CPU us/echo, client"), Some(500.0));
        assert_eq!(report.get("CPU us/echo, server"), Some(1_000.0));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
