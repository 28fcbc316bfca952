//! The UDP socket: batches in (recvmmsg, GRO), bursts out (GSO), congestion marks both ways.
//!
//! A thin layer over tokio's socket and quinn-udp. It decides three things: which socket options a QUIC
//! endpoint needs, what a failed send means (never the end of the endpoint: QUIC repeats what is lost),
//! and how much one send may carry.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;

use super::recv_batch::RecvBatch;

/// Asked of the kernel for each direction: 20 ms at 1.6 Gbit/s. It may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Segments the kernel accepts in one GSO send (`UDP_MAX_SEGMENTS`).
const MAX_GSO_SEGMENTS: usize = 64;

/// Bytes one GSO send may carry. The kernel builds one IP packet of it first, so 65,535 less headers;
/// more is refused with EMSGSIZE as a whole.
const MAX_GSO_BYTES: usize = 65_000;

/// A UDP socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open a UDP socket on {address} ({step}): {source}")]
#[non_exhaustive]
pub struct BindError {
    /// The local address that was asked for.
    pub address: SocketAddr,
    /// What was being done.
    pub step: &'static str,
    /// The system's answer.
    pub source: io::Error,
}

/// Whether other sockets may be bound to the same address, for the kernel to spread clients over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortSharing {
    /// This socket alone.
    Exclusive,
    /// `SO_REUSEPORT`, where the platform has it.
    Shared,
}

/// What became of a datagram (or of a burst of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    /// The kernel has it.
    Sent,
    /// The kernel's buffer is full: wait with [`UdpSocket::poll_writable`], then send it again.
    Blocked,
    /// The kernel refused it. To QUIC it is a lost packet, to be found missing and repeated.
    Lost,
}

/// Datagrams and bursts that the kernel refused, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SendLosses {
    /// Longer than the interface's MTU: an MTU probe, or the MTU has shrunk.
    pub(crate) too_large: u64,
    /// No way to the address, or nobody there.
    pub(crate) unreachable: u64,
    /// Any other reason.
    pub(crate) other: u64,
}

