//! Tiny frames, lanes, datagrams and handshakes without end. A session that sends little else is closed with
//! LIMIT_EXCEEDED (section 9), and with nothing else.

use std::collections::BTreeSet;

use kwik_hostile_tests::code::LIMIT_EXCEEDED;
use kwik_hostile_tests::peer::{Client, Path};
use kwik_hostile_tests::siege::Siege;
use kwik_hostile_tests::wire::{self, Credentials, client_bidi, client_uni, kind, record, varint};

use super::siege;

/// What is written at once: some hundred to thousand frames.
const BURST_BYTES: usize = 32 * 1024;

/// So many of these that they are worth a burst.
fn burst(frame: &[u8]) -> Vec<u8> {
    frame.repeat(BURST_BYTES / frame.len())
}

/// Says `burst` on the control lanes of sessions, again and again; a session that is closed is followed by the next.
async fn flood(siege: &Siege, prelude: &[u8], burst: &[u8]) {
    let client = siege.attacker();
    let mut codes = BTreeSet::new();
    while siege.goes_on() {
        let (mut path, _) = client.open().await;
        path.say(prelude).await;
        codes.extend(said_until_closed(siege, &mut path, burst).await);
    }
    println!("closed with {codes:?}");
    assert_eq!(codes, BTreeSet::from([LIMIT_EXCEEDED]), "sessions that send nothing of use are cut off");
}

/// Says `burst` until the siege or the session ends; then with which code.
async fn said_until_closed(siege: &Siege, path: &mut Path, burst: &[u8]) -> Option<u64> {
    while siege.goes_on() && path.connection.close_reason().is_none() {
        // It waits when the server does not read on: that may take longer than the attack.
        let _ = siege.within_time(path.control.write_all(burst)).await;
    }
    match path.connection.close_reason()? {
        quinn::ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        other => panic!("{other}"),
    }
}

macro_rules! floods_of {
    ($($name:ident: $prelude:expr, $frame:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let siege = siege(concat!("floods of tiny frames: ", stringify!($name))).await;
            flood(&siege, &$prelude, &burst(&$frame)).await;
            siege.lift().await;
        }
    )*};
}

