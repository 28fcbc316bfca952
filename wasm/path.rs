//! One path: a WebTransport session and the tasks that serve it. They all end with it, since then its promises fail.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::address;
use super::bindings::{
    BidirectionalStream, Datagrams, ReadResult, ReadableStream, WebTransport, WritableStream, Writer, ignore,
    message, object,
};
use super::carrier::{MAX_HELD_BYTES, MAX_WAITING_DATAGRAMS};
use super::environment;
use super::gather::Gather;
use super::lane::SendLane;
use super::read_lane::{LaneEnd, ReadLane};
use super::signal::Signal;
use crate::api::shared::Shared;
use crate::proto::carrier::Carrier;
use crate::proto::event::{PathAddress, PathLoss};
use crate::proto::session::Session;
use crate::proto::time::Time;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::id::{Dir, LaneId, PathId};

/// How often a path is filled before the event loop has its turn.
const ROUNDS_PER_TURN: usize = 8;

/// The two ends of a path's datagrams.
pub(super) struct DatagramEnds {
    pub(super) object: Datagrams,
    pub(super) writer: Writer,
}

pub(super) struct Path {
    id: PathId,
    shared: Arc<Shared>,
    /// There once it is being dialled; gone once it is closed.
    transport: RefCell<Option<WebTransport>>,
    pub(super) senders: RefCell<BTreeMap<LaneId, Rc<SendLane>>>,
    /// They end with the connection, since then their reads fail.
    pub(super) readers: RefCell<BTreeMap<LaneId, Rc<ReadLane>>>,
    pub(super) datagrams: RefCell<Option<DatagramEnds>>,
    waiting_datagrams: Cell<usize>,
    /// Tells the backend each time that one of them has left.
    datagram_left: Rc<Signal>,
    /// Says when lanes that are held deliver.
    gather: Rc<Gather>,
    /// Lanes that the browser has not opened yet.
    pub(super) opening: Cell<usize>,
    next_lane: Cell<u64>,
    work: Signal,
    is_closed: Cell<bool>,
}

impl Path {
    /// Dials `address`, and tells the session what becomes of it.
    pub(super) fn open(
        shared: Arc<Shared>,
        datagram_left: Rc<Signal>,
        gather: Rc<Gather>,
        id: PathId,
        address: PathAddress,
    ) -> Rc<Self> {
        let path = Rc::new(Self {
            id,
            shared,
            transport: RefCell::default(),
            senders: RefCell::default(),
            readers: RefCell::default(),
            datagrams: RefCell::default(),
            waiting_datagrams: Cell::default(),
            datagram_left,
            gather,
            opening: Cell::default(),
            next_lane: Cell::default(),
            work: Signal::default(),
            is_closed: Cell::default(),
        });
        spawn_local(path.clone().run(address));
        path
    }

    /// It may have something to transmit.
    pub(super) fn wake(&self) {
        self.work.notify();
    }

    /// Closes it, whatever it is doing.
    pub(super) fn close(&self, code: u64, reason: &[u8]) {
        self.is_closed.set(true);
        if let Some(transport) = self.transport.take() {
            let reason = String::from_utf8_lossy(reason);
            let info = [("closeCode", (code as u32).into()), ("reason", JsValue::from_str(&reason))];
            // Fails only when it is closed already.
            let _ = transport.close(&object(&info));
        }
        self.senders.take().into_values().for_each(|lane| lane.lose());
        self.datagrams.take();
        self.work.notify();
    }

    async fn run(self: Rc<Self>, address: PathAddress) {
        if self.is_closed.get() {
            return;
        }
        let url = address::url(&address);
        if let Err(exception) = self.connect(&url, &address).await {
            let what = format!("no WebTransport connection to {url}: {}", message(&exception));
            self.shared.with(|session, now| session.path_failed(now, self.id, what));
            return;
        }
        self.shared.with(|session, now| session.path_connected(now, self.id));
        while !self.is_closed.get() {
            self.fill().await;
            self.work.wait().await;
        }
    }

    /// Lets the session write, as long as it has something more for a path with room. When the room comes back, the
    /// lanes say so. After some rounds the thread's other work has its turn: what arrives is part of it.
    async fn fill(self: &Rc<Self>) {
        let mut carrier = self.clone();
        for _ in 0..ROUNDS_PER_TURN {
            let transmit = |session: &mut Session, now| session.transmit(now, self.id, &mut carrier);
            let ((), is_named) = self.shared.with_on_path(self.id, transmit);
            if !is_named || carrier.capacity() == 0 {
                return;
            }
        }
        environment::next_turn().await;
        self.work.notify();
    }

