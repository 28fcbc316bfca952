//! The codes of docs/PROTOCOL.md section 7, copied from its table.
#![allow(missing_docs, reason = "the table says what they mean")]

pub const NO_ERROR: u64 = 0x00;
pub const INTERNAL: u64 = 0x01;
pub const FRAME_ENCODING: u64 = 0x02;
pub const PROTOCOL_VIOLATION: u64 = 0x03;
pub const FLOW_CONTROL: u64 = 0x04;
pub const STREAM_LIMIT: u64 = 0x05;
pub const STREAM_STATE: u64 = 0x06;
pub const FINAL_SIZE: u64 = 0x07;
pub const LIMIT_EXCEEDED: u64 = 0x08;
pub const VERSION: u64 = 0x09;
pub const UNKNOWN_SESSION: u64 = 0x0a;
pub const BAD_PROOF: u64 = 0x0b;
pub const PATH_ID_USED: u64 = 0x0c;
pub const TOO_MANY_PATHS: u64 = 0x0d;
pub const TOO_MANY_SESSIONS: u64 = 0x0e;
pub const PATH_ABANDONED: u64 = 0x0f;
pub const SESSION_CLOSED: u64 = 0x10;
pub const RESUME_TIMEOUT: u64 = 0x11;
pub const HANDSHAKE_TIMEOUT: u64 = 0x12;
pub const GOING_AWAY: u64 = 0x13;
