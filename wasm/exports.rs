//! What the npm package's worker script calls. It is no public API: `wasm/npm/src/worker.ts` is its one user, and
//! the two are always of the same version.
//!
//! Streams are named by their numbers here, and every wait is a promise of its own: so the script may stop or reset
//! a stream while it reads or writes it, and there is no object per stream for it to free.

// What is exported to JavaScript has to be `pub`; Rust sees none of it.
#![expect(unreachable_pub)]

mod describe;

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::prelude::*;

use super::backend::Browser;
use super::dial::{Config, start};
use crate::api::shared::{Core, SessionRef};
use crate::api::waiters::Topic;
use crate::api::{Address, PathHandle, Session, SessionEvents};
use crate::proto::config::PathPolicy;
use crate::proto::event::PathAddress;
use crate::proto::streams::recv::Read;
use crate::proto::time::Time;
use crate::proto::wire::id::{Dir, PathId, StreamId};
use describe::{code_of, failure, u64_of};

/// One session.
#[wasm_bindgen(js_name = Session)]
pub struct JsSession {
    session: Arc<SessionRef>,
    backend: Arc<Browser>,
}

#[wasm_bindgen(js_class = Session)]
impl JsSession {
    /// Begins to open a session. `pins` are SHA-256 hashes of 32 bytes, besides those in `url`.
    #[wasm_bindgen(constructor)]
    pub fn new(url: &str, pins: &Array, options: &Object) -> Result<Self, JsValue> {
        let config = Config { session: describe::config(options)? };
        let started = start(address_of(url, pins)?, config);
        let (session, backend) = started.map_err(|error| describe::dial_failure(&error))?;
        Ok(Self { session, backend })
    }

    /// Resolves when the session is open.
    pub async fn opened(&self) -> Result<(), JsValue> {
        let opened = Session::opened(self.session.clone()).await;
        opened.map(drop).map_err(|error| describe::session_failure(&error))
    }

    /// Resolves when the session is over, with the code and the reason; rejects when it did not end by a `close`.
    pub async fn closed(&self) -> Result<Object, JsValue> {
        let over =
            self.session.wait(Topic::Over, |core, _| if core.session.is_over() { core.end() } else { None });
        describe::closing(&over.await)
    }

    // ---- streams ----

    /// Opens a stream, and returns its number.
    pub async fn open(&self, bidirectional: bool) -> Result<f64, JsValue> {
        let dir = dir(bidirectional);
        let opened = self.session.wait(Topic::Open(dir), |core, _| core.session.open(dir).transpose()).await;
        opened.map(|id| id.0 as f64).map_err(|error| failure("session", &error, None))
    }

    /// The number of the next stream that the server opened; `undefined` when the session has ended.
    pub async fn accept(&self, bidirectional: bool) -> Option<f64> {
        let dir = dir(bidirectional);
        let accepted = self.session.wait(Topic::Accept(dir), |core, _| match core.session.accept(dir) {
            Some(id) => Some(Some(id.0 as f64)),
            None => core.end().map(|_| None),
        });
        accepted.await
    }