/// A UDP socket bound to one local address.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    family: Family,
    too_large: AtomicU64,
    unreachable: AtomicU64,
    other: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl UdpSocket {
    /// Opens a socket on `address`; port 0 lets the kernel choose. `[::]` takes IPv4 too.
    ///
    /// Must be called inside a tokio runtime.
    pub(crate) fn bind(address: SocketAddr, sharing: PortSharing) -> Result<Self, BindError> {
        let failed = |step| move |source| BindError { address, step, source };
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
            .map_err(failed("create"))?;
        if let SocketAddr::V6(v6) = address {
            socket.set_only_v6(!v6.ip().is_unspecified()).map_err(failed("choose address families"))?;
        }
        #[cfg(unix)]
        if sharing == PortSharing::Shared {
            socket.set_reuse_port(true).map_err(failed("share the port"))?;
        }
        socket.bind(&address.into()).map_err(failed("bind"))?;
        enlarge_buffers(&socket, address);
        socket.set_nonblocking(true).map_err(failed("make non-blocking"))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).map_err(failed("configure"))?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        decline_timestamps(&socket).map_err(failed("decline timestamps"))?;
        let io = tokio::net::UdpSocket::from_std(socket.into()).map_err(failed("register"))?;
        Ok(Self {
            io,
            state,
            family: if address.is_ipv4() { Family::V4 } else { Family::V6 },
            too_large: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            other: AtomicU64::new(0),
        })
    }

    /// Opens a socket for dialling, on a port of the kernel's choice: `[::]`, which reaches IPv4 and
    /// IPv6, or `0.0.0.0` on hosts without IPv6.
    pub(crate) fn bind_any() -> Result<Self, BindError> {
        Self::bind((Ipv6Addr::UNSPECIFIED, 0).into(), PortSharing::Exclusive)
            .or_else(|_| Self::bind((Ipv4Addr::UNSPECIFIED, 0).into(), PortSharing::Exclusive))
    }

    /// The address this socket is bound to, with the port the kernel chose.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Whether packets may be cut up on their way; MTU discovery means nothing then.
    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// How many packets of `mtu` bytes one send may carry.
    pub(crate) fn max_gso_segments(&self, mtu: u16) -> usize {
        gso_segments(self.state.max_gso_segments(), mtu)
    }

    /// Receives what is there into `batch` and returns the number of datagrams; waits when there is
    /// nothing. Only the task that polled last is woken.
    pub(crate) fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            match self.try_recv(batch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Receives what is known to be there; `WouldBlock` when nothing is.
    pub(crate) fn try_recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.io.try_io(Interest::READABLE, || {
            loop {
                match batch.receive(|slices, meta| self.state.recv((&self.io).into(), slices, meta)) {
                    // An ICMP answer to something sent before (Windows, and sockets with error queues).
                    // It says nothing about this socket; reading on is how it is cleared.
                    Err(error) if is_unreachable(&error) => {
                        tracing::trace!(%error, "a peer was unreachable");
                    }
                    result => return result,
                }
            }
        })
    }

    /// Sends a datagram, or a burst of equal ones, now or not at all.
    pub(crate) fn try_send(&self, transmit: &Transmit<'_>) -> SendOutcome {
        let transmit = self.for_this_family(transmit);
        let send = || self.state.try_send((&self.io).into(), &transmit);
        // Sent at once, without asking tokio whether the socket is writable: it does not know before
        // the first event. Only when the kernel is full the second attempt, through tokio, makes sure
        // that `poll_writable` waits for it (an event between the two is seen by the second).
        let result = match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.io.try_io(Interest::WRITABLE, send)
            }
            result => result,
        };
        match result {
            Ok(()) => SendOutcome::Sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => SendOutcome::Blocked,
            Err(error) => {
                self.count_loss(&error, &transmit);
                SendOutcome::Lost
            }
        }
    }

    /// Waits until the kernel can take more. Only the task that polled last is woken.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_send_ready(cx)
    }

    /// What the kernel refused so far.
    pub(crate) fn send_losses(&self) -> SendLosses {
        SendLosses {
            too_large: self.too_large.load(Ordering::Relaxed),
            unreachable: self.unreachable.load(Ordering::Relaxed),
            other: self.other.load(Ordering::Relaxed),
        }
    }

    fn count_loss(&self, error: &io::Error, transmit: &Transmit<'_>) {
        let (counter, reason) = if quinn_udp::is_msg_size_err(error) {
            (&self.too_large, "too_large")
        } else if is_unreachable(error) {
            (&self.unreachable, "unreachable")
        } else {
            (&self.other, "other")
        };
        counter.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("kwik_udp_send_lost_total", "reason" => reason).increment(1);
        tracing::debug!(
            %error, reason, destination = %transmit.destination, bytes = transmit.contents.len(),
            segment_bytes = transmit.segment_size, "the kernel refused a packet"
        );
    }

    /// An IPv6 socket knows IPv4 addresses by their mapped form only.
    fn for_this_family<'a>(&self, transmit: &Transmit<'a>) -> Transmit<'a> {
        let mut transmit = transmit.clone();
        if self.family == Family::V6 {
            if let SocketAddr::V4(v4) = transmit.destination {
                transmit.destination = SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into();
            }
            if let Some(IpAddr::V4(v4)) = transmit.src_ip {
                transmit.src_ip = Some(v4.to_ipv6_mapped().into());
            }
        }
        transmit
    }
}

fn gso_segments(kernel: usize, mtu: u16) -> usize {
    kernel.min(MAX_GSO_SEGMENTS).min(MAX_GSO_BYTES / usize::from(mtu.max(1))).max(1)
}

/// Best effort: a kernel that grants less (`net.core.rmem_max`) costs speed, nothing else.
fn enlarge_buffers(socket: &Socket, address: SocketAddr) {
    let receive = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES).and_then(|()| socket.recv_buffer_size());
    let send = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES).and_then(|()| socket.send_buffer_size());
    tracing::debug!(%address, ?receive, ?send, asked = SOCKET_BUFFER_BYTES, "socket buffers");
}

