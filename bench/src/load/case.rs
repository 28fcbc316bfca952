//! What can be measured, as it stands on command lines.

use std::time::Duration;

use clap::builder::RangedI64ValueParser;

use crate::data::ByteSize;

/// So many sessions need 2 GB at each end.
const MOST_SESSIONS: u32 = 40_000;
/// What a KWIK session may be told to allow, less what is spare.
const MOST_STREAMS: u32 = 65_000;
/// What a KWIK session has by default.
const MOST_PATHS: u32 = 8;
/// Streams that have ended at the client and not yet at the server still count there.
const SPARE_STREAMS: u32 = 64;
/// Dials under way at one time where dials are what is measured.
pub(crate) const DIALS_AT_ONCE: usize = 50;

/// One kind of load, with its size.
///
/// Command lines of other builds of this program are made from it (`--also`): what has a name here keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Subcommand)]
pub enum Case {
    /// Many sessions: each sends 100 bytes there and back on a stream that stays, one echo at a time.
    Many {
        /// How many.
        #[arg(long, default_value_t = 1_000, value_parser = up_to(MOST_SESSIONS))]
        sessions: u32,
    },
    /// Many streams of one session: each is a request of 100 bytes and its response.
    Streams {
        /// How many are open at any time.
        #[arg(long, default_value_t = 100, value_parser = up_to(MOST_STREAMS))]
        outstanding: u32,
    },
    /// Dials, 50 at a time: each opens a session, does one request, and closes. Besides, 50 that begin at once.
    Connect,
    /// Sessions that do nothing: the memory that each adds, and what their keep-alives cost.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 1_000, value_parser = up_to(MOST_SESSIONS))]
        sessions: u32,
    },
    /// One session with one echo of 100 bytes at a time: how long it takes.
    Echo,
    /// Bytes from memory, with both contenders as they are by default.
    Bulk(Bulk),
}

/// A transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Bulk {
    /// Sockets of the KWIK server, and paths of each KWIK session.
    #[arg(long, default_value_t = 1, value_parser = up_to(MOST_PATHS))]
    pub paths: u32,
    /// That transfer at once.
    #[arg(long, default_value_t = 1, value_parser = up_to(MOST_SESSIONS))]
    pub sessions: u32,
    /// To the client or from it.
    #[arg(long, value_enum, default_value_t = Direction::Down)]
    pub direction: Direction,
    /// Of all sessions together.
    #[arg(long, default_value = "1GiB")]
    pub size: ByteSize,
}

/// At least one.
fn up_to(most: u32) -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(most))
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// From the server.
    Down,
    /// From the client.
    Up,
}

impl Case {
    /// The words of a command line that mean this case.
    pub(crate) fn words(&self) -> Vec<String> {
        let (name, options) = match self {
            Self::Many { sessions } => ("many", vec![("--sessions", sessions.to_string())]),
            Self::Streams { outstanding } => ("streams", vec![("--outstanding", outstanding.to_string())]),
            Self::Connect => ("connect", Vec::new()),
            Self::Idle { sessions } => ("idle", vec![("--sessions", sessions.to_string())]),
            Self::Echo => ("echo", Vec::new()),
            Self::Bulk(Bulk { paths, sessions, direction, size }) => {
                let direction = match direction {
                    Direction::Down => "down",
                    Direction::Up => "up",
                };
                let options = vec![
                    ("--paths", paths.to_string()),
                    ("--sessions", sessions.to_string()),
                    ("--direction", direction.to_owned()),
                    ("--size", size.to_string()),
                ];
                ("bulk", options)
            }
        };
        let options = options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]);
        std::iter::once(name.to_owned()).chain(options).collect()
    }

    /// Sessions, or streams where those are what there are many of.
    pub(crate) fn number(&self) -> u32 {
        match self {
            Self::Many { sessions } | Self::Idle { sessions } => *sessions,
            Self::Streams { outstanding } => *outstanding,
            Self::Bulk(bulk) => bulk.sessions,
            Self::Connect | Self::Echo => 1,
        }
    }

    /// How long it is measured if nobody says so. Keep-alives are 5 s apart: for idle sessions it is twice that.
    pub(crate) fn default_window(&self) -> Duration {
        match self {
            Self::Idle { .. } => Duration::from_secs(10),
            _ => Duration::from_secs(2),
        }
    }

    /// Sessions at one time. Where they come and go, those that are still being closed count.
    pub(crate) fn sessions(&self) -> usize {
        match self {
            Self::Many { sessions } | Self::Idle { sessions } => *sessions as usize,
            Self::Bulk(bulk) => bulk.sessions as usize,
            Self::Connect => 100 * DIALS_AT_ONCE,
            Self::Streams { .. } | Self::Echo => 1,
        }
    }

    /// Streams of one session that have to be allowed.
    pub(crate) fn streams(&self) -> u64 {
        match self {
            Self::Streams { outstanding } => u64::from(outstanding + SPARE_STREAMS),
            _ => u64::from(SPARE_STREAMS),
        }
    }

    /// Of each KWIK session.
    pub(crate) fn paths(&self) -> usize {
        match self {
            Self::Bulk(bulk) => bulk.paths as usize,
            _ => 1,
        }
    }

    /// Whether contenders stay as they are, rather than being set alike.
    pub(crate) fn keeps_defaults(&self) -> bool {
        matches!(self, Self::Bulk(_))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        case: Case,
    }

    #[test]
    fn the_words_of_a_case_mean_that_case() {
        let bulk = Bulk { paths: 2, sessions: 50, direction: Direction::Up, size: ByteSize(1 << 20) };
        let cases = [
            Case::Many { sessions: 10_000 },
            Case::Streams { outstanding: 7 },
            Case::Connect,
            Case::Idle { sessions: 3 },
            Case::Echo,
            Case::Bulk(bulk),
        ];
        for case in cases {
            let line = Line::try_parse_from(std::iter::once("program".to_owned()).chain(case.words()));
            assert_eq!(line.unwrap().case, case);
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for words in [["many", "--sessions=0"], ["streams", "--outstanding=65536"], ["bulk", "--paths=9"]] {
            assert!(Line::try_parse_from(["program"].into_iter().chain(words)).is_err(), "{words:?}");
        }
    }
}
