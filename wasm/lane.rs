//! The sending half of a lane: a queue, and the task that writes it to a WebTransport stream.
//!
//! Promises: bytes leave in order, in writes of at most 64 KiB; after a finish nothing follows; a reset does not
//! wait for a write that the peer's flow control holds back. What a stream takes is copied once, since the browser
//! has no access to the module's memory; the buffer for that is used again once the browser has taken what is in it.
//!
//! When there is much, a second write waits behind the first, so that the browser need not wait for this thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::Bytes;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::bindings::{Writer, ignore};
use super::signal::Signal;

/// One write: several times what a packet carries, and small enough for another lane's turn.
const MAX_WRITE_BYTES: usize = 64 * 1024;
/// Writes that the stream has not taken yet.
const MAX_PENDING_WRITES: usize = 2;

/// How the sending half ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum End {
    #[default]
    Open,
    Finish,
    Reset,
    /// The peer stopped it, or its path is gone.
    Lost,
}

#[derive(Default)]
pub(crate) struct SendLane {
    queue: RefCell<VecDeque<Bytes>>,
    /// Given to the stream and not taken yet.
    writing_bytes: Cell<usize>,
    end: Cell<End>,
    /// There as soon as the browser has opened the stream.
    writer: RefCell<Option<Writer>>,
    /// The browser has copied what was in them.
    spare: RefCell<Vec<Uint8Array>>,
    work: Signal,
}

/// A write that the stream has not taken yet.
struct Write {
    bytes: usize,
    buffer: Uint8Array,
    taken: JsFuture,
}

impl SendLane {
    /// Whether bytes may still be appended.
    pub(crate) fn is_open(&self) -> bool {
        self.end.get() == End::Open
    }

    pub(crate) fn push(&self, data: Bytes) {
        if !data.is_empty() {
            self.queue.borrow_mut().push_back(data);
            self.work.notify();
        }
    }

    /// Ends it after what was pushed.
    pub(crate) fn finish(&self) {
        if self.is_open() {
            self.end.set(End::Finish);
            self.work.notify();
        }
    }

    /// Ends it at once.
    pub(crate) fn reset(&self) {
        if matches!(self.end.get(), End::Open | End::Finish) {
            self.end.set(End::Reset);
            if let Some(writer) = self.writer.borrow().as_ref() {
                ignore(writer.abort(&JsValue::UNDEFINED));
            }
            self.drop_queue();
        }
    }

    /// It cannot be written to any more.
    pub(crate) fn lose(&self) {
        self.end.set(End::Lost);
        self.drop_queue();
    }

    fn drop_queue(&self) {
        self.queue.borrow_mut().clear();
        self.writing_bytes.set(0);
        self.work.notify();
    }

    /// Bytes that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.queue.borrow().iter().map(Bytes::len).sum::<usize>() + self.writing_bytes.get()
    }

    /// Writes to `writer` until the lane has ended. Calls `relieved` each time that the stream has taken something.
    /// An error is the stream's: the peer stopped it, or the path is gone.
    pub(crate) async fn run(&self, writer: Writer, relieved: impl Fn()) -> Result<(), JsValue> {
        self.writer.replace(Some(writer.clone()));
        let mut pending = VecDeque::with_capacity(MAX_PENDING_WRITES);
        loop {
            match self.end.get() {
                End::Lost => return Ok(()),
                End::Reset => {
                    ignore(writer.abort(&JsValue::UNDEFINED));
                    return Ok(());
                }
                End::Open | End::Finish => self.begin_writes(&writer, &mut pending),
            }
            match pending.pop_front() {
                Some(Write { bytes, buffer, taken }) => {
                    // It is done when the browser's own buffer has room for it: that is the back-pressure.
                    let taken = taken.await;
                    self.writing_bytes.set(self.writing_bytes.get().saturating_sub(bytes));
                    self.spare.borrow_mut().push(buffer);
                    if self.end.get() != End::Reset {
                        taken?;
                    }
                    relieved();
                }
                None if self.end.get() == End::Finish => {
                    // When it is done, the peer has acknowledged everything; nobody here waits for that.
                    ignore(writer.close());
                    return Ok(());
                }
                None => self.work.wait().await,
            }
        }
    }

    /// One write of what is queued, or several of the greatest length.
    fn begin_writes(&self, writer: &Writer, pending: &mut VecDeque<Write>) {
        while pending.len() < MAX_PENDING_WRITES {
            let queued: usize = self.queue.borrow().iter().map(Bytes::len).sum();
            if queued == 0 || (queued < MAX_WRITE_BYTES && !pending.is_empty()) {
                return;
            }
            let bytes = queued.min(MAX_WRITE_BYTES);
            let buffer = self.buffer(bytes);
            let chunk = buffer.subarray(0, bytes as u32);
            self.fill(&chunk);
            self.writing_bytes.set(self.writing_bytes.get() + bytes);
            pending.push_back(Write { bytes, buffer, taken: JsFuture::from(writer.write(&chunk)) });
        }
    }

    /// Moves the front of the queue, which has as much, into `chunk`.
    fn fill(&self, chunk: &Uint8Array) {
        let mut queue = self.queue.borrow_mut();
        let (mut at, len) = (0, chunk.length());
        while at < len {
            let Some(mut piece) = queue.pop_front() else { return };
            let part = piece.split_to(piece.len().min((len - at) as usize));
            let end = at + part.len() as u32;
            chunk.subarray(at, end).copy_from(&part);
            at = end;
            if !piece.is_empty() {
                queue.push_front(piece);
            }
        }
    }
    /// One of the lane's buffers, of `bytes` at least.
    fn buffer(&self, bytes: usize) -> Uint8Array {
        let enough = self.spare.borrow_mut().pop().filter(|spare| spare.length() as usize >= bytes);
        enough.unwrap_or_else(|| Uint8Array::new_with_length(bytes.next_power_of_two() as u32))
    }
}