/// Turns off the receive timestamps that quinn-udp turns on (seen in 0.6.3). Nobody here reads them, and
/// its buffer for control messages (96 bytes) is too short for timestamp, segment size, local address
/// *and* congestion mark: the last, which comes last, is lost from every message that GRO joined.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn decline_timestamps(socket: &Socket) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let off: libc::c_int = 0;
    let option_len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads `option_len` bytes,
    // which is the size of `off`, and keeps no pointer to it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            std::ptr::from_ref(&off).cast(),
            option_len,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown,
        NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | NetworkDown
            | AddrNotAvailable
    )
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::buffer_pool::BufferPool;
    use super::super::recv_batch::Datagram;
    use super::*;

    fn localhost_v4() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    fn transmit(destination: SocketAddr, contents: &[u8]) -> Transmit<'_> {
        Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None }
    }

    async fn receive(socket: &UdpSocket, count: usize) -> Vec<Datagram> {
        let mut batch = RecvBatch::new(&BufferPool::default());
        let mut received = Vec::new();
        while received.len() < count {
            poll_fn(|cx| socket.poll_recv(cx, &mut batch)).await.unwrap();
            received.extend(batch.drain());
        }
        received
    }

    /// Also the test of `decline_timestamps`: with them, the congestion marks of a burst are lost.
    #[tokio::test]
    async fn a_burst_arrives_as_the_datagrams_it_was_made_of() {
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let bind = || UdpSocket::bind((ip, 0).into(), PortSharing::Exclusive);
            let (Ok(sender), Ok(receiver)) = (bind(), bind()) else {
                assert!(ip.is_ipv6(), "there are hosts without IPv6");
                continue;
            };
            assert_burst_arrives(&sender, &receiver).await;
        }
    }

    async fn assert_burst_arrives(sender: &UdpSocket, receiver: &UdpSocket) {
        let segments = sender.max_gso_segments(1_200).min(10);
        let contents: Vec<u8> = (0..segments).flat_map(|i| vec![i as u8; 1_200]).collect();
        let burst = Transmit {
            ecn: Some(quinn_udp::EcnCodepoint::Ect0),
            segment_size: Some(1_200),
            ..transmit(receiver.local_addr().unwrap(), &contents)
        };
        assert_eq!(sender.try_send(&burst), SendOutcome::Sent, "before any event was seen");
        let received = receive(receiver, segments).await;
        for (i, datagram) in received.iter().enumerate() {
            assert_eq!(&datagram.payload[..], &[i as u8; 1_200]);
            assert_eq!(datagram.remote, sender.local_addr().unwrap());
            assert_eq!(datagram.local_ip, Some(receiver.local_addr().unwrap().ip()));
            assert_eq!(datagram.ecn, Some(quinn_proto::EcnCodepoint::Ect0));
        }
    }

    #[tokio::test]
    async fn a_dual_stack_socket_talks_to_both_families_by_their_own_addresses() {
        let Ok(dual) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0).into(), PortSharing::Exclusive) else {
            return; // a host without IPv6
        };
        let port = dual.local_addr().unwrap().port();
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let peer = UdpSocket::bind((ip, 0).into(), PortSharing::Exclusive).unwrap();
            assert_eq!(peer.try_send(&transmit((ip, port).into(), b"hello")), SendOutcome::Sent);
            let hello = receive(&dual, 1).await.remove(0);
            assert_eq!(hello.remote, peer.local_addr().unwrap());
            assert_eq!(hello.local_ip, Some(ip));

            let reply = Transmit { src_ip: hello.local_ip, ..transmit(hello.remote, b"hello yourself") };
            assert_eq!(dual.try_send(&reply), SendOutcome::Sent);
            let reply = receive(&peer, 1).await.remove(0);
            assert_eq!(reply.remote, (ip, port).into());
            assert_eq!(&reply.payload[..], b"hello yourself");
        }
    }

    #[tokio::test]
    async fn a_packet_the_kernel_refuses_is_counted_and_the_socket_goes_on() {
        let sender = UdpSocket::bind(localhost_v4(), PortSharing::Exclusive).unwrap();
        let receiver = UdpSocket::bind(localhost_v4(), PortSharing::Exclusive).unwrap();
        let to = receiver.local_addr().unwrap();
        let oversized = vec![0; 66_000];
        assert_eq!(sender.try_send(&transmit(to, &oversized)), SendOutcome::Lost);
        assert_eq!(sender.send_losses(), SendLosses { too_large: 1, ..SendLosses::default() });
        assert_eq!(sender.try_send(&transmit(to, b"still here")), SendOutcome::Sent);
        assert_eq!(&receive(&receiver, 1).await[0].payload[..], b"still here");
    }

    #[tokio::test]
    async fn a_receiver_with_nothing_to_receive_says_so() {
        let socket = UdpSocket::bind(localhost_v4(), PortSharing::Exclusive).unwrap();
        let mut batch = RecvBatch::new(&BufferPool::default());
        assert_eq!(socket.try_recv(&mut batch).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn a_port_is_shared_only_when_asked_for() {
        let first = UdpSocket::bind(localhost_v4(), PortSharing::Shared).unwrap();
        let address = first.local_addr().unwrap();
        if cfg!(unix) {
            UdpSocket::bind(address, PortSharing::Shared).unwrap();
        }
        let error = UdpSocket::bind(address, PortSharing::Exclusive).unwrap_err();
        assert_eq!((error.address, error.step), (address, "bind"));
    }

    #[test]
    fn a_burst_is_capped_by_bytes_as_well_as_by_segments() {
        assert_eq!(gso_segments(64, 1_200), 54);
        assert_eq!(gso_segments(64, 1_000), 64);
        assert_eq!(gso_segments(64, 9_000), 7);
        assert_eq!(gso_segments(10, 1_200), 10);
        assert_eq!(gso_segments(64, u16::MAX), 1);
        assert_eq!(gso_segments(1, 0), 1);
    }
}