floods_of! {
    resets_of_one_stream: [], wire::numbers(kind::RESET_STREAM, &[client_uni(0), 0, 0]);
    stops_of_one_stream: [], wire::numbers(kind::STOP_SENDING, &[client_bidi(0), 0]);
    acknowledgements_of_nothing: [], wire::ack(client_bidi(0), false, 0, &[]);
    statuses_of_one_path: [], wire::numbers(kind::PATH_STATUS, &[0, 1, 0, 0]);
    closings_of_unknown_paths: [], wire::path_close(77, 0, b"");
    one_chunk_again_and_again: [], wire::stream(client_uni(0), 0, false, b"x");
    one_chunk_of_a_stream_that_is_done:
        wire::stream(client_uni(0), 0, true, b"x"), wire::stream(client_uni(0), 0, true, b"x");
    empty_chunks: [], wire::stream(client_uni(0), 0, false, b"");
    empty_frames_of_unknown_types: [], wire::frame(kind::GREASE, b"");
    pings: [], wire::numbers(kind::PING, &[1]);
    pongs: [], wire::numbers(kind::PONG, &[1]);
    limits_that_are_no_news: [], wire::numbers(kind::MAX_DATA, &[1]);
    limits_of_streams_that_are_no_news: [], wire::numbers(kind::MAX_STREAM_DATA, &[client_bidi(0), 1]);
    reports_of_nothing: [], wire::numbers(kind::PATH_REPORT, &[0, 0]);
    goaways: [], wire::frame(kind::GOAWAY, b"");
    datagrams_in_frames: [], wire::frame(kind::DATAGRAM, &[0, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_that_are_each_newer_than_the_last() {
    let siege = siege("floods of tiny frames: statuses that are each newer than the last").await;
    let newer = |sequence: u64| wire::numbers(kind::PATH_STATUS, &[0, sequence, sequence & 1, 0]);
    let (mut path, _) = siege.attacker().open().await;
    let mut sequence = 1;
    while siege.goes_on() && path.connection.close_reason().is_none() {
        let rising: Vec<u8> = (sequence..sequence + 4_000).flat_map(newer).collect();
        sequence += 4_000;
        let _ = siege.within_time(path.control.write_all(&rising)).await;
    }
    siege.lift().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_unknown_types_before_hello() {
    let siege = siege("greeting: frames of unknown types before HELLO").await;
    let client = siege.attacker();
    let grease = burst(&wire::frame(kind::GREASE, b""));
    while siege.goes_on() {
        let mut path = client.greet(&grease).await;
        let _ = said_until_closed(&siege, &mut path, &grease).await;
    }
    siege.lift().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_records() {
    let siege = siege("lanes: empty records").await;
    let (path, _) = siege.attacker().open().await;
    let mut lane = path.uni(&wire::lane(client_uni(0))).await;
    let burst = burst(&record(0, false, b""));
    while siege.goes_on() && path.connection.close_reason().is_none() {
        let _ = siege.within_time(lane.write_all(&burst)).await;
    }
    siege.lift().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_are_opened_and_reset() {
    let siege = siege("lanes: opened and reset").await;
    let (path, _) = siege.attacker().open().await;
    while siege.goes_on() && path.connection.close_reason().is_none() {
        if let Some(Ok(mut lane)) = siege.within_time(path.connection.open_uni()).await {
            let _ = lane.write_all(&wire::lane(client_uni(0))).await;
            let _ = lane.reset(0_u32.into());
        }
    }
    siege.lift().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_of_unknown_types_without_end() {
    let siege = siege("lanes: unknown types, 32 KiB each").await;
    let (path, _) = siege.attacker().open().await;
    let junk = [varint(0x21), vec![0; BURST_BYTES]].concat();
    while siege.goes_on() && path.connection.close_reason().is_none() {
        if let Some(Ok(mut lane)) = siege.within_time(path.connection.open_uni()).await {
            let _ = siege.within_time(lane.write_all(&junk)).await;
        }
    }
    siege.held_at_most(64 << 20);
    siege.lift().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_given_up_at_once() {
    let siege = siege("streams: opened and given up at once").await;
    let client = siege.attacker();
    let (mut path, _) = client.open().await;
    let mut next = 0;
    // As many as are granted: each that is done makes room for another.
    while siege.goes_on() && path.connection.close_reason().is_none() {
        path.say(&wire::numbers(kind::RESET_STREAM, &[client_uni(next), 0, 0])).await;
        next += 1;
        if next % 100 == 0 {
            siege.within_time(path.is_served()).await;
        }
        if next >= 100 {
            break;
        }
    }
    siege.wait_out().await;
    siege.lift().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_of_one_byte() {
    let siege = siege("datagrams: of one byte").await;
    let (path, _) = siege.attacker().open().await;
    let mut sequence = 0;
    while siege.goes_on() && path.connection.close_reason().is_none() {
        let data = [varint(sequence), vec![1]].concat();
        let _ = siege.within_time(path.connection.send_datagram_wait(data.into())).await;
        sequence += 1;
    }
    println!("{sequence} datagrams");
    siege.lift().await;
}

/// Joins with wrong proofs, on many connections at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_proofs() {
    let siege = siege("joins: wrong proofs").await;
    let client = siege.attacker();
    let (mut path, credentials) = client.open().await;
    let wrong = Credentials { nonce: [0; 16], ..credentials };
    let mut guesses = 0;
    while siege.goes_on() {
        let attempts: Vec<_> =
            (1..=16).map(|id| tokio::spawn(guess(client.clone(), wrong.clone(), id))).collect();
        guesses += attempts.len();
        for attempt in attempts {
            // Rate-limited ones are not even connected.
            let _ = siege.within_time(attempt).await;
        }
    }
    println!("{guesses} wrong proofs");
    path.is_served().await;
    siege.lift().await;
}

async fn guess(client: Client, wrong: Credentials, id: u64) {
    let Ok(connection) = client.connect().await else { return };
    let Ok((mut control, mut replies)) = connection.open_bi().await else { return };
    let hello = wire::hello_join(&wrong.session, id, &wrong.proof(id));
    let _ = control.write_all(&[&[wire::CONTROL_LANE], &hello[..]].concat()).await;
    let _ = replies.read_chunk(1 << 16, true).await;
    connection.close(0_u32.into(), b"");
}

/// Sessions that are opened and cut, one after another on many connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_opened_and_cut() {
    let siege = siege("sessions: opened and cut").await;
    let client = siege.attacker();
    while siege.goes_on() {
        let attempts: Vec<_> = (0..16).map(|_| tokio::spawn(open_and_cut(client.clone()))).collect();
        for attempt in attempts {
            let _ = siege.within_time(attempt).await;
        }
    }
    siege.lift().await;
}

async fn open_and_cut(client: Client) {
    let Ok(connection) = client.connect().await else { return };
    let Ok((mut control, mut replies)) = connection.open_bi().await else { return };
    let _ = control.write_all(&[&[wire::CONTROL_LANE], &wire::hello_new()[..]].concat()).await;
    let _ = replies.read_chunk(1 << 16, true).await;
    connection.close(0_u32.into(), b"");
}
