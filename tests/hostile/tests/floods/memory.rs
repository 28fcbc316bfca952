//! What a peer can make a server hold, within the windows that it was granted.
//!
//! A session starts with a window of 4 MiB, and what it holds is promised to stay below four times that, whatever it
//! is cut into; unread datagrams below 1 MiB, and a connection that has not said HELLO below 64 KiB. (Section 9; and the
//! limits of a server's configuration.)

use kwik_hostile_tests::peer::{Path, patiently};
use kwik_hostile_tests::siege::Siege;
use kwik_hostile_tests::wire::{self, client_bidi, client_uni, kind, record, varint};

use tokio::task::JoinSet;

use super::{VICTIM, siege};

/// The window that a server's session has at first.
pub(super) const WINDOW: u64 = 4 << 20;
/// What the allocator, the connection itself and its buffers take beside what is held.
pub(super) const PROCESS: u64 = 12 << 20;

/// Sends these lanes, each whole but not finished, and waits until all is sent or nothing more is taken.
async fn hold(siege: &Siege, path: &Path, lanes: impl Iterator<Item = Vec<u8>>) -> Vec<quinn::SendStream> {
    let mut held = Vec::new();
    for bytes in lanes {
        let Some(Ok(mut lane)) = siege.at_leisure(path.connection.open_uni()).await else { break };
        let _ = siege.at_leisure(lane.write_all(&bytes)).await;
        held.push(lane);
    }
    held
}

/// A lane of the client's `index`th unidirectional stream, with `count` pieces of `len` bytes and a gap as long before
/// each.
fn pieces(index: u64, count: u64, len: u64) -> Vec<u8> {
    let piece = |number| record((2 * number + 1) * len, false, &vec![7; len as usize]);
    [wire::lane(client_uni(index)), (0..count).flat_map(piece).collect()].concat()
}

/// 1-byte chunks at every other offset: 100 streams with as many ranges as anybody may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_of_one_byte_at_every_other_offset() {
    let siege = siege("memory: chunks of one byte at every other offset").await;
    let (path, _) = siege.attacker().open().await;
    let _held = hold(&siege, &path, (0..100).map(|index| pieces(index, 8_000, 1))).await;
    siege.wait_out().await;
    siege.held_at_most(4 * WINDOW + PROCESS);
    siege.lift().await;
}

/// The same from ten sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_of_one_byte_from_ten_sessions() {
    let siege = siege("memory: chunks of one byte at every other offset, ten sessions").await;
    let client = siege.attacker();
    let mut held = Vec::new();
    for _ in 0..10 {
        let (path, _) = client.open().await;
        let lanes = hold(&siege, &path, (0..100).map(|index| pieces(index, 8_000, 1))).await;
        held.push((path, lanes));
    }
    siege.wait_out().await;
    siege.held_at_most(10 * 4 * WINDOW + PROCESS);
    siege.lift().await;
}

/// 60 KiB that are read and thrown away at once: whatever arrives between two such heaps shares its receive buffer
/// with nothing else that is kept.
async fn heap(siege: &Siege, junk: &mut quinn::SendStream) {
    let _ = siege.at_leisure(junk.write_all(&[0; 60 << 10])).await;
}

/// Pieces just long enough to be worth keeping where they arrived, between gaps, each in a receive buffer of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_of_512_bytes_in_buffers_of_their_own() {
    let siege = siege("memory: pieces of 512 bytes in buffers of their own").await;
    let (path, _) = siege.careful_attacker().open().await;
    let mut lane = path.uni(&wire::lane(client_uni(0))).await;
    let mut junk = path.uni(&varint(0x21)).await;
    for number in 0..1_000 {
        let _ = siege.at_leisure(lane.write_all(&record((2 * number + 1) * 512, false, &[7; 512]))).await;
        heap(&siege, &mut junk).await;
    }
    siege.wait_out().await;
    siege.held_at_most(4 * WINDOW + PROCESS);
    siege.lift().await;
}

/// As much as the window takes, in one piece: what an honest sender may do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_window_that_nobody_reads() {
    let siege = siege("memory: a full window that nobody reads").await;
    let (path, _) = siege.attacker().open().await;
    let full = |index| {
        let records = (0..16).flat_map(|number| record(number << 16, false, &[7; 1 << 16]));
        [wire::lane(client_uni(index)), records.collect()].concat()
    };
    let _held = hold(&siege, &path, (0..4).map(full)).await;
    siege.wait_out().await;
    siege.held_at_most(4 * WINDOW + PROCESS);
    siege.lift().await;
}

/// Datagrams of one byte that nobody reads, each in a receive buffer of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_datagrams_of_one_byte() {
    let siege = siege("memory: unread datagrams of one byte").await;
    let (path, _) = siege.careful_attacker().open().await;
    let mut junk = path.uni(&varint(0x21)).await;
    for sequence in 0..1_000 {
        let data = [varint(sequence), vec![1]].concat();
        let _ = siege.at_leisure(path.connection.send_datagram_wait(data.into())).await;
        heap(&siege, &mut junk).await;
    }
    siege.wait_out().await;
    siege.held_at_most((1 << 20) + PROCESS);
    siege.lift().await;
}

/// The longest datagrams that there are, in frames.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_datagrams_of_65_000_bytes() {
    let siege = siege("memory: unread datagrams of 65,000 bytes").await;
    let (mut path, _) = siege.attacker().open().await;
    for sequence in 0..500 {
        let frame = wire::frame(kind::DATAGRAM, &[varint(sequence), vec![1; 65_000]].concat());
        let _ = siege.at_leisure(path.control.write_all(&frame)).await;
    }
    siege.wait_out().await;
    siege.held_at_most((1 << 20) + 2 * PROCESS);
    siege.lift().await;
}

