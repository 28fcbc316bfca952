//! The receiving half of one stream.
//!
//! ```text
//!           end known          all arrived          all read
//!   Open ------------> (Open) -------------> (Open) ---------> Done
//!     | RESET_STREAM              | stop
//!     +----------> Reset          +--> Stopped --(peer ends it)--> Done
//! ```

use bytes::Bytes;

use super::assembler::{Assembler, Held, Pinning};
use super::flow::RecvWindow;
use crate::proto::config::Window;
use crate::proto::wire::code::{AppCode, TransportCode};
use crate::proto::wire::frame::Ack;
use crate::proto::wire::id::StreamId;
use crate::proto::wire::limits::{MAX_ACK_RANGES, MAX_STREAM_CHUNKS_OUTSTANDING};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecvState {
    Open,
    Reset { code: AppCode },
    Stopped { code: AppCode },
    Done,
}

/// What reading gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The next bytes of the stream.
    Data(Bytes),
    /// The stream has ended; all its bytes have been read.
    Finished,
    /// Nothing for now.
    Blocked,
}

/// A rule of the protocol that the peer broke, for the conductor to end the session with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: TransportCode,
    pub(crate) reason: String,
}

impl Violation {
    pub(crate) fn new(code: TransportCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

#[derive(Debug)]
pub(crate) struct RecvStream {
    pub(crate) id: StreamId,
    pub(crate) state: RecvState,
    pub(crate) window: RecvWindow,
    pub(crate) reader_waits: bool,
    pub(crate) released: bool,
    /// Bytes that arrived since the last acknowledgement.
    pub(crate) unacked_bytes: u64,
    assembler: Assembler,
    final_size: Option<u64>,
}

/// What a reset does to flow control, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResetCredit {
    /// By how much it advances what the peer has used.
    pub(crate) advance: u64,
    /// How much of that comes back, since it is not going to be read.
    pub(crate) freed: u64,
}

impl RecvStream {
    pub(crate) fn new(id: StreamId, window: Window) -> Self {
        Self {
            id,
            state: RecvState::Open,
            window: RecvWindow::new(window.initial_bytes, window.max_bytes),
            reader_waits: false,
            released: false,
            unacked_bytes: 0,
            assembler: Assembler::new(2 * MAX_STREAM_CHUNKS_OUTSTANDING),
            final_size: None,
        }
    }

    /// Takes a chunk. Returns by how much it advanced what flow control counts.
    pub(crate) fn on_chunk(
        &mut self,
        offset: u64,
        data: Bytes,
        fin: bool,
        pinning: Pinning,
    ) -> Result<u64, Violation> {
        let end = offset + data.len() as u64;
        if fin {
            self.learn_final_size(end)?;
        }
        let advance = self.advance_to(end)?;
        if self.state != RecvState::Open {
            return Ok(advance);
        }
        match self.assembler.insert(offset, data, pinning) {
            Ok(new_bytes) => {
                self.unacked_bytes += new_bytes;
                Ok(advance)
            }
            Err(_) => Err(Violation::new(
                TransportCode::LimitExceeded,
                format!("stream {} is in too many pieces", self.id),
            )),
        }
    }

    /// The stream ends at `size`, whatever is missing before that.
    fn learn_final_size(&mut self, size: u64) -> Result<(), Violation> {
        let what = match self.final_size {
            Some(known) if size != known => {
                format!("stream {} ended at {known} and goes on to {size}", self.id)
            }
            None if size < self.window.received() => {
                format!("stream {} ends at {size}, before byte {}", self.id, self.window.received())
            }
            _ => {
                self.final_size = Some(size);
                return Ok(());
            }
        };
        Err(Violation::new(TransportCode::FinalSize, what))
    }

    /// The peer has used its credit up to `end`. Returns by how much that is more than before.
    fn advance_to(&mut self, end: u64) -> Result<u64, Violation> {
        if let Some(size) = self.final_size.filter(|size| end > *size) {
            let what = format!("stream {} ended at {size} and goes on to {end}", self.id);
            return Err(Violation::new(TransportCode::FinalSize, what));
        }
        self.window.on_received_up_to(end).map_err(|exceeded| {
            Violation::new(TransportCode::FlowControl, format!("stream {}: {exceeded}", self.id))
        })
    }

    /// RESET_STREAM.
    pub(crate) fn on_reset(&mut self, code: AppCode, final_size: u64) -> Result<ResetCredit, Violation> {
        // Only an end that `fin` has told makes what is here a whole stream.
        let is_whole = self.is_all_here() && self.state == RecvState::Open;
        self.learn_final_size(final_size)?;
        let advance = self.advance_to(final_size)?;
        if is_whole {
            return Ok(ResetCredit::default());
        }
        let freed = self.discard();
        self.state = match self.state {
            RecvState::Open => RecvState::Reset { code },
            RecvState::Stopped { .. } => RecvState::Done,
            ended => ended,
        };
        Ok(ResetCredit { advance, freed })
    }

    /// The code that reading was stopped with, while the peer has not ended the stream.
    pub(crate) fn stop_code(&self) -> Option<AppCode> {
        match self.state {
            RecvState::Stopped { code } => Some(code),
            _ => None,
        }
    }

