//! Effects of a change in streams or paths, for the session to carry out: control frames, lane commands, wake-ups, events.
//!
//! The aggregates write into this and know nothing of the session, which carries it out.

use std::collections::VecDeque;

use super::carrier::LaneCommand;
use super::control::PendingControl;
use super::event::{Action, Event, SessionEvent};
use super::wire::id::PathId;

/// Who is to be asked for a control frame that has become due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ControlWake {
    #[default]
    None,
    /// The path that control frames go on: a limit has changed.
    ControlPath,
    /// Every path that has something due.
    Due,
}

/// Something to be done to a lane of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathCommand {
    pub(crate) path: PathId,
    pub(crate) command: LaneCommand,
}

/// Effects that are not carried out yet.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Frames to write on a control lane.
    pub(crate) control: PendingControl,
    /// For the backend.
    pub(crate) actions: VecDeque<Action>,
    /// For the application.
    pub(crate) events: VecDeque<Event>,
    lanes: VecDeque<PathCommand>,
    wake: ControlWake,
}

impl Effects {
    pub(crate) fn notify(&mut self, event: SessionEvent) {
        self.events.push_back(Event::Session(event));
    }

    /// Something is to be done to a lane of `path`.
    pub(crate) fn command(&mut self, path: PathId, command: LaneCommand) {
        self.lanes.push_back(PathCommand { path, command });
    }

    /// The oldest command that is not carried out.
    pub(crate) fn pop_command(&mut self) -> Option<PathCommand> {
        self.lanes.pop_front()
    }

    pub(crate) fn wake_control(&mut self, wake: ControlWake) {
        self.wake = self.wake.max(wake);
    }

    pub(crate) fn take_wake(&mut self) -> ControlWake {
        std::mem::take(&mut self.wake)
    }
}