    /// Moves what has arrived of a stream into `buffer`, as much as fits, and returns how many bytes that is. Fewer than
    /// fit are all that there is at the moment.
    pub fn take(&self, stream: f64, buffer: &Uint8Array) -> Result<u32, JsValue> {
        let (id, room) = (StreamId(u64_of(stream)), buffer.length());
        let taken = self.session.with(|session, now| {
            let mut taken = 0;
            while taken < room {
                match session.read(now, id, (room - taken) as usize) {
                    Ok(Read::Data(piece)) => {
                        let end = taken + piece.len() as u32;
                        buffer.subarray(taken, end).copy_from(&piece);
                        taken = end;
                    }
                    Ok(Read::Blocked | Read::Finished) => break,
                    // What arrived before is handed out first; the error stays where it is.
                    Err(_) if taken > 0 => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(taken)
        });
        taken.map_err(|error| describe::read_failure(&error))
    }

    /// Whether all of a stream has been taken.
    #[wasm_bindgen(js_name = isFinished)]
    pub fn is_finished(&self, stream: f64) -> bool {
        self.session.read(|core| core.session.is_read_to_end(StreamId(u64_of(stream))))
    }

    /// Resolves when a `take` does not come back with nothing: it finds bytes or the end, or fails.
    pub async fn readable(&self, stream: f64) {
        let id = StreamId(u64_of(stream));
        self.session.wait(Topic::Read(id), |core, _| core.session.is_readable(id).then_some(())).await;
    }

    /// Resolves when all of `data` was taken.
    pub async fn write(&self, stream: f64, data: Vec<u8>) -> Result<(), JsValue> {
        let (id, mut data) = (StreamId(u64_of(stream)), Bytes::from(data));
        while !data.is_empty() {
            let written =
                self.session.wait(Topic::Write(id), |core, _| match core.session.write(id, &mut data) {
                    Ok(0) => None,
                    written => Some(written),
                });
            written.await.map_err(|error| describe::write_failure(&error))?;
        }
        Ok(())
    }

    /// Ends a stream after what was written.
    pub fn finish(&self, stream: f64) -> Result<(), JsValue> {
        let finished = self.session.with(|session, _| session.finish(StreamId(u64_of(stream))));
        finished.map_err(|error| describe::write_failure(&error))
    }

    /// Resolves when the server has all of a stream; rejects when it will not.
    pub async fn delivered(&self, stream: f64) -> Result<(), JsValue> {
        let id = StreamId(u64_of(stream));
        let outcome =
            self.session.wait(Topic::Delivered(id), move |core, _| core.session.send_outcome(id)).await;
        outcome.map_err(|error| describe::write_failure(&error))
    }

    /// Gives a stream up. A write that waits fails.
    pub fn reset(&self, stream: f64, code: f64) {
        let id = StreamId(u64_of(stream));
        // One that is over already needs no reset.
        self.end(&[Topic::Write(id), Topic::Delivered(id)], |core, now| {
            drop(core.session.reset(now, id, code_of(code)));
        });
    }

    /// Wants no more of a stream. A read that waits fails.
    pub fn stop(&self, stream: f64, code: f64) {
        let id = StreamId(u64_of(stream));
        // One that is over already needs no stop.
        self.end(&[Topic::Read(id)], |core, now| drop(core.session.stop(now, id, code_of(code))));
    }

    /// The page has done with the sending half; the session may forget it once the server has it all.
    #[wasm_bindgen(js_name = releaseSend)]
    pub fn release_send(&self, stream: f64) {
        self.session.with(|session, now| session.release_send(now, StreamId(u64_of(stream))));
    }

    /// The page has done with the receiving half.
    #[wasm_bindgen(js_name = releaseRecv)]
    pub fn release_recv(&self, stream: f64) {
        self.session.with(|session, now| session.release_recv(now, StreamId(u64_of(stream))));
    }

    // ---- datagrams ----

    /// Sends a datagram, as soon as a path has room for one; one that is too long is dropped, as the W3C interface
    /// says. To be called by one at a time.
    #[wasm_bindgen(js_name = sendDatagram)]
    pub async fn send_datagram(&self, data: Vec<u8>) {
        self.backend.datagram_room().await;
        // A session that has ended says so elsewhere.
        let _ = self.session.with(|session, now| session.send_datagram(now, data.into(), PathPolicy::Any));
    }

    /// The next datagram; `undefined` when the session has ended.
    #[wasm_bindgen(js_name = recvDatagram)]
    pub async fn recv_datagram(&self) -> Option<Uint8Array> {
        let next = self.session.wait(Topic::Datagram, |core, now| match core.session.recv_datagram(now) {
            Some(data) => Some(Some(Uint8Array::from(data.as_ref()))),
            None => core.end().map(|_| None),
        });
        next.await
    }

    /// The longest datagram that can be sent now; 0 when there are none.
    #[wasm_bindgen(js_name = maxDatagramSize)]
    pub fn max_datagram_size(&self) -> usize {
        self.session.read(|core| core.session.max_datagram_bytes()).unwrap_or(0)
    }

    // ---- paths ----

    /// Adds a path, and resolves with its number when it is part of the session.
    #[wasm_bindgen(js_name = addPath)]
    pub async fn add_path(&self, url: String, pins: Array) -> Result<f64, JsValue> {
        let address = address_of(&url, &pins)?;
        let path = PathHandle::add(self.session.clone(), address).await;
        path.map(|path| path.id().0 as f64).map_err(|error| failure("session", &error, None))
    }

    /// Removes a path, in good order.
    #[wasm_bindgen(js_name = removePath)]
    pub fn remove_path(&self, path: f64) -> Result<(), JsValue> {
        let removed = self.session.with(|session, now| session.remove_path(now, PathId(u64_of(path))));
        removed.map_err(|error| failure("session", &error, None))
    }

    /// What is known of all paths.
    pub fn paths(&self) -> Array {
        self.session
            .read(|core| core.session.paths().map(|path| JsValue::from(describe::path(&path))).collect())
    }

    /// The page is looked at again, or the network is back: what is missing is dialled at once.
    #[wasm_bindgen(js_name = networkChanged)]
    pub fn network_changed(&self) {
        self.session.with(|session, now| session.network_changed(now));
    }

    // ---- life ----

    /// What happens from now on.
    pub fn events(&self) -> JsEvents {
        JsEvents { events: SessionEvents::new(Arc::clone(&self.session)) }
    }

    /// Counts so far.
    pub fn stats(&self) -> Object {
        describe::stats(&self.session.read(|core| core.session.stats()))
    }

    /// Ends the session once everything that was written is there.
    pub fn close(&self, code: f64, reason: &str) {
        let reason = Bytes::copy_from_slice(reason.as_bytes());
        self.session.with(|session, now| session.close(now, code_of(code), reason));
    }

    /// Applies what ends a half of a stream, and has those look who wait for it: the core tells them only of what
    /// the other end does.
    fn end(&self, topics: &[Topic], input: impl FnOnce(&mut Core, Time)) {
        let mut woken = Vec::new();
        self.session.with_core(|core, now| {
            input(core, now);
            topics.iter().for_each(|topic| core.waiters.wake(*topic, &mut woken));
        });
        woken.into_iter().for_each(Waker::wake);
    }
}

/// What happens to a session.
#[wasm_bindgen(js_name = Events)]
pub struct JsEvents {
    events: SessionEvents,
}

#[wasm_bindgen(js_class = Events)]
impl JsEvents {
    /// The next event; `undefined` when the session has ended. To be called by one at a time.
    pub async fn next(&mut self) -> Option<Object> {
        self.events.next().await.map(|event| describe::event(&event))
    }
}

fn dir(bidirectional: bool) -> Dir {
    if bidirectional { Dir::Bi } else { Dir::Uni }
}

/// An address in its own words, with further pins.
fn address_of(url: &str, pins: &Array) -> Result<PathAddress, JsValue> {
    let address: Address = url.parse().map_err(|error| failure("address", &error, None))?;
    let mut address = PathAddress::from(&address);
    for pin in pins.iter() {
        let pin = Uint8Array::new(&pin).to_vec().try_into();
        address.pins.push(pin.map_err(|_| failure("address", &"a SHA-256 hash has 32 bytes", None))?);
    }
    Ok(address)
}

/// A panic ends the worker; this says why, where developers look.
#[wasm_bindgen(start)]
pub fn start_worker() {
    std::panic::set_hook(Box::new(|info| super::bindings::console_error(&info.to_string())));
}
