//! The handles on two sessions that are connected in memory.

mod acknowledgements;
mod edges;
mod net;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::net::Net;
use super::{ReadExactError, ReadToEndError, SendStream, Session, Standby};
use crate::proto::config::{SessionConfig, Window};
use crate::proto::error::{OpenError, PathError, ReadError, SessionError, WriteError};
use crate::proto::event::SessionEvent;
use crate::proto::paths::path::PathState;
use crate::proto::wire::code::AppCode;
use crate::proto::wire::id::PathId;

fn pair() -> (Net, Session, Session) {
    Net::pair(SessionConfig::default())
}

/// Sessions whose windows and buffers are so small that everything has to wait.
fn narrow() -> SessionConfig {
    let window = Window { initial_bytes: 10_000, max_bytes: 10_000 };
    SessionConfig {
        stream_receive_window: window,
        session_receive_window: window,
        stream_send_buffer_bytes: 10_000,
        stream_unsent_bytes: 10_000,
        max_streams_bidi: 1,
        ..SessionConfig::default()
    }
}

/// Anything that is not `Send` and `Sync` does not compile.
fn can_be_shared<T: Send + Sync>(_: &T) {}
fn can_be_spawned<F: Future + Send>(_: F) {}

#[test]
fn handles_and_futures_can_go_to_other_threads() {
    let (mut net, client, _server) = pair();
    let (mut send, mut recv) = net.block_on(client.open_bi()).unwrap();
    can_be_shared(&(&client, &send, &recv, &client.events(), &client.path(PathId::PRIMARY)));
    can_be_spawned(client.accept_bi());
    can_be_spawned(client.add_path("other:2"));
    can_be_spawned(client.ping(PathId::PRIMARY));
    can_be_spawned(send.write_all(b""));
    can_be_spawned(recv.read_to_end(1));
    can_be_spawned(client.closed());
}

#[test]
fn both_ends_know_the_session_by_the_same_name() {
    let (_net, client, server) = pair();
    assert_eq!(client.id(), server.id());
}

#[test]
fn a_request_is_answered_on_its_stream() {
    let (mut net, client, server) = pair();
    net.block_on(async {
        let serve = async {
            let (mut send, mut recv) = server.accept_bi().await.unwrap();
            let request = recv.read_to_end(100).await.unwrap();
            send.write_all(&request).await.unwrap();
            send.write_chunk(Bytes::from_static(b", world")).await.unwrap();
            send.finish().unwrap();
            send.delivered().await.unwrap();
        };
        let ask = async {
            let (mut send, mut recv) = client.open_bi().await.unwrap();
            send.write_all(b"hello").await.unwrap();
            send.finish().unwrap();
            assert_eq!(recv.read_to_end(100).await.unwrap(), b"hello, world");
            assert_eq!(recv.read_chunk(1).await, Ok(None), "the end of a stream can be read again");
            assert_eq!(send.stopped().await, Ok(None));
        };
        tokio::join!(serve, ask);
    });
}

#[test]
fn what_is_larger_than_every_window_arrives_through_the_io_traits() {
    let (mut net, client, server) = Net::pair(narrow());
    let sent: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
    let received = net.block_on(async {
        let write = async {
            let mut send = client.open_uni().await.unwrap();
            AsyncWriteExt::write_all(&mut send, &sent).await.unwrap();
            send.shutdown().await.unwrap();
            send.shutdown().await.unwrap();
        };
        let read = async {
            let mut recv = server.accept_uni().await.unwrap();
            let (mut head, mut all) = ([0; 7], Vec::new());
            AsyncReadExt::read_exact(&mut recv, &mut head).await.unwrap();
            all.extend(head);
            AsyncReadExt::read_to_end(&mut recv, &mut all).await.unwrap();
            all
        };
        tokio::join!(write, read).1
    });
    assert!(received == sent);
}

