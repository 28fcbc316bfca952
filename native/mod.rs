//! The native backend: UDP sockets, worker pool, certificates, and what drives the core with them.

mod address;
mod buffer_pool;
mod certificate;
mod recv_batch;
mod socket;
mod tls;
mod transport;
mod validity;
mod worker_pool;

pub use address::{Address, AddressError, CertificatePin};
pub use buffer_pool::BufferPoolStats;
pub use certificate::{Identity, IdentityError};
pub use socket::BindError;
pub use tls::TlsError;
pub use transport::Congestion;
pub use worker_pool::{BatchPanicked, JobPanicked, Refused, WorkerPool, WorkerPoolError, WorkerPoolStats};
