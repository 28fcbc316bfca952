//! Numbers of configurations: those that make no sense are refused where they are given, the least and the most work.

mod support;

use std::num::NonZeroUsize;
use std::time::Duration;

use kwik::{AppCode, Config, ConfigError, DialError, ListenError, ServerConfig, Session, Window};
use support::{server_config, within_patience};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn field(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::Number { field, .. } | ConfigError::Time { field, .. } => field,
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_client_is_told_which_number_it_cannot_dial_with() {
    type Change = fn(&mut Config);
    const CASES: &[(&str, Change)] = &[
        ("max_paths", |config| config.session.max_paths = usize::MAX),
        ("resume_timeout", |config| config.session.resume_timeout = Duration::MAX),
        ("handshake_timeout", |config| config.session.handshake_timeout = Duration::ZERO),
        ("session_receive_window.initial_bytes", |config| {
            config.session.session_receive_window = Window { initial_bytes: 0, max_bytes: 0 };
        }),
        ("keep_alive", |config| config.keep_alive = Some(Duration::ZERO)),
        ("keep_alive", |config| config.keep_alive = Some(Duration::MAX)),
        ("idle_timeout", |config| config.idle_timeout = Some(Duration::from_micros(999))),
        ("idle_timeout", |config| config.idle_timeout = Some(Duration::MAX)),
        ("workers", |config| config.workers = Some(NonZeroUsize::MAX)),
    ];
    for (expected, change) in CASES {
        let mut config = Config::default();
        change(&mut config);
        match kwik::dial("kwik://127.0.0.1:1", config).await {
            Err(DialError::Config(error)) => assert_eq!(field(&error), *expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_is_told_which_number_it_cannot_listen_with() {
    type Change = fn(&mut ServerConfig);
    const CASES: &[(&str, Change)] = &[
        ("max_streams_uni", |config| config.session.max_streams_uni = u64::MAX),
        ("stream_send_buffer_bytes", |config| config.session.stream_send_buffer_bytes = 0),
        ("max_sessions", |config| config.max_sessions = 0),
        ("max_memory_bytes", |config| config.max_memory_bytes = 0),
        ("admission.max_half_open", |config| config.admission.max_half_open = 0),
        ("admission.half_open_timeout", |config| config.admission.half_open_timeout = Duration::MAX),
        ("keep_alive", |config| config.keep_alive = Some(Duration::from_millis(9))),
        ("idle_timeout", |config| config.idle_timeout = Some(YEAR + Duration::from_millis(1))),
        ("workers", |config| config.workers = NonZeroUsize::new(1_025)),
    ];
    for (expected, change) in CASES {
        let mut config = server_config();
        change(&mut config);
        match kwik::listen("127.0.0.1:0", config).await {
            Err(ListenError::Config(error)) => assert_eq!(field(&error), *expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

/// A request and its answer between a client and a server of these configurations.
async fn exchange(client: Config, server: ServerConfig) {
    let listener = kwik::listen("127.0.0.1:0", server).await.unwrap();
    let url = listener.urls().remove(0);
    let (client, server) = tokio::join!(kwik::dial(&url, client), listener.accept());
    let (client, server): (Session, Session) = (client.unwrap(), server.unwrap());
    let answer = async {
        let (mut send, mut recv) = server.accept_bi().await.unwrap();
        send.write_all(&recv.read_to_end(100).await.unwrap()).await.unwrap();
        send.finish().unwrap();
        send.delivered().await.unwrap();
    };
    let ask = async {
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        send.write_all(b"there and back").await.unwrap();
        send.finish().unwrap();
        assert_eq!(recv.read_to_end(100).await.unwrap(), b"there and back");
    };
    tokio::join!(answer, ask);
    client.close(AppCode::MAX, b"");
    assert!(
        matches!(server.closed().await, kwik::SessionError::ClosedByPeer { code, .. } if code == AppCode::MAX)
    );
    client.closed().await;
}

#[tokio::test]
async fn the_least_windows_buffers_and_limits_carry_a_request_and_its_answer() {
    within_patience(async {
        let one = Window { initial_bytes: 1, max_bytes: 1 };
        let (mut client, mut server) = (Config::default(), server_config());
        for session in [&mut client.session, &mut server.session] {
            session.max_paths = 1;
            session.max_ack_delay = Duration::ZERO;
            session.lone_path_ack_delay = Duration::ZERO;
            session.stream_receive_window = one;
            session.session_receive_window = one;
            session.stream_send_buffer_bytes = 1;
            session.stream_unsent_bytes = 1;
            session.session_send_buffer_bytes = 1;
            session.max_streams_bidi = 1;
            session.max_streams_uni = 0;
            session.max_datagram_bytes = 0;
            session.datagram_buffer_bytes = 0;
        }
        (client.keep_alive, server.keep_alive) =
            (Some(Duration::from_millis(10)), Some(Duration::from_millis(10)));
        server.max_sessions = 1;
        (server.admission.max_half_open, server.admission.half_open_for_known) = (1, 0);
        (server.admission.retry_above, server.admission.share_of_free) = (0, 1);
        exchange(client, server).await;
    })
    .await;
}

#[tokio::test]
async fn the_most_of_everything_carries_a_request_and_its_answer() {
    within_patience(async {
        let most = Window { initial_bytes: 1 << 40, max_bytes: 1 << 40 };
        let (mut client, mut server) = (Config::default(), server_config());
        for session in [&mut client.session, &mut server.session] {
            session.max_paths = 256;
            session.resume_timeout = YEAR;
            session.path_timeout = YEAR;
            session.handshake_timeout = YEAR;
            session.close_timeout = YEAR;
            session.max_ack_delay = Duration::from_secs(1);
            session.lone_path_ack_delay = Duration::from_secs(1);
            session.stream_receive_window = most;
            session.session_receive_window = most;
            session.stream_send_buffer_bytes = 1 << 40;
            session.stream_unsent_bytes = 1 << 40;
            session.session_send_buffer_bytes = 1 << 40;
            session.max_streams_bidi = 65_536;
            session.max_streams_uni = 65_536;
            session.max_datagram_bytes = 65_519;
            session.datagram_buffer_bytes = 1 << 40;
            session.reinjection_permille = 1_000;
        }
        (client.keep_alive, server.keep_alive) = (Some(YEAR), Some(YEAR));
        (client.idle_timeout, server.idle_timeout) = (Some(YEAR), Some(YEAR));
        (server.max_sessions, server.max_memory_bytes) = (usize::MAX, u64::MAX);
        (server.admission.max_half_open, server.admission.share_of_free) = (usize::MAX, 65_536);
        (server.admission.max_suspended, server.admission.retry_above) = (usize::MAX, usize::MAX);
        exchange(client, server).await;
    })
    .await;
}
