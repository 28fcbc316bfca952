//! One shaped link: two TUN devices and the thread that carries packets from each to the other.

use std::cell::RefCell;
use std::io::{self, PipeReader, PipeWriter};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, SyncDevice};

use super::nat::Nat;
use super::packet::UdpPacket;
use super::{LinkError, Namespace, PathSpec};
use crate::delay_line::DelayLine;
use crate::impairment::{Impairer, Passage};
use crate::link_switch::{Counters, Direction, LinkSwitch, LinkSwitches};
use crate::shaper::{LinkSpec, Shaper, Verdict};

/// The MTU of every link: that of Ethernet.
const MTU: u16 = 1500;
/// Packets taken from one device before the other has its turn.
const PACKETS_PER_TURN: usize = 64;

/// A link between two namespaces; up is from the first to the second. It is gone when dropped.
#[derive(Debug)]
pub struct Link {
    switches: Arc<LinkSwitches>,
    /// Dropped to stop the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// Where one end of a link comes out.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) device: String,
    /// With a 24 bit prefix.
    pub(super) addr: Ipv4Addr,
}

impl Link {
    pub(super) fn start(client: End<'_>, server: End<'_>, path: &PathSpec) -> Result<Self, LinkError> {
        let (client, server) = (client.open()?, server.open()?);
        let (stopped, stop) = io::pipe().map_err(LinkError::Thread)?;
        let switches = Arc::new(LinkSwitches::default());
        let (in_thread, path) = (Arc::clone(&switches), *path);
        let thread = std::thread::Builder::new()
            .name("kwik-netem-link".into())
            .spawn(move || {
                let nat = path.nat_forgets_every.map(|every| RefCell::new(Nat::new(every)));
                let [up, down] = [(Direction::Up, &in_thread.up), (Direction::Down, &in_thread.down)];
                let up = Lane::new([&client, &server], path.up, nat.as_ref(), up);
                let down = Lane::new([&server, &client], path.down, nat.as_ref(), down);
                if let Err(error) = carry(up, down, &stopped) {
                    eprintln!("a shaped link broke down: {error}");
                }
            })
            .map_err(LinkError::Thread)?;
        Ok(Self { switches, stop: Some(stop), thread: Some(thread) })
    }

    /// From now on drops everything both ways, also what is under way.
    pub fn silence(&self) {
        self.silence_direction(Direction::Up);
        self.silence_direction(Direction::Down);
    }

    /// Silences one direction only.
    pub fn silence_direction(&self, direction: Direction) {
        self.switches.get(direction).turn_off();
    }

    /// Ends every silence.
    pub fn restore(&self) {
        self.switches.up.turn_on();
        self.switches.down.turn_on();
    }

    /// What has come out so far, in IP packets.
    pub fn counters(&self, direction: Direction) -> Counters {
        self.switches.get(direction).counters()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has already been printed; there is nothing to save here.
            let _ = thread.join();
        }
    }
}

impl End<'_> {
    /// Makes the TUN device; it is gone when the handle is.
    fn open(&self) -> Result<SyncDevice, LinkError> {
        let make = || {
            let device =
                DeviceBuilder::new().name(&self.device).mtu(MTU).ipv4(self.addr, 24, None).build_sync()?;
            device.set_nonblocking(true)?;
            Ok(device)
        };
        self.namespace.enter(make)?.map_err(|source| LinkError::Tun {
            device: self.device.clone(),
            namespace: self.namespace.name().to_owned(),
            source,
        })
    }
}

/// One direction.
struct Lane<'a> {
    from: &'a SyncDevice,
    to: &'a SyncDevice,
    direction: Direction,
    nat: Option<&'a RefCell<Nat>>,
    shaper: Shaper,
    impairer: Impairer,
    line: DelayLine<Vec<u8>>,
    switch: &'a LinkSwitch,
}

impl<'a> Lane<'a> {
    fn new(
        ends: [&'a SyncDevice; 2],
        spec: LinkSpec,
        nat: Option<&'a RefCell<Nat>>,
        (direction, switch): (Direction, &'a LinkSwitch),
    ) -> Self {
        let [from, to] = ends;
        let impairer = Impairer::new(spec.impairments, spec.seed);
        Self { from, to, direction, nat, shaper: Shaper::new(spec), impairer, line: DelayLine::new(), switch }
    }

    /// Puts what has arrived into the line.
    fn take_in(&mut self) -> io::Result<()> {
        let mut buffer = [0; MTU as usize];
        for _ in 0..PACKETS_PER_TURN {
            let len = match self.from.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            self.put(Instant::now(), &mut buffer[..len]);
        }
        Ok(())
    }

    fn put(&mut self, now: Instant, packet: &mut [u8]) {
        match self.shaper.enqueue(now, packet.len()) {
            Verdict::DeliverAt(due) => match self.impair(now, due, packet) {
                Passage { due: None, .. } => self.switch.count_dropped(1),
                passage => {
                    for due in [passage.due, passage.copy].into_iter().flatten() {
                        self.line.push(due, packet.to_vec());
                    }
                }
            },
            Verdict::Drop(_) => self.switch.count_dropped(1),
        }
    }

    /// What NAT and impairments make of a packet. What is no UDP (ICMP, say) passes untouched.
    fn impair(&mut self, now: Instant, due: Instant, packet: &mut [u8]) -> Passage {
        let untouched = Passage { due: Some(due), copy: None, corrupted: false, impaired: false };
        let Some(mut udp) = UdpPacket::parse(packet) else { return untouched };
        let mut passage = self.impairer.pass(now, due, udp.payload());
        if passage.corrupted {
            udp.drop_checksum();
        }
        let (mapped, rebound) = match (self.nat, self.direction) {
            (None, _) => (true, false),
            (Some(nat), Direction::Up) => (true, nat.borrow_mut().outwards(now, &mut udp)),
            (Some(nat), Direction::Down) => (nat.borrow_mut().inwards(&mut udp), false),
        };
        if !mapped {
            passage = Passage { due: None, copy: None, ..passage };
        }
        if passage.impaired || rebound {
            self.switch.count_impaired(1);
        }
        passage
    }

    /// Delivers what is due.
    fn give_out(&mut self) {
        while let Some(packet) = self.line.pop_due(Instant::now()) {
            let sent = self.switch.pass(1, packet.len(), || self.to.send(&packet).map(drop));
            if sent.is_err() {
                // The other end cannot take it: lost, as on any network.
                self.switch.count_dropped(1);
            }
        }
    }
}

/// Carries packets both ways until `stopped` hangs up.
fn carry(mut up: Lane<'_>, mut down: Lane<'_>, stopped: &PipeReader) -> io::Result<()> {
    // The kernel may fire a thread's timers 50 us late to save energy: as much as a whole packet's time at
    // 240 Mbit/s.
    prctl::set_timerslack(1)?;
    loop {
        up.give_out();
        down.give_out();
        let next_due = [up.line.next_due(), down.line.next_due()].into_iter().flatten().min();
        let timeout = next_due.map(|at| at.saturating_duration_since(Instant::now()));
        let mut waits = [
            PollFd::new(up.from.as_fd(), PollFlags::POLLIN),
            PollFd::new(down.from.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut waits, timeout.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [up_ready, down_ready, is_stopped] = waits.map(|wait| wait.any().unwrap_or_default());
        if is_stopped {
            return Ok(());
        }
        if up_ready {
            up.take_in()?;
        }
        if down_ready {
            down.take_in()?;
        }
    }
}