    /// Drops what is held; returns how many bytes of credit that frees.
    fn discard(&mut self) -> u64 {
        if matches!(self.state, RecvState::Reset { .. } | RecvState::Done) {
            return 0;
        }
        let unread = self.window.received() - self.window.consumed();
        self.assembler.clear();
        self.window.on_consumed(unread);
        unread
    }

    /// Whether every byte up to the end has arrived.
    pub(crate) fn is_all_here(&self) -> bool {
        self.final_size == Some(self.assembler.contiguous_end())
    }

    /// Whether the peer need not send anything more.
    pub(crate) fn is_complete(&self) -> bool {
        match self.state {
            RecvState::Open => self.is_all_here(),
            RecvState::Stopped { .. } => false,
            RecvState::Reset { .. } | RecvState::Done => true,
        }
    }

    /// A stopped stream is over once its end is known: whatever is still under way is not wanted.
    pub(crate) fn settle_stopped(&mut self) -> u64 {
        let stopped = matches!(self.state, RecvState::Stopped { .. });
        if !stopped {
            return 0;
        }
        let unread = self.window.received() - self.window.consumed();
        self.window.on_consumed(unread);
        if self.final_size.is_some() {
            self.state = RecvState::Done;
        }
        unread
    }

    pub(crate) fn read(&mut self, max_bytes: usize) -> Read {
        if let Some(data) = self.assembler.read(max_bytes) {
            self.window.on_consumed(data.len() as u64);
            return Read::Data(data);
        }
        if self.is_read_to_end() {
            self.state = RecvState::Done;
            return Read::Finished;
        }
        self.reader_waits = true;
        Read::Blocked
    }

    /// Whether `read` would return something.
    pub(crate) fn is_readable(&self) -> bool {
        self.state != RecvState::Open
            || self.assembler.contiguous_end() > self.assembler.read_offset()
            || self.is_read_to_end()
    }

    /// Whether the reader has had every byte up to the end.
    pub(crate) fn is_read_to_end(&self) -> bool {
        self.final_size == Some(self.assembler.read_offset())
    }

    /// The application wants no more. Returns how many bytes of credit that frees; `None` if it was over anyway.
    pub(crate) fn stop(&mut self, code: AppCode) -> Option<u64> {
        if self.state != RecvState::Open {
            return None;
        }
        let over = self.is_all_here();
        let unread = self.discard();
        self.state = if over { RecvState::Done } else { RecvState::Stopped { code } };
        Some(unread)
    }

    /// What it keeps, as memory.
    pub(crate) fn held(&self) -> Held {
        self.assembler.held()
    }

    pub(crate) fn ack(&mut self) -> Ack {
        self.unacked_bytes = 0;
        Ack {
            stream: self.id,
            complete: self.is_complete(),
            contiguous: self.assembler.contiguous_end(),
            ranges: self.assembler.received_ranges().take(MAX_ACK_RANGES).collect(),
        }
    }

