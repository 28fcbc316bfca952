//! The least and the most that a configuration may say: every session still does what sessions are for.

use std::time::Duration;

use bytes::Bytes;

use super::net::Net;
use crate::proto::config::{PathPolicy, SessionConfig, Window};
use crate::proto::error::{DatagramError, OpenError, SessionError};
use crate::proto::scheduler::SchedulerKind;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::PathId;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MS: Duration = Duration::from_millis(1);
const TIB: u64 = 1 << 40;

type Change = fn(&mut SessionConfig);

fn window(bytes: u64) -> Window {
    Window { initial_bytes: bytes, max_bytes: bytes }
}

fn with(changes: &[Change]) -> SessionConfig {
    let mut config = SessionConfig::default();
    changes.iter().for_each(|change| change(&mut config));
    config
}

const LEAST: &[Change] = &[
    |config| config.max_paths = 1,
    |config| config.resume_timeout = Duration::ZERO,
    |config| config.path_timeout = MS,
    |config| config.handshake_timeout = MS,
    |config| config.close_timeout = Duration::ZERO,
    |config| config.max_ack_delay = Duration::ZERO,
    |config| config.stream_receive_window = window(1),
    |config| config.session_receive_window = window(1),
    |config| config.stream_receive_window.initial_bytes = 1,
    |config| config.session_receive_window.initial_bytes = 1,
    |config| config.stream_send_buffer_bytes = 1,
    |config| config.stream_unsent_bytes = 1,
    |config| config.session_send_buffer_bytes = 1,
    |config| config.max_streams_bidi = 1,
    |config| config.max_streams_uni = 1,
    |config| config.max_datagram_bytes = 0,
    |config| config.datagram_buffer_bytes = 0,
    |config| config.reinjection_permille = 0,
];

const MOST: &[Change] = &[
    |config| config.max_paths = 256,
    |config| config.resume_timeout = YEAR,
    |config| config.path_timeout = YEAR,
    |config| config.handshake_timeout = YEAR,
    |config| config.close_timeout = YEAR,
    |config| config.max_ack_delay = Duration::from_secs(1),
    |config| config.stream_receive_window = window(TIB),
    |config| config.session_receive_window = window(TIB),
    |config| config.stream_send_buffer_bytes = usize::try_from(TIB).unwrap_or(usize::MAX),
    |config| config.stream_unsent_bytes = usize::try_from(TIB).unwrap_or(usize::MAX),
    |config| config.session_send_buffer_bytes = usize::try_from(TIB).unwrap_or(usize::MAX),
    |config| config.max_streams_bidi = 65_536,
    |config| config.max_streams_uni = 65_536,
    |config| config.max_datagram_bytes = 65_519,
    |config| config.datagram_buffer_bytes = usize::try_from(TIB).unwrap_or(usize::MAX),
    |config| config.reinjection_permille = 1_000,
];

/// Three requests of a few bytes, one after another, each answered on its stream and once more on one of the server's.
fn exchange(config: SessionConfig) {
    let (mut net, client, server) = Net::pair(config);
    net.block_on(async {
        let serve = async {
            for _ in 0..3 {
                let (mut send, mut recv) = server.accept_bi().await.unwrap();
                let request = recv.read_to_end(100).await.unwrap();
                send.write_all(&request).await.unwrap();
                send.finish().unwrap();
                send.delivered().await.unwrap();
                let mut other = server.open_uni().await.unwrap();
                other.write_all(&request).await.unwrap();
                other.finish().unwrap();
                other.delivered().await.unwrap();
            }
        };
        let ask = async {
            for request in [&b"a"[..], b"bcd", b"efghi"] {
                let (mut send, mut recv) = client.open_bi().await.unwrap();
                send.write_all(request).await.unwrap();
                send.finish().unwrap();
                assert_eq!(recv.read_to_end(100).await.unwrap(), request);
                let mut other = client.accept_uni().await.unwrap();
                assert_eq!(other.read_to_end(100).await.unwrap(), request);
            }
        };
        tokio::join!(serve, ask);
    });
    client.close(AppCode::MAX, b"");
    let ends = net.block_on(async { tokio::join!(client.closed(), server.closed()) });
    let (code, reason) = (AppCode::MAX, Bytes::new());
    let here = SessionError::LocallyClosed { code, undelivered_bytes: 0 };
    assert_eq!(ends, (here, SessionError::ClosedByPeer { code, reason }));
}