#[test]
fn a_write_that_is_dropped_while_it_waits_has_written_nothing() {
    let (mut net, client, server) = Net::pair(narrow());
    let mut send = net.block_on(client.open_uni()).unwrap();
    let mut written = Vec::new();
    let dropped = net.block_on(async {
        loop {
            let (value, data) = (written.len() as u8, [written.len() as u8; 3_000]);
            // The other side is ready only when there is no more room.
            tokio::select! {
                biased;
                bytes = send.write(&data) => {
                    written.extend(std::iter::repeat_n(value, bytes.unwrap()));
                }
                () = std::future::ready(()) => break Bytes::from_static(b"later"),
            }
        }
    });
    let mut later = dropped.clone();
    let received = net.block_on(async {
        let write = async {
            while !later.is_empty() {
                send.write_some_of(&mut later).await.unwrap();
            }
            send.finish().unwrap();
        };
        let read = async { server.accept_uni().await.unwrap().read_to_end(100_000).await.unwrap() };
        tokio::join!(write, read).1
    });
    written.extend_from_slice(&dropped);
    assert!(received == written);
}

#[test]
fn reading_a_little_at_a_time_loses_nothing() {
    let (mut net, client, server) = pair();
    net.block_on(async {
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"0123456789").await.unwrap();
        send.finish().unwrap();
        let mut recv = server.accept_uni().await.unwrap();
        let mut buf = [0; 3];
        assert_eq!(recv.read(&mut buf).await, Ok(Some(3)));
        assert_eq!(&buf, b"012");
        assert_eq!(recv.read(&mut []).await, Ok(Some(0)));
        assert_eq!(recv.read_chunk(2).await, Ok(Some(Bytes::from_static(b"34"))));
        recv.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"567");
        let early = ReadExactError::FinishedEarly { stream: recv.id(), read: 2, wanted: 3 };
        assert_eq!(recv.read_exact(&mut buf).await, Err(early));
    });
}

#[test]
fn a_stream_longer_than_allowed_is_not_collected() {
    let (mut net, client, server) = pair();
    net.block_on(async {
        let mut send = client.open_uni().await.unwrap();
        send.write_all(&[0; 11]).await.unwrap();
        let mut recv = server.accept_uni().await.unwrap();
        let too_long = ReadToEndError::TooLong { stream: recv.id(), limit: 10 };
        assert_eq!(recv.read_to_end(10).await, Err(too_long));
    });
}

#[test]
fn a_reader_and_a_writer_that_wait_learn_of_reset_and_stop() {
    let (mut net, client, server) = pair();
    net.block_on(async {
        let (mut send, mut recv) = client.open_bi().await.unwrap();
        send.write_all(b"x").await.unwrap();
        let (mut back, mut from) = server.accept_bi().await.unwrap();
        assert_eq!(from.read_chunk(9).await, Ok(Some(Bytes::from_static(b"x"))));
        let (reset, stopped, ()) = tokio::join!(recv.read_chunk(9), send.stopped(), async {
            back.reset(AppCode::new(7)).unwrap();
            from.stop(AppCode::new(8)).unwrap();
        });
        assert_eq!(reset, Err(ReadError::Reset { stream: back.id(), code: AppCode::new(7) }));
        assert_eq!(stopped, Ok(Some(AppCode::new(8))));
        let written = send.write(b"y").await;
        assert_eq!(written, Err(WriteError::Stopped { stream: send.id(), code: AppCode::new(8) }));
    });
}

#[test]
fn a_dropped_sender_finishes_and_a_dropped_receiver_stops() {
    let (mut net, client, server) = pair();
    net.block_on(async {
        let (mut send, recv) = client.open_bi().await.unwrap();
        send.write_all(b"all").await.unwrap();
        drop((send, recv));
        let (back, mut from) = server.accept_bi().await.unwrap();
        assert_eq!(from.read_to_end(9).await.unwrap(), b"all");
        assert_eq!(back.stopped().await, Ok(Some(AppCode::new(0))));
    });
}

#[test]
fn opening_waits_until_the_peer_allows_one_more() {
    let (mut net, client, server) = Net::pair(narrow());
    net.block_on(async {
        let (mut send, recv) = client.open_bi().await.unwrap();
        send.write_all(b"1").await.unwrap();
        let end_first = async {
            let (back, from) = server.accept_bi().await.unwrap();
            drop((send, recv, back, from));
        };
        let (second, ()) = tokio::join!(client.open_bi(), end_first);
        assert!(second.is_ok());
    });
}

