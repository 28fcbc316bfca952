//! What a process can be watched by: metrics and `tracing` events. A program of its own: both are the whole process's.

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use kwik::{AppCode, SessionEvent};
use support::*;
use tracing_subscriber::fmt::MakeWriter;

/// What was written to the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn tells(&self, what: &str) -> bool {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines().any(|line| line.contains(" kwik::") && line.contains(what))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_paths_and_bytes_are_counted_and_logged() {
    let mut figures = Figures::install();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(log.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();

    within_patience(async {
        let (listener, client, server) = pair(2).await;
        let mut events = server.events();
        let second = client.add_path(&listener.urls()[1]).await.unwrap();
        figures.until("kwik_sessions{client}", 1.0).await;
        figures.until("kwik_sessions{server}", 1.0).await;
        figures.until("kwik_paths{client}", 2.0).await;
        figures.until("kwik_paths{server}", 2.0).await;

        let sent = data(MIB, 6);
        send_all(&mut client.open_uni().await.unwrap(), &sent).await;
        let (len, _) = receive_all(&mut server.accept_uni().await.unwrap(), |_| ()).await;
        assert_eq!(len, MIB);
        second.remove().unwrap();
        while !matches!(events.next().await.unwrap(), SessionEvent::PathLost(..)) {}
        figures.until("kwik_paths{server}", 1.0).await;

        client.close(AppCode::new(0), b"");
        client.closed().await;
        server.closed().await;
        drop((client, server));
        for gauge in
            ["kwik_sessions{client}", "kwik_sessions{server}", "kwik_paths{client}", "kwik_paths{server}"]
        {
            figures.until(gauge, 0.0).await;
        }
    })
    .await;

    let mib = MIB as f64;
    for (name, value) in [
        ("kwik_sessions_total{client}", 1.0),
        ("kwik_sessions_total{server}", 1.0),
        ("kwik_sent_bytes_total{client}", mib),
        ("kwik_delivered_bytes_total{server}", mib),
        ("kwik_delivered_bytes_total{client}", 0.0),
        ("kwik_path_failures_total{client}", 0.0),
        ("kwik_resumes_total{client}", 0.0),
    ] {
        assert_eq!(figures.get(name), value, "{name}");
    }
    for what in ["dialling", "session open", "path added", "path lost", "session closed"] {
        assert!(log.tells(what), "{what}");
    }
}
