//! Stream ids: those that either end may open, and those that it has opened.

use crate::proto::wire::id::{Dir, Side, StreamId};
use crate::proto::wire::limits::MAX_STREAMS;

/// The account for one direction.
#[derive(Debug, Default)]
struct Account {
    /// Next index that this end opens.
    next_own: u64,
    /// How many the peer lets this end open.
    own_limit: u64,
    /// Lowest index that the peer has not opened.
    next_peer: u64,
    /// How many this end lets the peer open.
    peer_limit: u64,
    /// The peer's streams that the application has not accepted yet: from here to `next_peer`.
    next_accept: u64,
    /// The application waits for room to open one.
    opener_waits: bool,
}

/// The account of stream ids of a session.
#[derive(Debug)]
pub(crate) struct StreamIds {
    side: Side,
    bidi: Account,
    uni: Account,
}

/// What a stream id that the peer mentions means to this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is open, or was.
    Yes,
    /// The peer opens it by mentioning it.
    Opens,
    /// This end has never opened it.
    Never,
    /// The peer may not open it.
    OverLimit,
}

impl StreamIds {
    pub(crate) fn new(side: Side, max_bidi: u64, max_uni: u64) -> Self {
        let account = |limit: u64| Account { peer_limit: limit.min(MAX_STREAMS), ..Account::default() };
        Self { side, bidi: account(max_bidi), uni: account(max_uni) }
    }

    fn of(&mut self, dir: Dir) -> &mut Account {
        match dir {
            Dir::Bi => &mut self.bidi,
            Dir::Uni => &mut self.uni,
        }
    }

    /// The next stream of this end's own, if the peer allows one.
    pub(crate) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let side = self.side;
        let account = self.of(dir);
        if account.next_own >= account.own_limit {
            account.opener_waits = true;
            return None;
        }
        account.next_own += 1;
        Some(StreamId::new(side, dir, account.next_own - 1))
    }

    /// Raises what the peer allows; returns whether someone waits for it.
    pub(crate) fn raise_limit(&mut self, dir: Dir, limit: u64) -> bool {
        let account = self.of(dir);
        if limit <= account.own_limit {
            return false;
        }
        account.own_limit = limit.min(MAX_STREAMS);
        std::mem::take(&mut account.opener_waits)
    }

    /// One of the peer's streams is over: it may open another. Returns the new limit.
    pub(crate) fn replenish(&mut self, dir: Dir) -> u64 {
        let account = self.of(dir);
        account.peer_limit = (account.peer_limit + 1).min(MAX_STREAMS);
        account.peer_limit
    }

    pub(crate) fn peer_limit(&mut self, dir: Dir) -> u64 {
        self.of(dir).peer_limit
    }

    pub(crate) fn lookup(&mut self, id: StreamId) -> Known {
        let own = id.initiator() == self.side;
        let account = self.of(id.dir());
        match own {
            true if id.index() < account.next_own => Known::Yes,
            true => Known::Never,
            false if id.index() < account.next_peer => Known::Yes,
            false if id.index() < account.peer_limit => Known::Opens,
            false => Known::OverLimit,
        }
    }

    /// The peer has opened `id`, and with it every lower one of its kind (as RFC 9000 section 2.1).
    pub(crate) fn opened_by_peer(&mut self, id: StreamId) -> Vec<StreamId> {
        let peer = self.side.peer();
        let account = self.of(id.dir());
        let first = std::mem::replace(&mut account.next_peer, id.index() + 1);
        (first..=id.index()).map(|index| StreamId::new(peer, id.dir(), index)).collect()
    }

    /// The next of the peer's streams for the application.
    pub(crate) fn accept(&mut self, dir: Dir) -> Option<StreamId> {
        let peer = self.side.peer();
        let account = self.of(dir);
        if account.next_accept >= account.next_peer {
            return None;
        }
        account.next_accept += 1;
        Some(StreamId::new(peer, dir, account.next_accept - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> StreamIds {
        StreamIds::new(Side::Server, 2, 1)
    }

    fn client_bidi(index: u64) -> StreamId {
        StreamId::new(Side::Client, Dir::Bi, index)
    }

    #[test]
    fn streams_are_opened_as_far_as_the_peer_allows_and_the_opener_is_told_when_it_allows_more() {
        let mut ids = server();
        assert_eq!(ids.open(Dir::Uni), None);
        assert!(ids.raise_limit(Dir::Uni, 1), "someone waits");
        assert_eq!(ids.open(Dir::Uni), Some(StreamId::new(Side::Server, Dir::Uni, 0)));
        assert!(!ids.raise_limit(Dir::Uni, 2), "no open call waits");
        assert!(!ids.raise_limit(Dir::Uni, 1), "an old limit");
        assert_eq!(ids.open(Dir::Uni), Some(StreamId::new(Side::Server, Dir::Uni, 1)));
    }

    #[test]
    fn what_the_peer_mentions_is_known_new_or_not_allowed() {
        let mut ids = server();
        assert_eq!(ids.lookup(client_bidi(1)), Known::Opens);
        assert_eq!(ids.lookup(client_bidi(2)), Known::OverLimit);
        assert_eq!(ids.lookup(StreamId::new(Side::Server, Dir::Bi, 0)), Known::Never);
        ids.opened_by_peer(client_bidi(1));
        assert_eq!(ids.lookup(client_bidi(0)), Known::Yes);
    }

    #[test]
    fn a_stream_opens_all_lower_ones_of_its_kind_and_they_are_accepted_in_order() {
        let mut ids = server();
        assert_eq!(ids.opened_by_peer(client_bidi(1)), [client_bidi(0), client_bidi(1)]);
        assert_eq!(ids.accept(Dir::Bi), Some(client_bidi(0)));
        assert_eq!(ids.accept(Dir::Bi), Some(client_bidi(1)));
        assert_eq!(ids.accept(Dir::Bi), None);
        assert_eq!(ids.accept(Dir::Uni), None);
    }

    #[test]
    fn a_stream_that_is_over_makes_room_for_another() {
        let mut ids = server();
        assert_eq!(ids.replenish(Dir::Bi), 3);
        assert_eq!(ids.lookup(client_bidi(2)), Known::Opens);
    }

    #[test]
    fn limits_never_exceed_what_a_stream_id_can_hold() {
        let mut ids = StreamIds::new(Side::Server, u64::MAX, u64::MAX);
        assert_eq!(ids.replenish(Dir::Bi), MAX_STREAMS);
        ids.raise_limit(Dir::Bi, u64::MAX);
        assert_eq!(ids.peer_limit(Dir::Uni), MAX_STREAMS);
    }
}
