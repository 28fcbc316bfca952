//! QPACK (RFC 9204) without a dynamic table: this end offers none, and uses none of the peer's.
//!
//! Fields come as a list, in order and with their repetitions, which is what the rules of HTTP are about.

use std::borrow::Cow;

use bytes::{Buf, BufMut, BytesMut};

use super::code::H3Code;
use super::ended::{Ended, violation};
use super::frames::MAX_FIELD_SECTION_BYTES;
use super::huffman;
use super::static_table::STATIC_TABLE;
use crate::proto::wire::varint;

/// What a field counts beyond its name and value (RFC 9114 section 4.2.2).
const FIELD_OVERHEAD_BYTES: u64 = 32;

/// A line of a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Cow<'static, [u8]>,
    pub(super) value: Cow<'static, [u8]>,
}

/// A header that is not to be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SectionError {
    /// It is none; the compression's state would be unknown from here on.
    Broken(&'static str),
    /// It is longer than this end said it may be.
    TooLarge,
}

use SectionError::{Broken, TooLarge};

const CUT_OFF: SectionError = Broken("a header that is cut off");
const DYNAMIC: SectionError = Broken("a header that needs a dynamic table");
const TOO_BIG: SectionError = Broken("a number of more than 62 bits in a header");

/// The fields of a header (RFC 9204 section 4.5).
pub(super) fn decode(mut section: &[u8]) -> Result<Vec<Field>, SectionError> {
    if integer(&mut section, 8)? != 0 {
        return Err(DYNAMIC);
    }
    // With the sign, the base would lie before the table's beginning (section 4.5.1.2).
    let is_negative = section.first().ok_or(CUT_OFF)? & 0x80 != 0;
    integer(&mut section, 7)?;
    if is_negative {
        return Err(Broken("a header with a base below 0"));
    }
    let mut left_bytes = MAX_FIELD_SECTION_BYTES;
    let mut fields = Vec::new();
    while let Some(first) = section.first() {
        let field = match first {
            0b1100_0000.. => {
                let (name, value) = static_field(integer(&mut section, 6)?)?;
                Field { name: name.as_bytes().into(), value: value.as_bytes().into() }
            }
            0b0101_0000..=0b0101_1111 | 0b0111_0000..=0b0111_1111 => {
                let (name, _) = static_field(integer(&mut section, 4)?)?;
                Field { name: name.as_bytes().into(), value: string(&mut section, 7)?.into() }
            }
            0b0010_0000..=0b0011_1111 => {
                let name = string(&mut section, 3)?.into();
                Field { name, value: string(&mut section, 7)?.into() }
            }
            _ => return Err(DYNAMIC),
        };
        let size = (field.name.len() + field.value.len()) as u64 + FIELD_OVERHEAD_BYTES;
        left_bytes = left_bytes.checked_sub(size).ok_or(TooLarge)?;
        fields.push(field);
    }
    Ok(fields)
}

fn static_field(index: u64) -> Result<(&'static str, &'static str), SectionError> {
    let field = usize::try_from(index).ok().and_then(|index| STATIC_TABLE.get(index));
    field.copied().ok_or(Broken("a field that the static table does not have"))
}

fn integer(bytes: &mut &[u8], prefix_bits: u32) -> Result<u64, SectionError> {
    match take_integer(bytes, prefix_bits) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(CUT_OFF),
        Err(TooBig) => Err(TOO_BIG),
    }
}

/// A string whose length has a prefix of so many bits, with the flag for Huffman's code before it (section 4.1.2).
fn string(bytes: &mut &[u8], prefix_bits: u32) -> Result<Vec<u8>, SectionError> {
    let is_huffman = bytes.first().ok_or(CUT_OFF)? >> prefix_bits & 1 == 1;
    let len = usize::try_from(integer(bytes, prefix_bits)?).map_err(|_| TOO_BIG)?;
    let (text, rest) = bytes.split_at_checked(len).ok_or(CUT_OFF)?;
    *bytes = rest;
    if is_huffman {
        huffman::decode(text).ok_or(Broken("a string that Huffman's code does not have"))
    } else {
        Ok(text.to_vec())
    }
}

/// A number of more than 62 bits: larger than any that QPACK has a use for (section 4.1.1).
#[derive(Debug, PartialEq, Eq)]
struct TooBig;

/// Takes a number off the front (RFC 7541 section 5.1); `None`, and `bytes` as they were, when it is not complete.
fn take_integer(bytes: &mut &[u8], prefix_bits: u32) -> Result<Option<u64>, TooBig> {
    let Some((first, mut rest)) = bytes.split_first() else { return Ok(None) };
    let most = (1_u64 << prefix_bits) - 1;
    let mut value = u64::from(*first) & most;
    let mut shift = 0;
    let mut goes_on = value == most;
    while goes_on {
        let Some((byte, after)) = rest.split_first() else { return Ok(None) };
        rest = after;
        // At most nine of them: the sum stays below 2^64.
        value += u64::from(byte & 0x7f) << shift;
        goes_on = byte & 0x80 != 0;
        shift += 7;
        if value > varint::MAX || goes_on && shift > 56 {
            return Err(TooBig);
        }
    }
    *bytes = rest;
    Ok(Some(value))
}

/// Writes a header of these fields, as literals.
pub(super) fn encode(fields: &[(&str, &str)]) -> BytesMut {
    let mut section = BytesMut::from(&[0, 0][..]);
    for (name, value) in fields {
        put_integer(&mut section, 0b0010_0000, 3, name.len());
        section.put_slice(name.as_bytes());
        put_integer(&mut section, 0, 7, value.len());
        section.put_slice(value.as_bytes());
    }
    section
}

