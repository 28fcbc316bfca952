//! The sending half of a lane: a queue, and the task that writes it to a WebTransport stream.
//!
//! Promises: bytes leave in order, in writes of at most 64 KiB; after a finish nothing follows; a reset does not
//! wait for a write that the peer's flow control holds back. What a stream takes is copied once, since the browser
//! has no access to the module's memory; the buffer for that is used again once the browser has taken what is in it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::bindings::{Writer, ignore};
use super::signal::Signal;

/// One write: several times what a packet carries, and small enough for another lane's turn.
const MAX_WRITE_BYTES: usize = 64 * 1024;

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
    buffer: RefCell<Option<Uint8Array>>,
    work: Signal,
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
        loop {
            match (self.end.get(), self.next_write()) {
                (End::Lost, _) => return Ok(()),
                (End::Reset, _) => {
                    ignore(writer.abort(&JsValue::UNDEFINED));
                    return Ok(());
                }
                (End::Open | End::Finish, Some(chunk)) => {
                    self.writing_bytes.set(chunk.length() as usize);
                    // It is done when the browser's own buffer has room for it: that is the back-pressure.
                    let taken = JsFuture::from(writer.write(&chunk)).await;
                    self.writing_bytes.set(0);
                    if self.end.get() != End::Reset {
                        taken?;
                    }
                    relieved();
                }
                (End::Finish, None) => {
                    // When it is done, the peer has acknowledged everything; nobody here waits for that.
                    ignore(writer.close());
                    return Ok(());
                }
                (End::Open, None) => self.work.wait().await,
            }
        }
    }

    /// What is queued, as one write if it is little.
    fn next_write(&self) -> Option<Uint8Array> {
        let mut queue = self.queue.borrow_mut();
        let queued: usize = queue.iter().map(Bytes::len).sum();
        let len = queued.min(MAX_WRITE_BYTES);
        let chunk = self.buffer(u32::try_from(len).ok().filter(|len| *len > 0)?);
        let mut at = 0;
        while at < len {
            let piece = queue.front_mut()?;
            let take = piece.len().min(len - at);
            chunk.subarray(at as u32, (at + take) as u32).copy_from(piece.get(..take)?);
            piece.advance(take);
            at += take;
            if piece.is_empty() {
                queue.pop_front();
            }
        }
        Some(chunk)
    }

    /// So many bytes of the lane's buffer. The browser has copied what was in it once a write is done.
    fn buffer(&self, len: u32) -> Uint8Array {
        let mut buffer = self.buffer.borrow_mut();
        let enough = buffer.take().filter(|buffer| buffer.length() >= len);
        buffer
            .insert(enough.unwrap_or_else(|| Uint8Array::new_with_length(len.next_power_of_two())))
            .subarray(0, len)
    }
}
