//! The receiving half of a lane: one read after another, for as long as there is something to read.
//!
//! A browser delivers some 30 KB at once, so a transfer makes thousands of reads a second. Therefore two functions serve
//! all reads of a lane; a future for each of them would make two functions and a task every time. And the core is not
//! called for each: what follows upon much is gathered for a moment (see [`Gather`](super::gather::Gather)). What comes
//! after a pause, and what ends a lane, goes to the core at once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use super::bindings::{ReadPromise, ReadResult, ReadableStream, Reader, object};
use super::path::Path;
use crate::proto::session::Session;
use crate::proto::time::Time;
use crate::proto::wire::id::{Dir, LaneId, PathId};

/// No browser delivers more in one read (Chromium 156).
const READ_BYTES: u32 = 64 * 1024;
/// After so many bytes at once, more of them are likely to come.
const BULK_BYTES: usize = 16 * 1024;
/// What is gathered goes when it is so much, if not before: timers can be late.
const MAX_GATHERED_BYTES: usize = 1024 * 1024;

/// How the receiving half ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LaneEnd {
    Finished,
    Reset,
}

pub(super) struct ReadLane {
    id: LaneId,
    dir: Dir,
    reader: Reader,
    /// What the next read fills; none where the stream is no byte stream.
    buffer: RefCell<Option<Uint8Array>>,
    gathered: RefCell<Vec<Bytes>>,
    /// What it reads waits for the next beat.
    is_held: Cell<bool>,
    on_read: Closure<dyn FnMut(ReadResult)>,
    on_error: Closure<dyn FnMut(JsValue)>,
}

impl ReadLane {
    /// Reads a lane of `path` to its end. The path keeps it until then.
    pub(super) fn serve(path: &Rc<Path>, id: LaneId, dir: Dir, stream: &ReadableStream) {
        let byob = object(&[("mode", "byob".into())]);
        let byte_reader = stream.get_reader_with(&byob).ok();
        let buffer = byte_reader.is_some().then(|| Uint8Array::new_with_length(READ_BYTES));
        // Not a byte stream in every browser.
        let Some(reader) = byte_reader.or_else(|| stream.get_reader().ok()) else {
            return path.on_lane_end(id, LaneEnd::Reset);
        };
        let (reading, failing) = (path.clone(), path.clone());
        let lane = Rc::new(Self {
            id,
            dir,
            reader,
            buffer: RefCell::new(buffer),
            gathered: RefCell::default(),
            is_held: Cell::default(),
            on_read: Closure::new(move |result| on_read(&reading, id, &result)),
            on_error: Closure::new(move |_| failing.on_lane_end(id, LaneEnd::Reset)),
        });
        path.readers.borrow_mut().insert(id, lane.clone());
        lane.read();
    }

    fn read(&self) {
        let promise: ReadPromise = match self.buffer.borrow_mut().take() {
            Some(buffer) => self.reader.read_into(&buffer),
            None => self.reader.read(),
        }
        .unchecked_into();
        promise.then(&self.on_read, &self.on_error);
    }

    /// Keeps what was read; returns whether it should go to the core now.
    fn gather(&self, data: Bytes) -> bool {
        let mut gathered = self.gathered.borrow_mut();
        gathered.push(data);
        !self.is_held.get() || bytes_in(&gathered) >= MAX_GATHERED_BYTES
    }

    /// Hands on to the core what was read. If it is much, the lane is held from now on.
    pub(super) fn hand_on(&self, session: &mut Session, now: Time, path: PathId) {
        let gathered = self.gathered.take();
        self.is_held.set(bytes_in(&gathered) >= BULK_BYTES);
        for data in gathered {
            session.on_lane_data(now, path, self.id, self.dir, data);
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_held.get()
    }
}

fn bytes_in(gathered: &[Bytes]) -> usize {
    gathered.iter().map(Bytes::len).sum()
}

fn on_read(path: &Rc<Path>, id: LaneId, result: &ReadResult) {
    if result.done() {
        return path.on_lane_end(id, LaneEnd::Finished);
    }
    let chunk: Uint8Array = result.value().unchecked_into();
    let data = Bytes::from(chunk.to_vec());
    let lane = path.readers.borrow().get(&id).cloned();
    let Some(lane) = lane else { return };
    // The buffer's memory came back with what was read: it is used again and again.
    if chunk.buffer().byte_length() == READ_BYTES {
        lane.buffer.replace(Some(Uint8Array::new(&chunk.buffer())));
    }
    lane.read();
    if lane.gather(data) {
        path.deliver(&[lane]);
    }
}
