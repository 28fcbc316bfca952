//! The core alone, without sockets: what one operation costs a session beside many streams, and over many paths.
//!
//! `cargo bench -p kwik-bench --bench core`. The time of an operation should be the same in each line of a group.

mod pair;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kwik::proto::config::{SessionConfig, Window};
use kwik::proto::wire::id::{Dir, StreamId};

use self::pair::{CLIENT, Pair, SERVER};

/// As many as a session may have at most.
const STREAMS: [usize; 3] = [10, 1_000, 60_000];
const PATHS: [usize; 3] = [1, 2, 8];
const MESSAGE: &[u8] = &[7; 100];

fn config() -> SessionConfig {
    let mut config = SessionConfig::default();
    config.max_streams_bidi = 65_536;
    config.max_streams_uni = 65_536;
    config.max_paths = 8;
    config
}

/// A message on one stream, and its answer.
fn echo(pair: &mut Pair, id: StreamId) {
    pair.write(CLIENT, id, Bytes::from_static(MESSAGE));
    pair.settle();
    let (bytes, _) = pair.read(SERVER, id);
    assert_eq!(bytes, MESSAGE.len());
    pair.write(SERVER, id, Bytes::from_static(MESSAGE));
    pair.settle();
    let (bytes, _) = pair.read(CLIENT, id);
    assert_eq!(bytes, MESSAGE.len());
}

/// A request on a stream of its own, which the server has read and not answered.
fn ask(pair: &mut Pair) -> StreamId {
    let id = pair.open(Dir::Bi);
    pair.write(CLIENT, id, Bytes::from_static(MESSAGE));
    pair.finish(CLIENT, id);
    pair.settle();
    assert_eq!(pair.accept(Dir::Bi), Some(id));
    let (bytes, is_end) = pair.read(SERVER, id);
    assert!(bytes == MESSAGE.len() && is_end);
    id
}

/// Answers a request, after which both ends forget its stream.
fn answer(pair: &mut Pair, id: StreamId) {
    pair.write(SERVER, id, Bytes::from_static(MESSAGE));
    pair.finish(SERVER, id);
    pair.settle();
    let (bytes, is_end) = pair.read(CLIENT, id);
    assert!(bytes == MESSAGE.len() && is_end);
    pair.release(CLIENT, id);
    pair.release(SERVER, id);
}

/// Measures an operation for each number of paths and streams; `begin` makes the pair that it is done on.
fn compare<O: FnMut()>(criterion: &mut Criterion, what: &str, begin: impl Fn(usize, usize) -> O) {
    let mut group = criterion.benchmark_group(what);
    for paths in PATHS {
        for streams in STREAMS {
            let mut operation = begin(paths, streams);
            let id = BenchmarkId::new(format!("{paths} paths"), streams);
            group.bench_function(id, |bencher| bencher.iter(&mut operation));
        }
    }
}

/// Messages on streams that are open, one after another.
fn open_streams(criterion: &mut Criterion) {
    compare(criterion, "a message and its answer, beside open streams", |paths, streams| {
        let mut pair = Pair::new(paths, config());
        let mut ids: VecDeque<_> = (0..streams).map(|_| pair.open(Dir::Bi)).collect();
        for id in &ids {
            echo(&mut pair, *id);
        }
        move || {
            echo(&mut pair, ids[0]);
            ids.rotate_left(1);
        }
    });
}

/// Requests, of which so many wait for an answer; the oldest is answered, and another one comes.
fn outstanding_requests(criterion: &mut Criterion) {
    compare(criterion, "a request and its answer, beside unanswered ones", |paths, streams| {
        let mut pair = Pair::new(paths, config());
        let mut waiting: VecDeque<_> = (0..streams).map(|_| ask(&mut pair)).collect();
        move || {
            let oldest = waiting.pop_front().expect("a request waits");
            answer(&mut pair, oldest);
            waiting.push_back(ask(&mut pair));
        }
    });
}

/// A message beside streams whose reader does not read, and whose writers wait.
fn held_streams(criterion: &mut Criterion) {
    compare(criterion, "a message and its answer, beside streams that are not read", |paths, streams| {
        let mut config = config();
        config.stream_receive_window = Window { initial_bytes: 300, max_bytes: 300 };
        config.session_receive_window = Window { initial_bytes: 1 << 30, max_bytes: 1 << 30 };
        config.stream_send_buffer_bytes = 200;
        // The small buffers are free again at once.
        config.max_ack_delay = Duration::ZERO;
        config.session_send_buffer_bytes = 1 << 30;
        let mut pair = Pair::new(paths, config);
        let busy = pair.open(Dir::Bi);
        echo(&mut pair, busy);
        for _ in 0..streams {
            let held = pair.open(Dir::Uni);
            for _ in 0..4 {
                pair.write(CLIENT, held, Bytes::from_static(&[7; 200]));
                pair.settle();
            }
        }
        move || echo(&mut pair, busy)
    });
}

criterion_group!(core, open_streams, outstanding_requests, held_streams);
criterion_main!(core);