#[test]
fn the_least_of_each_number_only_costs_time() {
    LEAST.iter().for_each(|change| exchange(with(&[*change])));
    exchange(with(LEAST));
}

#[test]
fn the_most_of_each_number_is_no_more_than_it_can_count() {
    MOST.iter().for_each(|change| exchange(with(&[*change])));
    exchange(with(MOST));
}

#[test]
fn whoever_may_open_no_stream_waits_for_the_end_of_the_session() {
    let none: &[Change] = &[|config| config.max_streams_bidi = 0, |config| config.max_streams_uni = 0];
    let (mut net, client, server) = Net::pair(with(none));
    let (bi, uni) = net.block_on(async {
        let end = async {
            tokio::task::yield_now().await;
            server.close(AppCode::new(3), b"");
        };
        let (bi, uni, ()) = tokio::join!(client.open_bi(), client.open_uni(), end);
        (bi.unwrap_err(), uni.unwrap_err())
    });
    let ended =
        OpenError::Session(SessionError::ClosedByPeer { code: AppCode::new(3), reason: Bytes::new() });
    assert_eq!((bi, uni), (ended.clone(), ended));
}

#[test]
fn whoever_takes_no_datagrams_says_so_and_a_queue_without_room_drops_them() {
    let (_net, client, _server) = Net::pair(with(&[|config| config.max_datagram_bytes = 0]));
    assert_eq!(client.send_datagram(Bytes::from_static(b"a")), Err(DatagramError::Unsupported));
    let (_net, client, _server) = Net::pair(with(&[|config| config.datagram_buffer_bytes = 0]));
    assert_eq!(client.send_datagram(Bytes::from_static(b"a")), Ok(()));
    assert_eq!(client.stats().dropped_datagrams, 1);
}

#[test]
fn a_session_that_is_not_to_be_resumed_ends_with_its_last_path() {
    let (mut net, client, server) = Net::pair(with(&[|config| config.resume_timeout = Duration::ZERO]));
    net.cut(PathId::PRIMARY);
    let ends = net.block_on(async { tokio::join!(client.closed(), server.closed()) });
    let timeout = SessionError::ResumeTimeout { after: Duration::ZERO };
    assert_eq!(ends, (timeout.clone(), timeout));
}

#[test]
fn a_close_that_is_not_to_wait_ends_the_session_with_what_is_undelivered() {
    let changes: &[Change] =
        &[|config| config.close_timeout = Duration::ZERO, |config| config.max_ack_delay = MS];
    let (mut net, client, _server) = Net::pair(with(changes));
    net.block_on(async {
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"abc").await.unwrap();
    });
    client.close(AppCode::new(1), b"");
    let end = net.block_on(client.closed());
    assert!(matches!(end, SessionError::LocallyClosed { code, .. } if code == AppCode::new(1)), "{end:?}");
}

#[test]
fn no_priority_policy_weight_or_cost_holds_anything_up() {
    let weighted: &[Change] = &[|config| config.scheduler = SchedulerKind::Weighted];
    let (mut net, client, server) = Net::pair(with(weighted));
    let second = net.block_on(client.add_path("other:2")).unwrap();
    let (first, gone) = (client.path(PathId::PRIMARY), PathId(u64::MAX));
    for (number, weight) in [(i32::MIN, 0), (i32::MAX, u32::MAX)] {
        first.set_weight(weight).unwrap();
        second.set_weight(u32::MAX - weight).unwrap();
        first.set_cost(weight).unwrap();
        for policy in [
            PathPolicy::Deadline(Duration::ZERO),
            PathPolicy::Deadline(Duration::MAX),
            PathPolicy::Pin(gone),
            PathPolicy::Prefer(gone),
            PathPolicy::AvoidCostly,
        ] {
            net.block_on(async {
                let mut send = client.open_uni().await.unwrap();
                send.set_priority(number);
                send.set_policy(policy);
                send.write_all(&[7; 200_000]).await.unwrap();
                send.finish().unwrap();
                let mut recv = server.accept_uni().await.unwrap();
                assert_eq!(recv.read_to_end(usize::MAX).await.unwrap().len(), 200_000, "{policy:?}");
            });
            client.send_datagram_with(Bytes::from_static(b"a"), policy).unwrap();
        }
    }
    assert_eq!(first.info().map(|info| info.cost), Some(u32::MAX.into()));
}
