//! What one look at a socket gives: a batch of datagrams, in pooled memory.
//!
//! A batch owns the slabs the kernel writes into and keeps them from one receive to the next. After a
//! receive, large messages (GRO gives up to 64 datagrams in one) are cut into datagrams without
//! copying and take their slab with them; small ones are copied onto a shared slab, so that a lone
//! acknowledgement that somebody keeps does not pin 64 KiB.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use quinn_proto::EcnCodepoint;
use quinn_udp::RecvMeta;

use super::buffer_pool::{BufferPool, RecvSlab};

/// Messages asked for at once. With GRO each is up to 64 datagrams, so asking for more gained
/// nothing when measured, and every one costs a slab per socket.
const MESSAGES: usize = 8;

/// Messages shorter than this are copied: whoever keeps one keeps at most eight times its length, and
/// long bursts, where copying would cost, are not copied.
const COPY_BELOW_BYTES: usize = 8 * 1024;

/// One UDP datagram, ready for `quinn_proto::Endpoint::handle`.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Who sent it. Never an IPv4-mapped IPv6 address.
    pub(crate) remote: SocketAddr,
    /// The local address it was sent to, where the platform tells.
    pub(crate) local_ip: Option<IpAddr>,
    /// Its congestion mark.
    pub(crate) ecn: Option<EcnCodepoint>,
    /// Its bytes, alone in no slab but owned by nobody else.
    pub(crate) payload: BytesMut,
}

/// Room for one receive, and the datagrams of the last one.
#[derive(Debug)]
pub(crate) struct RecvBatch {
    slabs: [RecvSlab; MESSAGES],
    small: RecvSlab,
    datagrams: Vec<Datagram>,
}

impl RecvBatch {
    /// An empty batch with memory from `pool`.
    pub(crate) fn new(pool: &BufferPool) -> Self {
        Self {
            slabs: std::array::from_fn(|_| pool.recv_slab()),
            small: pool.recv_slab(),
            datagrams: Vec::with_capacity(MESSAGES * 64),
        }
    }

    /// The datagrams received and not taken yet, in the order of their arrival.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Datagram> + '_ {
        self.datagrams.drain(..)
    }

    /// Runs `recv` on the batch's memory and adds what it received to the datagrams.
    /// Returns their number.
    pub(super) fn receive(
        &mut self,
        recv: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut meta = [RecvMeta::default(); MESSAGES];
        let messages = {
            let mut slices = self.slabs.each_mut().map(|slab| IoSliceMut::new(slab));
            recv(&mut slices, &mut meta)?
        };
        let before = self.datagrams.len();
        for (slab, meta) in self.slabs.iter_mut().zip(&meta).take(messages) {
            let len = meta.len.min(slab.len());
            let mut message = if len < COPY_BELOW_BYTES {
                self.small.append(&slab[..len])
            } else {
                let message = slab.split_to(len);
                slab.replace();
                message
            };
            // An empty datagram has no stride; it is dropped here, no QUIC packet is empty.
            while !message.is_empty() {
                let payload = message.split_to(meta.stride.clamp(1, message.len()));
                self.datagrams.push(Datagram {
                    remote: canonical(meta.addr),
                    local_ip: meta.dst_ip.map(|ip| ip.to_canonical()),
                    ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                    payload,
                });
            }
        }
        Ok(self.datagrams.len() - before)
    }
}

/// A dual-stack socket sees IPv4 peers as `::ffff:a.b.c.d`; nobody above the socket should have to.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize, stride: usize) -> RecvMeta {
        let mut meta = RecvMeta::default();
        meta.addr = "[::ffff:192.0.2.1]:4433".parse().unwrap();
        meta.dst_ip = Some("::ffff:192.0.2.2".parse().unwrap());
        (meta.len, meta.stride) = (len, stride);
        meta
    }

    fn receive(batch: &mut RecvBatch, messages: &[RecvMeta]) -> usize {
        let receive = |slices: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]| {
            for (i, message) in messages.iter().enumerate() {
                slices[i][..message.len].fill(i as u8 + 1);
                meta[i] = *message;
            }
            Ok(messages.len())
        };
        batch.receive(receive).unwrap()
    }

    #[test]
    fn a_gro_message_is_cut_by_its_stride_without_copying() {
        let pool = BufferPool::new(32);
        let mut batch = RecvBatch::new(&pool);
        let slab = batch.slabs[0].as_ptr();
        assert_eq!(receive(&mut batch, &[message(10_000, 1_200)]), 9);
        let datagrams: Vec<_> = batch.drain().collect();
        let lengths: Vec<_> = datagrams.iter().map(|d| d.payload.len()).collect();
        assert_eq!(lengths, [1_200, 1_200, 1_200, 1_200, 1_200, 1_200, 1_200, 1_200, 400]);
        assert_eq!(datagrams[0].payload.as_ptr(), slab);
        assert_ne!(batch.slabs[0].as_ptr(), slab, "the batch goes on with another slab");
        assert_eq!(datagrams[0].remote, "192.0.2.1:4433".parse().unwrap());
        assert_eq!(datagrams[0].local_ip, Some("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn a_small_message_does_not_take_a_slab_with_it() {
        let pool = BufferPool::new(32);
        let mut batch = RecvBatch::new(&pool);
        let before = pool.stats();
        let slabs = batch.slabs.each_ref().map(|slab| slab.as_ptr());
        let mut kept = Vec::new();
        for _ in 0..100 {
            receive(&mut batch, &[message(40, 40), message(90, 45)]);
            kept.extend(batch.drain());
        }
        assert_eq!(kept.len(), 300);
        assert_eq!(&kept[1].payload[..], &[2; 45]);
        assert_eq!(batch.slabs.each_ref().map(|slab| slab.as_ptr()), slabs);
        assert_eq!(pool.stats(), before);
    }

    #[test]
    fn an_empty_datagram_or_a_senseless_stride_does_no_harm() {
        let pool = BufferPool::new(32);
        let mut batch = RecvBatch::new(&pool);
        assert_eq!(receive(&mut batch, &[message(0, 0), message(3, 0), message(9_000, 60_000)]), 4);
    }
}