    async fn connect(self: &Rc<Self>, url: &str, address: &PathAddress) -> Result<(), JsValue> {
        let transport = WebTransport::new(url, &options(address))?;
        let (ready, closed) = (transport.ready(), transport.closed());
        let datagrams = transport.datagrams();
        let incoming =
            [transport.incoming_bidirectional_streams(), transport.incoming_unidirectional_streams()];
        self.transport.replace(Some(transport));
        spawn_local(self.clone().watch(JsFuture::from(closed)));
        JsFuture::from(ready).await?;
        for (streams, dir) in incoming.into_iter().zip([Dir::Bi, Dir::Uni]) {
            spawn_local(self.clone().accept(streams, dir));
        }
        self.use_datagrams(datagrams)
    }

    /// Tells the session when the connection is gone.
    async fn watch(self: Rc<Self>, closed: JsFuture) {
        let loss = match closed.await {
            Ok(info) => PathLoss::ClosedByPeer(AppCode::new(number(&info, "closeCode") as u32)),
            Err(exception) => PathLoss::Failed(message(&exception)),
        };
        // One that never was there is `connect`'s to report; a session does not mind being told twice.
        if self.datagrams.borrow().is_some() && !self.is_closed.get() {
            self.deliver_held();
            self.shared.with(|session, now| session.path_closed(now, self.id, loss));
        }
    }

    /// Applies an input, and lets the session answer at once: to come back for that would cost another turn, and a
    /// timer for what is due now.
    fn input(self: &Rc<Self>, input: impl FnOnce(&mut Session, Time)) {
        let mut carrier = self.clone();
        let ((), is_named) = self.shared.with_on_path(self.id, |session, now| {
            input(session, now);
            session.transmit(now, self.id, &mut carrier);
        });
        if is_named {
            self.work.notify();
        }
    }

    // ---- lanes ----

    fn new_lane(&self) -> LaneId {
        let id = self.next_lane.get();
        self.next_lane.set(id + 1);
        LaneId(id)
    }

    /// A lane of this end's. What is written to it waits until the browser has its stream.
    pub(super) fn open_stream(self: &Rc<Self>, dir: Dir) -> LaneId {
        let (id, lane) = (self.new_lane(), Rc::new(SendLane::default()));
        self.senders.borrow_mut().insert(id, lane.clone());
        self.opening.set(self.opening.get() + 1);
        let path = self.clone();
        spawn_local(async move {
            let stream = path.create_stream(dir).await;
            path.opening.set(path.opening.get() - 1);
            path.work.notify();
            match stream {
                Ok(stream) => path.serve_lane(id, dir, lane, stream).await,
                Err(_) => path.lane_lost(id, &lane),
            }
        });
        id
    }

    async fn create_stream(&self, dir: Dir) -> Result<JsValue, JsValue> {
        let promise = {
            let transport = self.transport.borrow();
            let transport = transport.as_ref().ok_or(JsValue::UNDEFINED)?;
            match dir {
                Dir::Bi => transport.create_bidirectional_stream()?,
                Dir::Uni => transport.create_unidirectional_stream()?,
            }
        };
        JsFuture::from(promise).await
    }

    /// Serves a lane of this end's from the time that there is a stream for it.
    async fn serve_lane(self: &Rc<Self>, id: LaneId, dir: Dir, lane: Rc<SendLane>, stream: JsValue) {
        let writable: WritableStream = match dir {
            Dir::Bi => {
                let stream: BidirectionalStream = stream.unchecked_into();
                ReadLane::serve(self, id, dir, &stream.readable());
                stream.writable()
            }
            Dir::Uni => stream.unchecked_into(),
        };
        self.write_lane(id, lane, &writable).await;
    }

    async fn write_lane(self: &Rc<Self>, id: LaneId, lane: Rc<SendLane>, writable: &WritableStream) {
        let Ok(writer) = writable.get_writer() else { return self.lane_lost(id, &lane) };
        spawn_local(self.clone().watch_lane(id, lane.clone(), JsFuture::from(writer.closed())));
        let relieved = || {
            // Small steps would cost a call of the core each.
            if lane.held_bytes() < MAX_HELD_BYTES / 2 {
                self.work.notify();
            }
        };
        match lane.run(writer, relieved).await {
            Ok(()) => drop(self.senders.borrow_mut().remove(&id)),
            Err(_) => self.lane_lost(id, &lane),
        }
    }

    /// The peer may stop a lane that has nothing to write.
    async fn watch_lane(self: Rc<Self>, id: LaneId, lane: Rc<SendLane>, closed: JsFuture) {
        if closed.await.is_err() {
            self.lane_lost(id, &lane);
        }
    }

    fn lane_lost(self: &Rc<Self>, id: LaneId, lane: &SendLane) {
        lane.lose();
        if self.senders.borrow_mut().remove(&id).is_some() && !self.is_closed.get() {
            self.input(|session, now| session.on_lane_stopped(now, self.id, id));
        }
    }