    /// Whether both the peer and the application are through with it.
    pub(crate) fn is_forgettable(&self) -> bool {
        let over = match self.state {
            RecvState::Done => true,
            RecvState::Reset { .. } => true,
            RecvState::Open | RecvState::Stopped { .. } => false,
        };
        over && self.released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> RecvStream {
        RecvStream::new(StreamId(2), Window { initial_bytes: 100, max_bytes: 100 })
    }

    fn bytes(len: usize) -> Bytes {
        Bytes::from(vec![7; len])
    }

    #[track_caller]
    fn blames<T: std::fmt::Debug>(outcome: Result<T, Violation>, code: TransportCode) {
        assert_eq!(outcome.expect_err("a violation").code, code);
    }

    #[test]
    fn bytes_out_of_order_are_read_in_order_and_then_the_end() {
        let mut stream = stream();
        assert_eq!(stream.on_chunk(3, bytes(2), true, Pinning::Allowed), Ok(5));
        assert_eq!(stream.read(100), Read::Blocked);
        assert!(stream.reader_waits && !stream.is_readable());
        assert_eq!(stream.on_chunk(0, bytes(3), false, Pinning::Allowed), Ok(0));
        assert!(stream.is_complete() && stream.is_readable());
        assert_eq!(stream.read(4), Read::Data(bytes(4)));
        assert_eq!(stream.read(4), Read::Data(bytes(1)));
        assert_eq!(stream.read(4), Read::Finished);
        assert_eq!(stream.state, RecvState::Done);
    }

    #[test]
    fn an_acknowledgement_tells_what_is_here_and_whether_that_is_all() {
        let mut stream = stream();
        stream.on_chunk(0, bytes(2), false, Pinning::Allowed).unwrap();
        stream.on_chunk(5, bytes(5), true, Pinning::Allowed).unwrap();
        let ack = stream.ack();
        assert_eq!((ack.contiguous, ack.complete), (2, false));
        assert_eq!((ack.ranges.len(), ack.ranges.first()), (1, Some(&(5..10))));
        stream.on_chunk(2, bytes(3), false, Pinning::Allowed).unwrap();
        assert_eq!((stream.ack().contiguous, stream.ack().complete), (10, true));
    }

    #[test]
    fn an_end_that_is_told_twice_must_be_the_same() {
        let mut stream = stream();
        stream.on_chunk(5, bytes(5), true, Pinning::Allowed).unwrap();
        assert_eq!(stream.on_chunk(5, bytes(5), true, Pinning::Allowed), Ok(0));
        blames(stream.on_chunk(0, bytes(5), true, Pinning::Allowed), TransportCode::FinalSize);
        blames(stream.on_chunk(9, bytes(2), false, Pinning::Allowed), TransportCode::FinalSize);
        blames(stream.on_reset(AppCode::new(0), 9), TransportCode::FinalSize);
    }

    #[test]
    fn an_end_before_what_has_arrived_is_none() {
        let mut stream = stream();
        stream.on_chunk(5, bytes(5), false, Pinning::Allowed).unwrap();
        blames(stream.on_chunk(0, bytes(5), true, Pinning::Allowed), TransportCode::FinalSize);
    }

    #[test]
    fn more_than_the_window_is_a_violation_and_reading_makes_room() {
        let mut stream = stream();
        stream.on_chunk(0, bytes(100), false, Pinning::Allowed).unwrap();
        blames(stream.on_chunk(100, bytes(1), false, Pinning::Allowed), TransportCode::FlowControl);
        stream.read(60);
        let limit = stream.window.next_update(
            crate::proto::time::Time::ZERO,
            std::time::Duration::ZERO,
            crate::proto::streams::flow::Growth::Allowed,
        );
        assert_eq!(limit, Some(160));
        assert_eq!(stream.on_chunk(100, bytes(60), false, Pinning::Allowed), Ok(60));
    }

    #[test]
    fn a_reset_discards_what_is_unread_and_gives_its_credit_back() {
        let mut stream = stream();
        stream.on_chunk(0, bytes(10), false, Pinning::Allowed).unwrap();
        stream.read(4);
        assert_eq!(stream.on_reset(AppCode::new(3), 30), Ok(ResetCredit { advance: 20, freed: 26 }));
        assert_eq!(stream.state, RecvState::Reset { code: AppCode::new(3) });
        assert_eq!((stream.held().buffered_bytes, stream.is_complete()), (0, true));
        assert_eq!(stream.on_reset(AppCode::new(3), 30), Ok(ResetCredit::default()));
    }

    #[test]
    fn a_reset_before_the_first_byte_is_a_reset_and_no_empty_stream() {
        let mut stream = stream();
        stream.on_reset(AppCode::new(3), 0).unwrap();
        assert_eq!(stream.state, RecvState::Reset { code: AppCode::new(3) });
    }

    #[test]
    fn a_reset_after_all_has_arrived_comes_too_late() {
        let mut stream = stream();
        stream.on_chunk(0, bytes(5), true, Pinning::Allowed).unwrap();
        assert_eq!(stream.on_reset(AppCode::new(3), 5), Ok(ResetCredit::default()));
        assert_eq!(stream.read(10), Read::Data(bytes(5)));
        assert_eq!(stream.read(10), Read::Finished);
    }

    #[test]
    fn a_stopped_stream_drops_what_comes_and_is_over_with_its_end() {
        let mut stream = stream();
        stream.on_chunk(0, bytes(10), false, Pinning::Allowed).unwrap();
        assert_eq!(stream.stop(AppCode::new(1)), Some(10));
        assert_eq!(stream.stop_code(), Some(AppCode::new(1)));
        assert_eq!(stream.on_chunk(10, bytes(10), false, Pinning::Allowed), Ok(10));
        assert_eq!((stream.settle_stopped(), stream.held().buffered_bytes), (10, 0));
        assert!(!stream.is_complete());
        stream.on_chunk(20, bytes(1), true, Pinning::Allowed).unwrap();
        assert_eq!(stream.settle_stopped(), 1);
        assert_eq!(stream.state, RecvState::Done);
        assert_eq!(stream.stop(AppCode::new(1)), None);
    }

    #[test]
    fn it_is_forgotten_when_both_the_peer_and_the_application_are_through() {
        let mut stream = stream();
        stream.on_chunk(0, bytes(1), true, Pinning::Allowed).unwrap();
        stream.released = true;
        assert!(!stream.is_forgettable());
        stream.read(10);
        stream.read(10);
        assert!(stream.is_forgettable());
    }

    #[test]
    fn more_separate_pieces_than_allowed_are_a_violation() {
        let mut stream = RecvStream::new(StreamId(2), Window { initial_bytes: 1 << 20, max_bytes: 1 << 20 });
        for piece in 0..2 * MAX_STREAM_CHUNKS_OUTSTANDING as u64 {
            stream.on_chunk(1 + 2 * piece, bytes(1), false, Pinning::Allowed).unwrap();
        }
        let next = 1 + 4 * MAX_STREAM_CHUNKS_OUTSTANDING as u64;
        blames(stream.on_chunk(next, bytes(1), false, Pinning::Allowed), TransportCode::LimitExceeded);
    }
}
