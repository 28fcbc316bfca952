//! The lanes of a path: their readers, their owners, and the commands that are pending for them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::proto::carrier::LaneCommand;
use crate::proto::streams::recv::Violation;
use crate::proto::wire::code::TransportCode;
use crate::proto::wire::id::{Dir, LaneId, StreamId};
use crate::proto::wire::lane::LaneReader;

/// Most bytes of other lanes that wait for the path to be accepted, when they have overtaken ACCEPT.
const MAX_EARLY_BYTES: usize = 1 << 20;

/// What happened on a lane before the path was accepted, to be read afterwards.
#[derive(Debug)]
pub(crate) enum Early {
    Data(LaneId, Dir, Bytes),
    Finished(LaneId),
}

/// The lanes of one path.
#[derive(Debug, Default)]
pub(crate) struct PathLanes {
    control: Option<LaneId>,
    readers: BTreeMap<LaneId, LaneReader>,
    /// Bidirectional lanes that this end opened for its streams, until the peer has ended its half.
    opened: BTreeMap<LaneId, StreamId>,
    /// What has overtaken ACCEPT.
    early: Vec<Early>,
    commands: Vec<LaneCommand>,
}

impl PathLanes {
    /// The control lane, and what was read of it before the path had a session.
    pub(crate) fn with_control(lane: LaneId, reader: LaneReader) -> Self {
        Self { control: Some(lane), readers: BTreeMap::from([(lane, reader)]), ..Self::default() }
    }

    pub(crate) fn set_control(&mut self, lane: LaneId) {
        self.control = Some(lane);
    }

    pub(crate) fn control(&self) -> Option<LaneId> {
        self.control
    }

    pub(crate) fn is_control(&self, lane: LaneId) -> bool {
        self.control == Some(lane)
    }

    /// Bytes arrived on a lane.
    pub(crate) fn push(&mut self, lane: LaneId, data: Bytes) {
        self.readers.entry(lane).or_default().push(data);
    }

    pub(crate) fn reader(&mut self, lane: LaneId) -> Option<&mut LaneReader> {
        self.readers.get_mut(&lane)
    }

    /// The peer has ended or given up its half of a lane: its reader, if anything had arrived.
    pub(crate) fn close(&mut self, lane: LaneId) -> Option<LaneReader> {
        self.opened.remove(&lane);
        self.readers.remove(&lane)
    }

    /// This end has opened a bidirectional lane for a stream of its own.
    pub(crate) fn on_opened(&mut self, lane: LaneId, stream: StreamId) {
        self.opened.insert(lane, stream);
    }

    /// The stream that this end opened a lane for.
    pub(crate) fn opened_for(&self, lane: LaneId) -> Option<StreamId> {
        self.opened.get(&lane).copied()
    }

    /// Client: lanes overtake one another; what comes before ACCEPT waits for it.
    pub(crate) fn defer(&mut self, early: Early) -> Result<(), Violation> {
        let bytes = |early: &Early| if let Early::Data(_, _, data) = early { data.len() } else { 0 };
        if self.early.iter().map(bytes).sum::<usize>() + bytes(&early) > MAX_EARLY_BYTES {
            return Err(Violation::new(TransportCode::LimitExceeded, "too much arrives before ACCEPT"));
        }
        self.early.push(early);
        Ok(())
    }

    /// What `defer` has put off.
    pub(crate) fn take_early(&mut self) -> Vec<Early> {
        std::mem::take(&mut self.early)
    }

    /// To be done when the carrier is next at hand. The control lane lives as long as its path.
    pub(crate) fn command(&mut self, command: LaneCommand) {
        let (LaneCommand::Finish(lane) | LaneCommand::Reset(lane)) = command;
        if self.control != Some(lane) {
            self.commands.push(command);
        }
    }

    pub(crate) fn drain_commands(&mut self) -> impl Iterator<Item = LaneCommand> + '_ {
        self.commands.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_that_overtake_accept_wait_up_to_a_limit() {
        let mut lanes = PathLanes::default();
        let data = |len| Early::Data(LaneId(1), Dir::Bi, Bytes::from(vec![0; len]));
        assert!(lanes.defer(data(MAX_EARLY_BYTES)).is_ok());
        assert!(lanes.defer(Early::Finished(LaneId(1))).is_ok());
        assert!(lanes.defer(data(1)).is_err());
        assert_eq!(lanes.take_early().len(), 2);
        assert!(lanes.take_early().is_empty());
    }

    #[test]
    fn the_control_lane_is_not_finished_with_a_stream() {
        let mut lanes = PathLanes::with_control(LaneId(0), LaneReader::new());
        lanes.command(LaneCommand::Finish(LaneId(0)));
        lanes.command(LaneCommand::Reset(LaneId(4)));
        assert_eq!(lanes.drain_commands().collect::<Vec<_>>(), [LaneCommand::Reset(LaneId(4))]);
    }

    #[test]
    fn a_lane_that_the_peer_has_ended_is_forgotten() {
        let mut lanes = PathLanes::default();
        lanes.on_opened(LaneId(4), StreamId(0));
        assert_eq!(lanes.opened_for(LaneId(4)), Some(StreamId(0)));
        lanes.push(LaneId(4), Bytes::from_static(b"x"));
        assert!(lanes.close(LaneId(4)).is_some());
        assert!(lanes.opened_for(LaneId(4)).is_none() && lanes.reader(LaneId(4)).is_none());
    }
}