#[test]
fn an_accept_that_is_dropped_leaves_the_stream_to_the_next_and_no_waker() {
    let (mut net, client, server) = pair();
    net.block_on(async {
        tokio::select! {
            biased;
            _ = server.accept_uni() => unreachable!("nothing was opened"),
            () = std::future::ready(()) => {}
        }
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"x").await.unwrap();
        assert!(server.accept_uni().await.is_ok());
    });
    assert!(net.client().read(|core| core.waiters.is_empty()));
}

#[test]
fn every_clone_that_waits_gets_a_stream() {
    let (mut net, client, server) = pair();
    let clone = server.clone();
    net.block_on(async {
        let (one, other, ()) = tokio::join!(server.accept_uni(), clone.accept_uni(), async {
            for _ in 0..2 {
                let mut send = client.open_uni().await.unwrap();
                send.write_all(b"x").await.unwrap();
            }
        });
        assert_ne!(one.unwrap().id(), other.unwrap().id());
    });
}

#[test]
fn datagrams_arrive_one_by_one() {
    let (mut net, client, server) = pair();
    let max = client.max_datagram_size().unwrap();
    net.block_on(async {
        let (first, ()) = tokio::join!(server.recv_datagram(), async {
            client.send_datagram(Bytes::from(vec![7; max])).unwrap();
            client.send_datagram(Bytes::from_static(b"second")).unwrap();
        });
        assert_eq!(first.unwrap().len(), max);
        assert_eq!(server.recv_datagram().await.unwrap(), "second");
    });
    assert!(client.send_datagram(Bytes::from(vec![0; max + 1])).is_err());
}

#[test]
fn a_path_is_added_measured_put_on_standby_and_removed() {
    let (mut net, client, _server) = pair();
    let mut events = client.events();
    let path = net.block_on(client.add_path("kwik://other:2")).unwrap();
    assert_eq!(client.paths().iter().map(|info| info.id).collect::<Vec<_>>(), [PathId::PRIMARY, path.id()]);
    net.block_on(path.ping()).unwrap();
    path.set_cost(3).unwrap();
    path.set_standby(Standby::On).unwrap();
    assert_eq!(path.info().map(|info| (info.state, info.cost)), Some((PathState::Standby, 3)));
    path.remove().unwrap();
    assert_eq!(net.block_on(path.ping()), Err(PathError::Unknown { path: path.id() }));
    assert_eq!(net.block_on(events.next()), Some(SessionEvent::PathAdded(path.id())));
    assert!(matches!(net.block_on(events.next()), Some(SessionEvent::PathLost(id, _)) if id == path.id()));
}

#[test]
fn a_path_that_cannot_be_opened_says_why() {
    let (mut net, client, _server) = pair();
    let failed = net.block_on(client.add_path("nowhere:2")).err();
    assert_eq!(failed, Some(PathError::Failed { path: PathId(1), reason: "no route".into() }));
    let wrong = net.block_on(client.add_path("other:0")).err();
    assert!(matches!(wrong, Some(PathError::Address(_))));
}

#[test]
fn a_transfer_outlives_the_death_of_every_path() {
    let (mut net, client, server) = pair();
    let mut events = client.events();
    let (mut send, mut recv) = net.block_on(async {
        let mut send = client.open_uni().await.unwrap();
        send.write_all(&[1; 50_000]).await.unwrap();
        (send, server.accept_uni().await.unwrap())
    });
    net.cut(PathId::PRIMARY);
    let received = net.block_on(async {
        let write = async {
            send.write_all(&[2; 50_000]).await.unwrap();
            send.finish().unwrap();
        };
        tokio::join!(recv.read_to_end(1 << 20), write).0.unwrap()
    });
    assert!(received == [[1; 50_000], [2; 50_000]].concat());
    let mut seen = Vec::new();
    while seen.last() != Some(&SessionEvent::Resumed) {
        seen.extend(net.block_on(events.next()));
    }
    assert!(seen.contains(&SessionEvent::Suspended));
}

#[test]
fn a_server_that_cannot_be_reached_fails_the_dial() {
    let (mut net, session_ref) = Net::dialling(SessionConfig::default(), "nowhere:1");
    let failed = net.block_on(Session::opened(session_ref)).err();
    assert_eq!(failed, Some(SessionError::DialFailed { loss: crate::PathLoss::Failed("no route".into()) }));
}

