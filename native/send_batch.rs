//! Packets of several paths that go to the same address, in one send.
//!
//! A burst that the kernel cuts up (GSO) is of equal datagrams to one address; whose connections they are of is all the
//! same to it. Paths with little to send leave their packet here, and at the end of a round one system call takes what
//! would have been one for each. Where every path leads to an address of its own, nothing is won and a copy of a short
//! packet lost.

use std::net::{IpAddr, SocketAddr};

use quinn_proto::{EcnCodepoint, Transmit};

use super::socket::SendOutcome;

/// Bursts that are filled at the same time. With more addresses than this there is little to join.
const MAX_BURSTS: usize = 16;

/// What all datagrams of a burst have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    destination: SocketAddr,
    src_ip: Option<IpAddr>,
    ecn: Option<EcnCodepoint>,
    size: usize,
}

#[derive(Debug)]
struct Burst {
    kind: Kind,
    contents: Vec<u8>,
}

impl Burst {
    fn transmit(&self) -> Transmit {
        let Kind { destination, src_ip, ecn, size } = self.kind;
        let is_one = self.contents.len() == size;
        Transmit {
            destination,
            src_ip,
            ecn,
            size: self.contents.len(),
            segment_size: if is_one { None } else { Some(size) },
        }
    }
}

/// Bursts to be sent, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct SendBatch {
    bursts: Vec<Burst>,
    /// Empty buffers of earlier bursts.
    spare: Vec<Vec<u8>>,
    /// The kernel had no room.
    is_blocked: bool,
}

impl SendBatch {
    /// Adds one datagram. `max_segments` is how many of its size one send may carry. When there are too many bursts they are
    /// given to `send`. Returns false, and does nothing, while something waits for room in the kernel.
    pub(crate) fn push(
        &mut self,
        transmit: &Transmit,
        datagram: &[u8],
        max_segments: usize,
        send: impl FnMut(&Transmit, &[u8]) -> SendOutcome,
    ) -> bool {
        if self.bursts.len() >= MAX_BURSTS && !self.is_blocked {
            self.flush(send);
        }
        if self.is_blocked {
            return false;
        }
        let Transmit { destination, src_ip, ecn, size, .. } = *transmit;
        let kind = Kind { destination, src_ip, ecn, size };
        let datagram = datagram.get(..size).unwrap_or(datagram);
        let has_room =
            |burst: &&mut Burst| burst.kind == kind && burst.contents.len() + size <= max_segments * size;
        if let Some(burst) = self.bursts.iter_mut().find(has_room) {
            burst.contents.extend_from_slice(datagram);
            return true;
        }
        let mut contents = self.spare.pop().unwrap_or_default();
        contents.extend_from_slice(datagram);
        self.bursts.push(Burst { kind, contents });
        true
    }

    /// Gives everything to `send`, as far as the kernel has room.
    pub(crate) fn flush(&mut self, mut send: impl FnMut(&Transmit, &[u8]) -> SendOutcome) {
        let mut sent = 0;
        self.is_blocked = false;
        for burst in &self.bursts {
            if send(&burst.transmit(), &burst.contents) == SendOutcome::Blocked {
                self.is_blocked = true;
                break;
            }
            sent += 1;
        }
        for mut burst in self.bursts.drain(..sent) {
            burst.contents.clear();
            if self.spare.len() < MAX_BURSTS {
                self.spare.push(burst.contents);
            }
        }
    }

    /// Whether something waits for room in the kernel.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transmit(port: u16, size: usize) -> Transmit {
        let destination = SocketAddr::from(([127, 0, 0, 1], port));
        Transmit { destination, ecn: None, size, segment_size: None, src_ip: None }
    }

    /// What was sent: to which port, in segments of what size, and how many bytes.
    type Log = Vec<(u16, Option<usize>, Vec<u8>)>;

    fn push(batch: &mut SendBatch, log: &mut Log, port: u16, datagram: &[u8]) {
        assert!(batch.push(&transmit(port, datagram.len()), datagram, 3, into(log)));
    }

    fn into(log: &mut Log) -> impl FnMut(&Transmit, &[u8]) -> SendOutcome + '_ {
        |transmit, contents| {
            log.push((
                transmit.destination.port(),
                transmit.segment_size,
                contents[..transmit.size].to_vec(),
            ));
            SendOutcome::Sent
        }
    }

    #[test]
    fn datagrams_of_one_size_to_one_address_go_together_and_others_alone() {
        let (mut batch, mut log) = (SendBatch::default(), Log::new());
        for (port, datagram) in [(1, "ab"), (2, "cd"), (1, "ef"), (1, "ghi"), (1, "jk"), (1, "lm"), (2, "no")]
        {
            push(&mut batch, &mut log, port, datagram.as_bytes());
        }
        assert!(log.is_empty());
        batch.flush(into(&mut log));
        let expected = [
            (1, Some(2), b"abefjk".to_vec()),
            (2, Some(2), b"cdno".to_vec()),
            (1, None, b"ghi".to_vec()),
            (1, None, b"lm".to_vec()),
        ];
        assert_eq!(log, expected);
        batch.flush(into(&mut log));
        assert_eq!(log.len(), 4);
    }

    #[test]
    fn with_many_addresses_they_are_sent_early() {
        let (mut batch, mut log) = (SendBatch::default(), Log::new());
        for port in 0..100 {
            push(&mut batch, &mut log, port, b"x");
        }
        batch.flush(into(&mut log));
        let ports: Vec<_> = log.iter().map(|(port, ..)| *port).collect();
        assert_eq!(ports, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_kernel_has_no_room_for_stays_in_its_order() {
        let (mut batch, mut log) = (SendBatch::default(), Log::new());
        for (port, datagram) in [(1, b"a"), (2, b"b"), (3, b"c")] {
            push(&mut batch, &mut log, port, datagram);
        }
        let mut room = 1;
        batch.flush(|transmit, _| {
            room -= 1;
            if room < 0 {
                SendOutcome::Blocked
            } else {
                assert_eq!(transmit.destination.port(), 1);
                SendOutcome::Sent
            }
        });
        assert!(batch.is_blocked());
        assert!(!batch.push(&transmit(4, 1), b"d", 3, |_, _| SendOutcome::Sent));
        batch.flush(into(&mut log));
        assert!(!batch.is_blocked());
        assert_eq!(log, [(2, None, b"b".to_vec()), (3, None, b"c".to_vec())]);
    }
}
