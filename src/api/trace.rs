//! `tracing` events of sessions and their paths.

use tracing::field::display;

use crate::proto::event::SessionEvent;
use crate::proto::session::{CloseState, Session};

/// The session is open.
pub(super) fn opened(session: &Session) {
    tracing::debug!(session = session.id().map(display), side = ?session.side(), "session open");
}

/// The session has ended.
pub(super) fn closed(session: &Session) {
    if let CloseState::Closed(end) = session.close_state() {
        tracing::debug!(session = session.id().map(display), side = ?session.side(), %end, "session closed");
    }
}

/// Something has happened to it meanwhile.
pub(super) fn event(session: &Session, event: &SessionEvent) {
    let id = session.id().map(display);
    let side = session.side();
    match event {
        SessionEvent::PathAdded(path) => tracing::debug!(session = id, ?side, %path, "path added"),
        // Told by the core, which knows for how long the path was silent.
        SessionEvent::PathSuspect(_) => {}
        SessionEvent::PathRecovered(path) => tracing::debug!(session = id, ?side, %path, "path recovered"),
        SessionEvent::PathLost(path, loss) => {
            tracing::debug!(session = id, ?side, %path, ?loss, "path lost");
        }
        SessionEvent::Suspended => tracing::debug!(session = id, ?side, "session suspended"),
        SessionEvent::Resumed => tracing::debug!(session = id, ?side, "session resumed"),
        SessionEvent::Advised(address) => {
            tracing::debug!(session = id, ?side, authority = address.authority, "address advised");
        }
        SessionEvent::Draining => tracing::debug!(session = id, ?side, "the peer is draining"),
    }
}
