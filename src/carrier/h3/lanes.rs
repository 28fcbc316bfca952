//! Lanes among the streams: their headers, and the session of each (draft-ietf-webtrans-http3 sections 4 and 4.6).

use bytes::{Bytes, BytesMut};

use super::code::H3Code;
use super::ended::{Ended, violation};
use super::{Effect, H3, Reading, Role, streams};
use crate::proto::wire::id::{Dir, LaneId};
use crate::proto::wire::varint;

/// What a lane begins with, at most: two varints.
const MAX_HEAD_BYTES: usize = 16;

impl H3 {
    /// What a lane of this end's begins with. The session is open.
    pub(crate) fn lane_head(&mut self, lane: LaneId, dir: Dir) -> Bytes {
        let mut head = BytesMut::with_capacity(MAX_HEAD_BYTES);
        if dir == Dir::Bi {
            // What comes back on it has no head.
            self.readings.insert(lane, Reading::Lane);
        }
        varint::put(&mut head, streams::lane_signal(dir));
        varint::put(&mut head, self.session.map_or(0, |session| session.0));
        head.freeze()
    }

    /// What becomes of a lane that says this session's id.
    pub(super) fn sort_lane(&mut self, lane: LaneId, dir: Dir, session: u64) -> Result<Reading, Ended> {
        let session = LaneId(session);
        if !session.0.is_multiple_of(4) {
            return Err(violation(H3Code::IdError, "a lane of what cannot be a session"));
        }
        if self.session == Some(session) {
            if dir == Dir::Bi {
                self.first_lane.get_or_insert(lane);
            }
            return Ok(Reading::Lane);
        }
        if self.may_yet_open(session) && dir == Dir::Uni {
            return Ok(Reading::Held(session));
        }
        self.reject_lane(lane, dir);
        self.turn_to_next_request(lane);
        Ok(Reading::Ignored)
    }

    /// Whether this may become the session's id.
    fn may_yet_open(&self, session: LaneId) -> bool {
        !self.is_open
            && match &self.role {
                Role::Server { requests_seen, .. } => session.0 >= requests_seen * 4,
                Role::Client { connect, .. } => Some(session) == *connect,
            }
    }

    fn reject_lane(&mut self, lane: LaneId, dir: Dir) {
        self.effects.push(Effect::Stop(lane, H3Code::BufferedStreamRejected));
        if dir == Dir::Bi {
            self.effects.push(Effect::Reset(lane, H3Code::BufferedStreamRejected));
        }
    }

    /// Sets lanes free that waited for their session, and rejects those whose session will not come.
    pub(super) fn resolve_held(&mut self) {
        let mut readings = std::mem::take(&mut self.readings);
        for (lane, reading) in &mut readings {
            let Reading::Held(session) = *reading else { continue };
            if self.session == Some(session) {
                *reading = Reading::Lane;
            } else if !self.may_yet_open(session) {
                *reading = Reading::Ignored;
                self.reject_lane(*lane, Dir::Uni);
            }
        }
        self.readings = readings;
    }
}
