//! A UDP socket that takes and gives datagrams in trains (GRO and GSO where the kernel has them).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::link_switch::LinkSwitch;

/// The most that one train can hold.
const TRAIN_BYTES: usize = 64 * 1024;
/// Asked of the kernel for both socket buffers; it gives what it allows.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Datagrams of one sender that arrived together: all of `segment_bytes`, the last perhaps shorter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Train<'a> {
    pub(super) from: SocketAddr,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) segment_bytes: usize,
    pub(super) contents: &'a [u8],
}

impl<'a> Train<'a> {
    pub(super) fn packets(&self) -> usize {
        self.contents.len().div_ceil(self.segment_bytes).max(1)
    }

    /// The same datagrams in trains of at most `packets`.
    pub(super) fn split(self, packets: usize) -> impl Iterator<Item = Self> {
        let piece_bytes = self.segment_bytes.saturating_mul(packets.max(1));
        let pieces = self.contents.len().div_ceil(piece_bytes).max(1);
        (0..pieces).map(move |n| {
            let start = n * piece_bytes;
            let end = (start + piece_bytes).min(self.contents.len());
            Self { contents: &self.contents[start..end], ..self }
        })
    }
}

/// Room for what one system call can receive.
pub(super) struct Batch {
    buffer: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    received: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BATCH_SIZE * TRAIN_BYTES],
            metas: [RecvMeta::default(); BATCH_SIZE],
            received: 0,
        }
    }

    pub(super) fn trains(&self) -> impl Iterator<Item = Train<'_>> {
        let slots = self.buffer.chunks(TRAIN_BYTES);
        self.metas.iter().zip(slots).take(self.received).map(|(meta, slot)| Train {
            from: meta.addr,
            ecn: meta.ecn,
            segment_bytes: meta.stride.max(1),
            contents: &slot[..meta.len],
        })
    }
}

pub(super) struct Port {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Port {
    /// Needs to be called inside the runtime.
    pub(super) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(addr)?;
        // Also makes it non-blocking.
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let socket = UdpSocket::from_std(socket)?;
        state.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES)?;
        state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES)?;
        Ok(Self { socket, state })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for datagrams and fills `batch` with all that one call gives.
    pub(super) async fn recv(&self, batch: &mut Batch) -> io::Result<()> {
        let Batch { buffer, metas, received } = batch;
        *received = 0;
        *received = self
            .socket
            .async_io(Interest::READABLE, || {
                let mut slots = buffer.chunks_mut(TRAIN_BYTES);
                let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                    std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
                self.state.recv(UdpSockRef::from(&self.socket), &mut slices, metas)
            })
            .await?;
        Ok(())
    }

    /// Sends a train through `switch`. Waits while the kernel's buffer is full, so that a fast sender is
    /// held up and not cut; what the kernel refuses for any other reason is gone, as on any network.
    pub(super) async fn send(&self, switch: &LinkSwitch, to: SocketAddr, train: Train<'_>) {
        for piece in train.split(self.state.max_gso_segments()) {
            let transmit = Transmit {
                destination: to,
                ecn: piece.ecn,
                contents: piece.contents,
                segment_size: Some(piece.segment_bytes),
                src_ip: None,
            };
            let send = || {
                switch.pass(piece.packets(), piece.contents.len(), || {
                    self.state.try_send(UdpSockRef::from(&self.socket), &transmit)
                })
            };
            if self.socket.async_io(Interest::WRITABLE, send).await.is_err() {
                switch.count_dropped(piece.packets());
            }
        }
    }
}
