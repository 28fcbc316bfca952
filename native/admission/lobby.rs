//! Clients that have room and wait for their handshake to begin.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;

use super::source::Source;
use crate::native::path_driver::DriverKey;

/// A queue for each host. Hosts take turns, so that one that comes with many clients lets those of others wait for one
/// handshake and not for all of its own.
#[derive(Debug)]
pub(crate) struct Lobby<T> {
    /// Of each host, oldest first: keys only ever rise.
    hosts: BTreeMap<Source, BTreeMap<DriverKey, T>>,
    sources: BTreeMap<DriverKey, Source>,
    /// Whose turn it was.
    last: Option<Source>,
}

impl<T> Default for Lobby<T> {
    fn default() -> Self {
        Self { hosts: BTreeMap::new(), sources: BTreeMap::new(), last: None }
    }
}

impl<T> Lobby<T> {
    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// A client comes from there.
    pub(crate) fn push(&mut self, from: IpAddr, key: DriverKey, client: T) {
        let source = from.into();
        self.sources.insert(key, source);
        self.hosts.entry(source).or_default().insert(key, client);
    }

    /// The client that has waited longest, of the host whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.hosts.range((after, Bound::Unbounded)).next().or_else(|| self.hosts.iter().next());
        let (source, key) = next.and_then(|(source, clients)| Some((*source, *clients.keys().next()?)))?;
        self.last = Some(source);
        self.remove(key)
    }

    /// Takes a client out, if it still waits.
    pub(crate) fn remove(&mut self, key: DriverKey) -> Option<T> {
        let source = self.sources.remove(&key)?;
        let clients = self.hosts.get_mut(&source)?;
        let client = clients.remove(&key);
        if clients.is_empty() {
            self.hosts.remove(&source);
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn host(host: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, host).into()
    }

    #[test]
    fn hosts_take_turns_however_many_clients_each_has() {
        let mut lobby = Lobby::default();
        for client in ["a1", "a2", "a3", "a4"] {
            lobby.push(host(1), DriverKey::new(), client);
        }
        lobby.push(host(2), DriverKey::new(), "b1");
        assert_eq!([lobby.pop(), lobby.pop(), lobby.pop()], [Some("a1"), Some("b1"), Some("a2")]);
        lobby.push(host(3), DriverKey::new(), "c1");
        lobby.push(host(2), DriverKey::new(), "b2");
        let order: Vec<_> = std::iter::from_fn(|| lobby.pop()).collect();
        assert_eq!(order, ["b2", "c1", "a3", "a4"]);
        assert!(lobby.is_empty());
    }

    #[test]
    fn who_is_taken_out_has_no_turn() {
        let mut lobby = Lobby::default();
        let keys = [DriverKey::new(), DriverKey::new()];
        lobby.push(host(1), keys[0], "first");
        lobby.push(host(1), keys[1], "second");
        assert_eq!(lobby.remove(keys[0]), Some("first"));
        assert_eq!(lobby.remove(keys[0]), None);
        assert_eq!(lobby.pop(), Some("second"));
        assert_eq!(lobby.pop(), None);
        assert!(lobby.is_empty());
    }
}
