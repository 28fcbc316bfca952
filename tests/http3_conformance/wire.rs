//! HTTP/3 as bytes, right and wrong.

/// A number as QUIC writes it (RFC 9000 section 16).
pub(crate) fn varint(value: u64) -> Vec<u8> {
    match value {
        0..0x40 => vec![value as u8],
        0x40..0x4000 => (0x4000 | value as u16).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (0x8000_0000 | value as u32).to_be_bytes().to_vec(),
        _ => (0xc000_0000_0000_0000 | value).to_be_bytes().to_vec(),
    }
}

/// A frame, or a capsule.
pub(crate) fn frame(kind: u64, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    [&varint(kind)[..], &varint(payload.len() as u64), payload].concat()
}

/// SETTINGS of these pairs.
pub(crate) fn settings(pairs: &[(u64, u64)]) -> Vec<u8> {
    frame(
        0x04,
        pairs.iter().flat_map(|(id, value)| [varint(*id), varint(*value)].concat()).collect::<Vec<_>>(),
    )
}

/// A control stream that begins with such SETTINGS as browsers send, and goes on with this.
pub(crate) fn control(rest: impl AsRef<[u8]>) -> Vec<u8> {
    [&[0][..], &settings(&[(0x33, 1), (0xff_d277, 1), (0x2b60_3742, 1)]), rest.as_ref()].concat()
}

/// A lane's first bytes: the type or the signal, and the session's id.
pub(crate) fn lane(kind: u64, session: u64, payload: &str) -> Vec<u8> {
    [&varint(kind)[..], &varint(session), payload.as_bytes()].concat()
}

/// A DATA frame.
pub(crate) fn data(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x00, payload)
}

/// The capsule that closes a session.
pub(crate) fn close_capsule(code: u32, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(0x2843, [&code.to_be_bytes()[..], reason.as_ref()].concat())
}

/// A header, line by line.
#[derive(Clone)]
pub(crate) struct Header(Vec<(Vec<u8>, Vec<u8>)>);

impl Header {
    /// What asks for a session.
    pub(crate) fn connect() -> Self {
        Self::of(&[
            (":method", "CONNECT"),
            (":scheme", "https"),
            (":authority", "localhost:4433"),
            (":path", "/.well-known/kwik/1"),
            (":protocol", "webtransport"),
        ])
    }

    /// What any browser asks any server.
    pub(crate) fn get() -> Self {
        Self::of(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost:4433"),
            (":path", "/"),
        ])
    }

    pub(crate) fn of(lines: &[(&str, &str)]) -> Self {
        Self(
            lines.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect(),
        )
    }

    /// With one more line.
    pub(crate) fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// With a line before all others.
    pub(crate) fn with_first(mut self, name: &str, value: &str) -> Self {
        self.0.insert(0, (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(it, _)| it != name.as_bytes());
        self
    }

    /// With another value where the line is.
    pub(crate) fn set(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for (it, old) in &mut self.0 {
            if it == name.as_bytes() {
                *old = value.as_ref().to_vec();
            }
        }
        self
    }

    /// As QPACK writes it with literals alone (RFC 9204 section 4.5.6).
    pub(crate) fn section(&self) -> Vec<u8> {
        let lines = self.0.iter().flat_map(|(name, value)| {
            [integer(0x20, 3, name.len()), name.clone(), integer(0, 7, value.len()), value.clone()].concat()
        });
        [0, 0].into_iter().chain(lines).collect()
    }

    /// In a HEADERS frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        frame(0x01, self.section())
    }
}

/// A number as QPACK writes it (RFC 9204 section 4.1.1).
pub(crate) fn integer(flags: u8, prefix_bits: u32, value: usize) -> Vec<u8> {
    let most = (1 << prefix_bits) - 1;
    if value < most {
        return vec![flags | value as u8];
    }
    let mut bytes = vec![flags | most as u8];
    let mut left = value - most;
    while left > 0x7f {
        bytes.push(0x80 | left as u8);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

/// CONNECT's header up to its last line, to be continued by hand.
pub(crate) fn connect_and_line(line: &[u8]) -> Vec<u8> {
    frame(0x01, [&Header::connect().section()[..], line].concat())
}
