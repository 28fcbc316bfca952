//! One direction of a forwarder: datagrams pass straight through, or by way of a [`Shaper`].

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use quinn_udp::EcnCodepoint;
use tokio::sync::Notify;

use super::port::{Port, Train};
use crate::delay_line::DelayLine;
use crate::impairment::Impairer;
use crate::link_switch::{Direction, LinkSwitch, LinkSwitches};
use crate::shaper::{LinkSpec, Shaper, Verdict};

/// Carries the datagrams of one direction to its [`LinkSwitch`], shaped and impaired as its [`LinkSpec`] says.
pub(super) struct DirectionPipe {
    direction: Direction,
    switches: Arc<LinkSwitches>,
    /// `None`: datagrams go straight through, uncopied.
    shaped: Option<Shaped>,
}

struct Shaped {
    /// 1 if each datagram is shaped and impaired by itself; otherwise a train stays together.
    packets_per_parcel: usize,
    shaper: RefCell<Shaper>,
    impairer: RefCell<Impairer>,
    line: RefCell<DelayLine<Parcel>>,
    /// Signals that a parcel was put into the line, which may be due before all others.
    added: Notify,
}

/// A train under way, and its destination.
#[derive(Clone)]
struct Parcel {
    through: Rc<Port>,
    to: SocketAddr,
    from: SocketAddr,
    ecn: Option<EcnCodepoint>,
    segment_bytes: usize,
    contents: Vec<u8>,
}

impl DirectionPipe {
    /// Needs to be called inside a `LocalSet`: a shaped pipe has a task that delivers.
    pub(super) fn start(spec: LinkSpec, direction: Direction, switches: Arc<LinkSwitches>) -> Rc<Self> {
        let shaped = (!spec.is_transparent()).then(|| Shaped {
            packets_per_parcel: if spec.treats_packets_apart() { 1 } else { usize::MAX },
            shaper: RefCell::new(Shaper::new(spec)),
            impairer: RefCell::new(Impairer::new(spec.impairments, spec.seed)),
            line: RefCell::new(DelayLine::new()),
            added: Notify::new(),
        });
        let pipe = Rc::new(Self { direction, switches, shaped });
        if pipe.shaped.is_some() {
            tokio::task::spawn_local(Rc::clone(&pipe).deliver());
        }
        pipe
    }

    /// Takes a train that goes out `through` a port.
    pub(super) async fn carry(&self, through: &Rc<Port>, to: SocketAddr, train: Train<'_>) {
        let Some(shaped) = &self.shaped else {
            return through.send(self.switch(), to, train).await;
        };
        let now = Instant::now();
        for piece in train.split(shaped.packets_per_parcel) {
            match shaped.shaper.borrow_mut().enqueue(now, piece.contents.len()) {
                Verdict::DeliverAt(due) => {
                    let mut parcel = Parcel::new(through, to, piece);
                    let passage = shaped.impairer.borrow_mut().pass(now, due, &mut parcel.contents);
                    if passage.impaired {
                        self.switch().count_impaired(1);
                    }
                    let Some(due) = passage.due else {
                        self.switch().count_dropped(piece.packets());
                        continue;
                    };
                    if let Some(again) = passage.copy {
                        shaped.line.borrow_mut().push(again, parcel.clone());
                    }
                    shaped.line.borrow_mut().push(due, parcel);
                }
                Verdict::Drop(_) => self.switch().count_dropped(piece.packets()),
            }
        }
        shaped.added.notify_one();
    }

    /// Sends every parcel when its time has come, for ever.
    async fn deliver(self: Rc<Self>) {
        let Some(shaped) = &self.shaped else { return };
        loop {
            let due = shaped.line.borrow_mut().pop_due(Instant::now());
            if let Some(parcel) = due {
                parcel.through.send(self.switch(), parcel.to, parcel.train()).await;
                continue;
            }
            let next_due = shaped.line.borrow().next_due();
            match next_due {
                Some(at) => {
                    // Elapsed or notified: either way the line is looked at again.
                    let _ = tokio::time::timeout_at(at.into(), shaped.added.notified()).await;
                }
                None => shaped.added.notified().await,
            }
        }
    }

    fn switch(&self) -> &LinkSwitch {
        self.switches.get(self.direction)
    }
}

impl Parcel {
    fn new(through: &Rc<Port>, to: SocketAddr, train: Train<'_>) -> Self {
        Self {
            through: Rc::clone(through),
            to,
            from: train.from,
            ecn: train.ecn,
            segment_bytes: train.segment_bytes,
            contents: train.contents.to_vec(),
        }
    }

    fn train(&self) -> Train<'_> {
        Train { from: self.from, ecn: self.ecn, segment_bytes: self.segment_bytes, contents: &self.contents }
    }
}
