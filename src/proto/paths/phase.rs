//! The state machine of a path's life, with every transition in one `match`.
//!
//! ```text
//!   Dialling --> Greeting --+                  silent for its probe timeout
//!   (client)                +--> Established <------------------------------> Suspect
//!   (server)    Accepting --+         |              answers again                |
//!       |            |                | removed                                   | removed, or silent
//!       +-- gone <---+                +----------------> Closing <----------------+ for `path_timeout`: gone
//! ```
//!
//! Standby is a preference that active paths are used first, and says nothing of health: it is kept beside the phase.

use crate::proto::time::Time;

/// Where a path is in its life, seen from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The backend dials (client only).
    Dialling,
    /// The carrier is there; HELLO is to be sent, or has been, and ACCEPT is awaited.
    Greeting {
        hello_sent: Option<Time>,
    },
    /// Server: ACCEPT is to be sent.
    Accepting,
    Established,
    Suspect {
        since: Time,
    },
    Closing {
        until: Time,
    },
}

/// What moves a path to another phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseEvent {
    /// The carrier is there.
    Connected,
    HelloSent {
        at: Time,
    },
    /// ACCEPT went out, or came in.
    Accepted,
    /// No answer came for longer than the probe timeout.
    Silent {
        at: Time,
    },
    /// One came after all.
    Answered,
    /// It is being removed, and has until then to say so.
    Removed {
        until: Time,
    },
}

impl Phase {
    /// The phase after `event`; `None` where that changes nothing.
    pub(crate) fn after(self, event: PhaseEvent) -> Option<Self> {
        Some(match (self, event) {
            (Self::Dialling, PhaseEvent::Connected) => Self::Greeting { hello_sent: None },
            (Self::Greeting { hello_sent: None }, PhaseEvent::HelloSent { at }) => {
                Self::Greeting { hello_sent: Some(at) }
            }
            (Self::Greeting { .. } | Self::Accepting, PhaseEvent::Accepted) => Self::Established,
            (Self::Established, PhaseEvent::Silent { at }) => Self::Suspect { since: at },
            (Self::Suspect { .. }, PhaseEvent::Answered) => Self::Established,
            (_, PhaseEvent::Removed { until }) => Self::Closing { until },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Time = Time::ZERO;

    #[test]
    fn a_clients_path_is_dialled_greeted_and_established() {
        let greeting = Phase::Dialling.after(PhaseEvent::Connected).unwrap();
        let greeted = greeting.after(PhaseEvent::HelloSent { at: AT }).unwrap();
        assert_eq!(greeted, Phase::Greeting { hello_sent: Some(AT) });
        assert_eq!(greeted.after(PhaseEvent::Accepted), Some(Phase::Established));
    }

    #[test]
    fn only_an_established_path_falls_silent_and_only_a_suspect_one_recovers() {
        let suspect = Phase::Established.after(PhaseEvent::Silent { at: AT }).unwrap();
        assert_eq!(suspect.after(PhaseEvent::Answered), Some(Phase::Established));
        for phase in [Phase::Dialling, Phase::Accepting, suspect, Phase::Closing { until: AT }] {
            assert_eq!(phase.after(PhaseEvent::Silent { at: AT }), None, "{phase:?}");
        }
        assert_eq!(Phase::Established.after(PhaseEvent::Answered), None);
    }

    #[test]
    fn a_path_that_closes_does_nothing_else() {
        let closing = Phase::Suspect { since: AT }.after(PhaseEvent::Removed { until: AT }).unwrap();
        for event in [PhaseEvent::Connected, PhaseEvent::Accepted, PhaseEvent::Answered] {
            assert_eq!(closing.after(event), None, "{event:?}");
        }
    }
}
