//! What the server can be told.

use serde::Deserialize;

use crate::behaviour::Request;

/// One command. `server` and `session` count from 0 in the order that servers were started and sessions accepted;
/// `line` is a forwarder in front of a server.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Command {
    /// Starts a server of KWIK. Answers `{server, pin, urls, direct}`.
    Listen(Listen),
    /// Starts a WebTransport server that echoes. Answers `{url, hash}`.
    ListenRaw {},
    /// Puts another line in front of a server. Answers `{line, url}`.
    AddLine { server: usize, rate_mbit: Option<u64> },
    /// Drops all packets on one line, or on all.
    Silence { server: usize, line: Option<usize> },
    /// Ends that.
    Restore { server: usize, line: Option<usize> },
    /// Waits for a session to be there. Answers the number of sessions that there are.
    Accepted { server: usize, session: usize },
    /// Opens a stream; a bidirectional one begins with the line `opened`.
    Open { server: usize, session: usize, bidirectional: bool, request: Request },
    /// Sends a datagram.
    Datagram { server: usize, session: usize, text: String },
    /// Closes a session.
    Close { server: usize, session: usize, code: u64, reason: String },
    /// Waits for the end of a session. Answers `{closedByPeer: {code, reason}}` or `{other}`.
    Closed { server: usize, session: usize },
    /// Wants no new streams.
    Drain { server: usize, session: usize },
    /// Tells the session of a line's address.
    Advertise { server: usize, session: usize, line: usize },
    /// Answers the session's counts.
    Stats { server: usize, session: usize },
    /// Answers what the stream of this name has done so far.
    Progress { server: usize, name: String },
    /// Waits for the stream of this name to come to its end. Answers what it did.
    Outcome { server: usize, name: String },
    /// Lets the stream of this name, which holds, read.
    Release { server: usize, name: String },
}

/// How a server is started.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Listen {
    /// Forwarders in front of it.
    #[serde(default = "one")]
    pub(crate) lines: usize,
    /// What each of those carries, in each direction; as much as it can if missing.
    pub(crate) rate_mbit: Option<u64>,
    pub(crate) allowed_origins: Option<Vec<String>>,
    pub(crate) max_sessions: Option<usize>,
    /// What its streams do.
    #[serde(default)]
    pub(crate) application: Application,
}

fn one() -> usize {
    1
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Application {
    /// What their first line asks for.
    #[default]
    Asked,
    /// They come back as they are.
    Echo,
}