fn put_integer(buf: &mut BytesMut, flags: u8, prefix_bits: u32, value: usize) {
    let most = (1 << prefix_bits) - 1;
    if value < most {
        buf.put_u8(flags | value as u8);
        return;
    }
    buf.put_u8(flags | most as u8);
    let mut left = value - most;
    while left > 0x7f {
        buf.put_u8(0x80 | left as u8);
        left >>= 7;
    }
    buf.put_u8(left as u8);
}

/// One of the peer's two streams of instructions (RFC 9204 section 4.2).
#[derive(Debug)]
pub(super) enum Instructions {
    /// About the table that this end decodes with.
    Encoder(BytesMut),
    /// About the table that this end encodes with.
    Decoder(BytesMut),
}

impl Instructions {
    /// Reads on. There is hardly anything that may be said about tables that are not there.
    pub(super) fn read(&mut self, data: &[u8]) -> Result<(), Ended> {
        let (buffer, is_encoder) = match self {
            Self::Encoder(buffer) => (buffer, true),
            Self::Decoder(buffer) => (buffer, false),
        };
        buffer.extend_from_slice(data);
        while let Some(first) = buffer.first() {
            let prefix_bits = match (is_encoder, first) {
                // Set Dynamic Table Capacity (section 4.3.1).
                (true, 0b0010_0000..=0b0011_1111) => 5,
                (true, _) => return Err(violation(H3Code::QpackEncoderStream, "a field for no table")),
                // Stream Cancellation (section 4.4.2).
                (false, 0b0100_0000..=0b0111_1111) => 6,
                (false, _) => {
                    return Err(violation(
                        H3Code::QpackDecoderStream,
                        "thanks for a field that was not sent",
                    ));
                }
            };
            let mut rest = &buffer[..];
            match (take_integer(&mut rest, prefix_bits), is_encoder) {
                (Ok(None), _) => return Ok(()),
                (Ok(Some(0)), true) | (Ok(Some(_)), false) => {}
                (_, true) => return Err(violation(H3Code::QpackEncoderStream, "a table above the limit")),
                (Err(TooBig), false) => {
                    return Err(violation(H3Code::QpackDecoderStream, "a number of more than 62 bits"));
                }
            }
            let used = buffer.len() - rest.len();
            buffer.advance(used);
        }
        *buffer = BytesMut::new();
        Ok(())
    }

    /// What it keeps.
    #[cfg(fuzzing)]
    pub(super) fn kept_bytes(&self) -> usize {
        match self {
            Self::Encoder(buffer) | Self::Decoder(buffer) => buffer.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(name: &'static str, value: &'static str) -> Field {
        Field { name: name.as_bytes().into(), value: value.as_bytes().into() }
    }

    #[test]
    fn each_kind_of_line_reads_as_what_it_stands_for() {
        for (line, expected) in [
            (&b"\xd9"[..], field(":status", "200")),
            (b"\xff\x23", field("x-frame-options", "sameorigin")),
            (b"\x51\x01/", field(":path", "/")),
            (b"\x5f\x00\x06secret", field(":method", "secret")),
            (b"\x71\x01x", field(":path", "x")),
            (b"\x23abc\x02de", field("abc", "de")),
            (
                b"\x2f\x01\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x86\xa8\xeb\x10\x64\x9c\xbf",
                field("custom-key", "no-cache"),
            ),
            (b"\x37\x00sevenup\x00", field("sevenup", "")),
        ] {
            let section = [&[0, 0][..], line].concat();
            assert_eq!(decode(&section), Ok(vec![expected]), "{line:x?}");
        }
    }

    #[test]
    fn repetitions_and_order_are_kept() {
        let fields = [(":method", "CONNECT"), ("a", "1"), (":method", "GET"), ("a", "2")];
        let read = decode(&encode(&fields)).unwrap();
        assert_eq!(read, fields.map(|(name, value)| field(name, value)));
    }

    #[test]
    fn numbers_have_62_bits_and_no_more() {
        // RFC 7541 appendix C.1.
        assert_eq!(take_integer(&mut &[0b1110_1010][..], 5), Ok(Some(10)));
        assert_eq!(take_integer(&mut &[31, 154, 10][..], 5), Ok(Some(1337)));
        let largest = [0xff, 0x80, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f];
        assert_eq!(take_integer(&mut &largest[..], 8), Ok(Some(varint::MAX)));
        for end in 0..largest.len() {
            assert_eq!(take_integer(&mut &largest[..end], 8), Ok(None));
        }
        let mut larger = largest;
        larger[1] += 1;
        assert_eq!(take_integer(&mut &larger[..], 8), Err(TooBig));
        assert_eq!(take_integer(&mut &[&[0xff][..], &[0x80; 20]].concat()[..], 8), Err(TooBig));
    }

    #[test]
    fn a_header_may_be_as_long_as_this_end_says_and_no_longer() {
        let value = "x".repeat(MAX_FIELD_SECTION_BYTES as usize - 33);
        assert!(decode(&encode(&[("n", &value)])).is_ok());
        assert_eq!(decode(&encode(&[("nn", &value)])), Err(TooLarge));
        // One byte of a static line counts for forty.
        assert_eq!(decode(&[&[0, 0][..], &[0xd9; 400]].concat()), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(fields in prop::collection::vec(("[a-z:]{0,300}", "[ -~]{0,300}"), 0..20)) {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let read = decode(&encode(&fields)).unwrap();
            let read: Vec<_> = read
                .iter()
                .map(|it| (str::from_utf8(&it.name).unwrap(), str::from_utf8(&it.value).unwrap()))
                .collect();
            prop_assert_eq!(read, fields);
        }
    }
}
