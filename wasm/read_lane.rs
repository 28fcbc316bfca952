//! The receiving half of a lane: one read after another, for as long as there is something to read.
//!
//! A transfer makes thousands of reads a second. So two functions serve all reads of a lane; a future for each of them
//! would make two functions and a task every time.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use super::bindings::{ReadPromise, ReadResult, ReadableStream, Reader, object};
use super::path::Path;
use crate::proto::id::{Dir, LaneId};

/// No browser delivers more in one read (Chromium 156).
const READ_BYTES: u32 = 64 * 1024;

/// How the receiving half ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LaneEnd {
    Finished,
    Reset,
}

pub(super) struct ReadLane {
    reader: Reader,
    /// What the next read fills; none where the stream is no byte stream.
    buffer: RefCell<Option<Uint8Array>>,
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
            reader,
            buffer: RefCell::new(buffer),
            on_read: Closure::new(move |result| on_read(&reading, id, dir, &result)),
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
}

fn on_read(path: &Rc<Path>, id: LaneId, dir: Dir, result: &ReadResult) {
    if result.done() {
        return path.on_lane_end(id, LaneEnd::Finished);
    }
    let chunk: Uint8Array = result.value().unchecked_into();
    let data = Bytes::from(chunk.to_vec());
    let lane = path.readers.borrow().get(&id).cloned();
    if let Some(lane) = lane {
        // The buffer's memory came back with what was read: it is used again and again.
        if chunk.buffer().byte_length() == READ_BYTES {
            lane.buffer.replace(Some(Uint8Array::new(&chunk.buffer())));
        }
        lane.read();
    }
    path.on_lane_data(id, dir, data);
}