    async fn accept(self: Rc<Self>, streams: ReadableStream, dir: Dir) {
        let Ok(reader) = streams.get_reader() else { return };
        while let Ok(result) = JsFuture::from(reader.read()).await {
            let result: ReadResult = result.unchecked_into();
            if result.done() || self.is_closed.get() {
                return;
            }
            let id = self.new_lane();
            match dir {
                Dir::Uni => ReadLane::serve(&self, id, dir, &result.value().unchecked_into()),
                Dir::Bi => {
                    let stream: BidirectionalStream = result.value().unchecked_into();
                    let lane = Rc::new(SendLane::default());
                    self.senders.borrow_mut().insert(id, lane.clone());
                    ReadLane::serve(&self, id, dir, &stream.readable());
                    let path = self.clone();
                    spawn_local(async move { path.write_lane(id, lane, &stream.writable()).await });
                }
            }
        }
    }

    /// Hands on what these lanes have read.
    pub(super) fn deliver(self: &Rc<Self>, lanes: &[Rc<ReadLane>]) {
        self.input(|session, now| {
            lanes.iter().for_each(|lane| lane.hand_on(session, now, self.id));
        });
        if lanes.iter().any(|lane| lane.is_held()) {
            self.gather.hold(self);
        }
    }

    /// Hands on what all lanes that are held have read.
    pub(super) fn deliver_held(self: &Rc<Self>) {
        let held = |lane: &&Rc<ReadLane>| lane.is_held();
        let lanes: Vec<_> = self.readers.borrow().values().filter(held).cloned().collect();
        self.deliver(&lanes);
    }

    /// The peer has ended a lane, or given it up.
    pub(super) fn on_lane_end(self: &Rc<Self>, id: LaneId, end: LaneEnd) {
        let lane = self.readers.borrow_mut().remove(&id);
        if self.is_closed.get() {
            return;
        }
        self.input(|session, now| {
            if let Some(lane) = lane {
                lane.hand_on(session, now, self.id);
            }
            match end {
                LaneEnd::Finished => session.on_lane_finished(now, self.id, id),
                LaneEnd::Reset => session.on_lane_reset(now, self.id, id),
            }
        });
    }

    // ---- datagrams ----

    fn use_datagrams(self: &Rc<Self>, datagrams: Datagrams) -> Result<(), JsValue> {
        let most = JsValue::from(MAX_WAITING_DATAGRAMS as u32);
        for direction in ["incoming", "outgoing"] {
            // The older name and the newer one. The default of one costs two thirds of the rate.
            for name in ["HighWaterMark", "MaxBufferedDatagrams"] {
                let member = JsValue::from_str(&format!("{direction}{name}"));
                if Reflect::has(&datagrams, &member)? {
                    Reflect::set(&datagrams, &member, &most)?;
                }
            }
        }
        let writable = datagrams.writable().map_or_else(|| datagrams.create_writable(), Ok)?;
        let writer = writable.get_writer()?;
        ignore(writer.closed());
        spawn_local(self.clone().read_datagrams(datagrams.readable()));
        self.datagrams.replace(Some(DatagramEnds { object: datagrams, writer }));
        Ok(())
    }

    /// Hands a datagram to the browser. Whether it leaves is known to nobody; when it has, there is room again.
    pub(super) fn write_datagram(self: &Rc<Self>, writer: &Writer, data: &[u8]) {
        let written = JsFuture::from(writer.write(&Uint8Array::from(data)));
        self.waiting_datagrams.set(self.waiting_datagrams.get() + 1);
        let path = self.clone();
        spawn_local(async move {
            // A path that is lost says so itself.
            let _ = written.await;
            path.waiting_datagrams.set(path.waiting_datagrams.get() - 1);
            path.datagram_left.notify();
        });
    }

    /// Whether another datagram would not make the browser's queue too long.
    pub(super) fn has_datagram_room(&self) -> bool {
        self.waiting_datagrams.get() < MAX_WAITING_DATAGRAMS
    }

    async fn read_datagrams(self: Rc<Self>, stream: ReadableStream) {
        let Ok(reader) = stream.get_reader() else { return };
        while let Ok(result) = JsFuture::from(reader.read()).await {
            let result: ReadResult = result.unchecked_into();
            if result.done() || self.is_closed.get() {
                return;
            }
            let data = Bytes::from(result.value().unchecked_into::<Uint8Array>().to_vec());
            self.input(|session, now| session.on_datagram(now, self.id, data));
        }
    }
}

fn options(address: &PathAddress) -> Object {
    let hashes = address.pins.iter().map(|pin| {
        let value = Uint8Array::from(pin.as_slice()).into();
        JsValue::from(object(&[("algorithm", "sha-256".into()), ("value", value)]))
    });
    let hashes: Array = hashes.collect();
    match hashes.length() {
        0 => Object::new(),
        _ => object(&[("serverCertificateHashes", hashes.into())]),
    }
}

fn number(of: &JsValue, member: &str) -> f64 {
    let no_error = TransportCode::NoError.as_u64() as f64;
    Reflect::get(of, &member.into()).ok().and_then(|value| value.as_f64()).unwrap_or(no_error)
}