#[test]
fn closing_delivers_first_and_then_ends_everything_that_waits() {
    let (mut net, client, server) = pair();
    net.block_on(async {
        let mut send = client.open_uni().await.unwrap();
        send.write_all(b"last words").await.unwrap();
        client.close(AppCode::new(5), b"done");
        assert_eq!(client.open_uni().await.err(), Some(OpenError::GoingAway));
        let by_peer =
            SessionError::ClosedByPeer { code: AppCode::new(5), reason: Bytes::from_static(b"done") };
        let mut recv = server.accept_uni().await.unwrap();
        assert_eq!(recv.read_chunk(99).await, Ok(Some(Bytes::from_static(b"last words"))));
        assert_eq!(recv.read_chunk(99).await, Err(ReadError::Session(by_peer.clone())));
        assert_eq!(server.accept_bi().await.err(), Some(by_peer.clone()));
        assert_eq!(server.recv_datagram().await, Err(by_peer.clone()));
        assert_eq!(server.closed().await, by_peer);
        let by_us = SessionError::LocallyClosed { code: AppCode::new(5), undelivered_bytes: 0 };
        assert_eq!(client.closed().await, by_us);
        assert_eq!(send.write(b"more").await, Err(WriteError::Session(by_us)));
    });
    assert_eq!(net.over(), [1, 1]);
}

#[test]
fn handles_outlive_their_session() {
    let (mut net, client, server) = pair();
    let (mut unread, mut unsent, mut from) = net.block_on(async {
        let mut unread = client.open_uni().await.unwrap();
        unread.write_all(&[1; 5_000]).await.unwrap();
        let from = server.accept_uni().await.unwrap();
        (unread, client.open_uni().await.unwrap(), from)
    });
    net.block_on(unsent.write_all(&[2; 5_000])).unwrap();
    from.stop(AppCode::new(5)).unwrap();
    client.abort(AppCode::new(3), b"enough");
    let end = client.close_reason().unwrap();
    assert!(matches!(end, SessionError::LocallyClosed { code, .. } if code == AppCode::new(3)));
    assert_eq!(unread.finish(), Err(WriteError::Session(end.clone())));
    assert_eq!(unsent.reset(AppCode::new(4)), Err(WriteError::Session(end.clone())));
    assert_eq!(net.block_on(unsent.delivered()), Err(WriteError::Session(end)));
    // What the peer had said before it knew still arrives, and must not disturb what is over.
    net.settle();
    drop((unread, unsent, from));
    net.settle();
    net.block_on(server.closed());
}

#[test]
fn events_end_with_the_session() {
    let (mut net, client, _server) = pair();
    let mut events = client.events();
    let (end, ()) =
        net.block_on(async { tokio::join!(events.next(), async { client.abort(AppCode::new(1), b"") }) });
    assert_eq!(end, None);
}

#[test]
fn a_session_closes_when_its_last_handle_is_dropped() {
    let (mut net, client, server) = pair();
    let events = client.events();
    let mut send = net.block_on(client.open_uni()).unwrap();
    drop(client);
    net.block_on(async {
        send.write_all(b"still open").await.unwrap();
        let mut recv = server.accept_uni().await.unwrap();
        drop(send);
        assert_eq!(recv.read_to_end(99).await.unwrap(), b"still open");
        let end = server.closed().await;
        assert_eq!(end, SessionError::ClosedByPeer { code: AppCode::new(0), reason: Bytes::new() });
    });
    drop(events);
    net.settle();
    assert_eq!(net.over(), [1, 1]);
    assert_eq!(Arc::strong_count(net.client()), 1, "only the network still has it");
}

#[test]
fn a_panic_under_the_lock_does_not_spread() {
    let (mut net, client, server) = pair();
    let shared = net.client().clone();
    let panicked = catch_unwind(AssertUnwindSafe(|| shared.with(|_, _| panic!("in the middle of an input"))));
    assert!(panicked.is_err());
    net.block_on(async {
        client.send_datagram(Bytes::from_static(b"on we go")).unwrap();
        assert_eq!(server.recv_datagram().await.unwrap(), "on we go");
    });
}
