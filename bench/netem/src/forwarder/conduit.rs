//! One direction of a forwarder: straight through, or by way of a [`Shaper`].

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
use crate::shaper::{LinkSpec, Shaper, Verdict};
use crate::valve::{Direction, Valve, Valves};

pub(super) struct Conduit {
    direction: Direction,
    valves: Arc<Valves>,
    /// `None`: datagrams go straight through, uncopied.
    shaped: Option<Shaped>,
}

struct Shaped {
    /// 1 if every datagram meets its own fate, otherwise a train stays together.
    packets_per_parcel: usize,
    shaper: RefCell<Shaper>,
    impairer: RefCell<Impairer>,
    line: RefCell<DelayLine<Parcel>>,
    /// Something was put into the line, perhaps due before all else.
    added: Notify,
}

/// A train under way, with where it goes.
#[derive(Clone)]
struct Parcel {
    through: Rc<Port>,
    to: SocketAddr,
    from: SocketAddr,
    ecn: Option<EcnCodepoint>,
    segment_bytes: usize,
    contents: Vec<u8>,
}

impl Conduit {
    /// Needs to be called inside a `LocalSet`: a shaped conduit has a task that delivers.
    pub(super) fn start(spec: LinkSpec, direction: Direction, valves: Arc<Valves>) -> Rc<Self> {
        let shaped = (!spec.is_transparent()).then(|| Shaped {
            packets_per_parcel: if spec.treats_packets_apart() { 1 } else { usize::MAX },
            shaper: RefCell::new(Shaper::new(spec)),
            impairer: RefCell::new(Impairer::new(spec.impairments, spec.seed)),
            line: RefCell::new(DelayLine::new()),
            added: Notify::new(),
        });
        let conduit = Rc::new(Self { direction, valves, shaped });
        if conduit.shaped.is_some() {
            tokio::task::spawn_local(Rc::clone(&conduit).deliver());
        }
        conduit
    }

    /// Takes a train that goes out `through` a port.
    pub(super) async fn carry(&self, through: &Rc<Port>, to: SocketAddr, train: Train<'_>) {
        let Some(shaped) = &self.shaped else {
            return through.send(self.valve(), to, train).await;
        };
        let now = Instant::now();
        for piece in train.split(shaped.packets_per_parcel) {
            match shaped.shaper.borrow_mut().enqueue(now, piece.contents.len()) {
                Verdict::DeliverAt(due) => {
                    let mut parcel = Parcel::new(through, to, piece);
                    let passage = shaped.impairer.borrow_mut().pass(now, due, &mut parcel.contents);
                    if passage.impaired {
                        self.valve().count_impaired(1);
                    }
                    let Some(due) = passage.due else {
                        self.valve().count_dropped(piece.packets());
                        continue;
                    };
                    if let Some(again) = passage.copy {
                        shaped.line.borrow_mut().push(again, parcel.clone());
                    }
                    shaped.line.borrow_mut().push(due, parcel);
                }
                Verdict::Drop(_) => self.valve().count_dropped(piece.packets()),
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
                parcel.through.send(self.valve(), parcel.to, parcel.train()).await;
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

    fn valve(&self) -> &Valve {
        self.valves.get(self.direction)
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