/// 60 connections that push all that QUIC lets them, and never say HELLO.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_push_and_never_say_hello() {
    let siege = siege("memory: 60 connections that push and never say HELLO").await;
    let client = siege.attacker();
    let mut held = Vec::new();
    for _ in 0..60 {
        let connection = client.connect().await.unwrap();
        held.push(tokio::spawn(async move {
            // The first lane is for HELLO, which does not come.
            let _control = connection.open_bi().await;
            let mut lane = connection.open_uni().await.unwrap();
            let _ = lane.write_all(&[0; 16 << 20]).await;
            connection.closed().await
        }));
    }
    siege.wait_out().await;
    siege.held_at_most(60 * (64 << 10) + 2 * PROCESS);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    siege.lift().await;
}

/// Asks for data without end on so many streams, and never acknowledges any of it: the carrier does its part.
async fn take_and_forget(path: &Path, streams: u64) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for index in 0..streams {
        let (mut send, mut recv) =
            path.bi(&[wire::lane(client_bidi(index)), record(0, true, b"D")].concat()).await;
        let _ = send.finish();
        readers.spawn(async move { while let Ok(Some(_)) = recv.read_chunk(usize::MAX, true).await {} });
    }
    readers
}

/// A peer that never acknowledges makes a session keep what its application may write ahead: 64 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_acknowledges() {
    let siege = siege("memory: a peer that never acknowledges").await;
    let (path, _) = siege.attacker().open().await;
    let _readers = take_and_forget(&path, 16).await;
    siege.wait_out().await;
    siege.held_at_most((64 << 20) + 2 * PROCESS);
    siege.lift().await;
}

/// Ends the session, unless the server has cut it off already.
async fn leave(mut path: Path) {
    let _ = path.control.write_all(&wire::close(0, 0, b"")).await;
    patiently("the end of the connection", path.connection.closed()).await;
}

/// The pool keeps 128 slabs of 64 KiB of each of its two kinds for the next burst, and nobody keeps the rest. (glibc's
/// allocator does, by itself: here it is told to give pieces of this size back to the system.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_peers_that_never_acknowledge_made_it_hold_goes_back_when_they_are_gone() {
    let name = "memory: given back after four peers that never acknowledge";
    let siege = Siege::lay(name, "env", &["MALLOC_MMAP_THRESHOLD_=60000", VICTIM]).await;
    let client = siege.attacker();
    let mut held = Vec::new();
    for _ in 0..4 {
        let (path, _) = client.open().await;
        let readers = take_and_forget(&path, 16).await;
        held.push((path, readers));
    }
    siege.wait_out().await;
    for (path, _readers) in held {
        leave(path).await;
    }
    siege.gives_back_all_but(2 * 128 * (64 << 10)).await;
    siege.lift().await;
}

/// Several of them share what the server may hold in all, and the innocent client still has its part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_never_acknowledge_share_what_the_server_may_hold() {
    let name = "memory: eight peers that never acknowledge share 32 MiB";
    let siege = Siege::lay(name, VICTIM, &["max-memory=33554432"]).await;
    let client = siege.attacker();
    let mut held = Vec::new();
    for _ in 0..8 {
        let (path, _) = client.open().await;
        let readers = take_and_forget(&path, 16).await;
        held.push((path, readers));
    }
    siege.wait_out().await;
    siege.held_at_most((32 << 20) + 2 * PROCESS);
    siege.lift().await;
}

/// Frames that are announced and never finished, on as many paths as a session may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_frames_on_every_path() {
    let siege = siege("memory: unfinished frames on every path").await;
    let client = siege.attacker();
    let (first, credentials) = client.open().await;
    let mut held = vec![first];
    for id in 1..8 {
        held.push(client.join(&credentials, id).await);
    }
    let unfinished = [varint(kind::DATAGRAM), varint(65_536), vec![0; 65_535]].concat();
    for path in &mut held {
        path.say(&unfinished).await;
    }
    siege.wait_out().await;
    siege.held_at_most(8 * (64 << 10) + PROCESS);
    siege.lift().await;
}

/// Lanes that hold the beginning of a record each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_end_nowhere() {
    let siege = siege("memory: lanes that end nowhere").await;
    let (path, _) = siege.attacker().open().await;
    let half = |index| [wire::lane(client_uni(index % 100)), vec![0xc0; 7]].concat();
    let _held = hold(&siege, &path, (0..264_u64).map(half)).await;
    siege.wait_out().await;
    siege.held_at_most(2 * PROCESS);
    siege.lift().await;
}

/// The highest stream that is granted opens all below it; each costs something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_streams_at_once_in_twenty_sessions() {
    let siege = siege("memory: all streams at once in twenty sessions").await;
    let client = siege.attacker();
    let mut held = Vec::new();
    for _ in 0..20 {
        let (mut path, _) = client.open().await;
        path.say(&wire::stream(client_uni(99), 0, false, b"x")).await;
        path.say(&wire::stream(client_bidi(99), 0, false, b"x")).await;
        held.push(path);
    }
    siege.wait_out().await;
    siege.held_at_most(20 * (1 << 20) + PROCESS);
    siege.lift().await;
}

/// Retired ids in thousands: joins that come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_ids_with_gaps() {
    let siege = siege("memory: path ids with gaps").await;
    let client = siege.attacker();
    let (mut first, credentials) = client.open().await;
    let mut id = 1;
    while siege.goes_on() {
        let mut path = client.ask_to_join(&credentials, id).await;
        path.next().await;
        path.cut();
        id += 1 << 40;
    }
    first.is_served().await;
    siege.held_at_most(2 * PROCESS);
    siege.lift().await;
}
