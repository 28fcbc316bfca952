//! QPACK with a server that has no dynamic table.

use super::wire::{Header, connect_and_line, frame, integer};
use super::{Case, Do, From, Must, case, code, hold};

/// What is said on a stream of this kind.
fn said(name: &'static str, rule: &'static str, stream: u8, bytes: &[u8], must: Must) -> Case {
    case(name, rule, From::Settings, vec![Do::Uni(1, [&[stream][..], bytes].concat())], must)
}

/// A request whose header is this.
fn header(name: &'static str, rule: &'static str, section: &[u8], must: Must) -> Case {
    case(name, rule, From::Settings, vec![Do::Bi(0, frame(1, section))], must)
}

/// CONNECT with one more line.
fn line(name: &'static str, rule: &'static str, line: &[u8], must: Must) -> Case {
    case(name, rule, From::Settings, vec![Do::Bi(0, connect_and_line(line))], must)
}

const ENCODER: u8 = 2;
const DECODER: u8 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_nothing_to_say_about_a_table_that_is_not_there() {
    use Must::{Close, GoOn};
    let encoder = Close(code::ENCODER_STREAM_ERROR);
    let decoder = Close(code::DECODER_STREAM_ERROR);
    let critical = Close(code::CLOSED_CRITICAL_STREAM);
    let twice = |kind| vec![Do::Uni(1, vec![kind]), Do::Uni(2, vec![kind])];
    hold(vec![
        said("capacity 0", "RFC 9204 4.3.1", ENCODER, &[0x20], GoOn),
        said("capacity 1", "RFC 9204 4.3.1", ENCODER, &[0x21], encoder),
        said("capacity 4096", "RFC 9204 4.3.1", ENCODER, &integer(0x20, 5, 4096), encoder),
        said(
            "a capacity of 70 bits",
            "RFC 9204 4.1.1",
            ENCODER,
            &[&[0x3f][..], &[0xff; 10]].concat(),
            encoder,
        ),
        said("a field with a static name", "RFC 9204 3.2.2", ENCODER, b"\xc1\x01x", encoder),
        said("a field with a dynamic name", "RFC 9204 4.3.2", ENCODER, b"\x80\x01x", encoder),
        said("a field", "RFC 9204 3.2.2", ENCODER, b"\x41x\x01y", encoder),
        said("a field again", "RFC 9204 4.3.4", ENCODER, &[0x00], encoder),
        said("nothing yet", "RFC 9204 4.2", ENCODER, b"", GoOn),
        case(
            "a second encoder",
            "RFC 9204 4.2",
            From::Settings,
            twice(ENCODER),
            Close(code::STREAM_CREATION_ERROR),
        ),
        case(
            "an encoder's end",
            "RFC 9204 4.2",
            From::Settings,
            vec![Do::Uni(1, vec![2]), Do::FinishUni(1)],
            critical,
        ),
        case(
            "an encoder's reset",
            "RFC 9204 4.2",
            From::Bound,
            vec![Do::Uni(1, vec![2]), Do::Uni(2, vec![3]), Do::Settle, Do::ResetUni(2)],
            critical,
        ),
        said("an increment of 0", "RFC 9204 4.4.3", DECODER, &[0x00], decoder),
        said("an increment of 1", "RFC 9204 4.4.3", DECODER, &[0x01], decoder),
        said("an increment of 1,000", "RFC 9204 4.4.3", DECODER, &integer(0, 6, 1000), decoder),
        said("thanks for a header", "RFC 9204 4.4.1", DECODER, &[0x80], decoder),
        said("a cancelled stream", "RFC 9204 4.4.2", DECODER, &[0x40], GoOn),
        said(
            "a cancelled stream of a large number",
            "RFC 9204 4.4.2",
            DECODER,
            &integer(0x40, 6, 1 << 40),
            GoOn,
        ),
        said(
            "a cancelled stream of 70 bits",
            "RFC 9204 4.1.1",
            DECODER,
            &[&[0x7f][..], &[0xff; 10]].concat(),
            decoder,
        ),
        case(
            "a second decoder",
            "RFC 9204 4.2",
            From::Settings,
            twice(DECODER),
            Close(code::STREAM_CREATION_ERROR),
        ),
        case(
            "a decoder's end",
            "RFC 9204 4.2",
            From::Settings,
            vec![Do::Uni(1, vec![3]), Do::FinishUni(1)],
            critical,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_is_made_of_literals_and_the_static_table() {
    use Must::{Answer, Close, Reset};
    let failed = Close(code::DECOMPRESSION_FAILED);
    let section = Header::connect().section();
    let with_prefix = |prefix: &[u8]| [prefix, &section[2..]].concat();
    hold(vec![
        header("a required insert count of 1", "RFC 9204 4.5.1.1", &with_prefix(&[1, 0]), failed),
        header("a required insert count of 255", "RFC 9204 4.5.1.1", &with_prefix(&[255, 0, 0]), failed),
        header("a base below 0", "RFC 9204 4.5.1.2", &with_prefix(&[0, 0x80]), failed),
        header("a base above 0", "RFC 9204 4.5.1.2", &with_prefix(&[0, 5]), Answer(0, 200)),
        header("no prefix", "RFC 9204 4.5.1", &[], failed),
        header("half a prefix", "RFC 9204 4.5.1", &[0], failed),
        header("a prefix alone", "RFC 9114 4.3.1", &[0, 0], Reset(0, code::MESSAGE_ERROR)),
        line("a dynamic line", "RFC 9204 3.2.4", &[0x80], failed),
        line("a dynamic line after the base", "RFC 9204 4.5.3", &[0x10], failed),
        line("a dynamic name", "RFC 9204 4.5.4", b"\x40\x01x", failed),
        line("a dynamic name after the base", "RFC 9204 4.5.5", b"\x00\x01x", failed),
        line("the last line of the static table", "RFC 9204 3.1", &integer(0xc0, 6, 98), Answer(0, 200)),
        line("the line after that", "RFC 9204 3.1", &integer(0xc0, 6, 99), failed),
        line(
            "the last name of the static table",
            "RFC 9204 3.1",
            &[integer(0x50, 4, 98), vec![1, b'x']].concat(),
            Answer(0, 200),
        ),
        line("the name after that", "RFC 9204 3.1", &[integer(0x50, 4, 99), vec![1, b'x']].concat(), failed),
        line("an index of 70 bits", "RFC 9204 4.1.1", &[&[0xff][..], &[0xff; 10]].concat(), failed),
        line("an index that is cut", "RFC 9204 4.1.1", &[0xff, 0x80], failed),
        line("a name that is cut", "RFC 9204 4.1.2", b"\x23ab", failed),
        line("a value that is cut", "RFC 9204 4.1.2", b"\x21a\x05bcd", failed),
        line("a value that is not there", "RFC 9204 4.5.6", b"\x21a", failed),
        line("a secret", "RFC 9204 4.5.6", b"\x31a\x01b", Answer(0, 200)),
        line(
            "Huffman's code",
            "RFC 7541 5.2",
            b"\x2f\x01\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x86\xa8\xeb\x10\x64\x9c\xbf",
            Answer(0, 200),
        ),
        line("Huffman's EOS", "RFC 7541 5.2", b"\x21a\x84\xff\xff\xff\xff", failed),
        line("Huffman's padding of zeros", "RFC 7541 5.2", b"\x21a\x81\x18", failed),
        line("Huffman's padding of a byte", "RFC 7541 5.2", b"\x21a\x83\x64\x02\xff", failed),
        line("Huffman's code in a name", "RFC 7541 5.2", b"\x29\x18\x01x", failed),
        header(
            "the static table's CONNECT and https",
            "RFC 9204 A",
            &[
                &[0, 0, 0xc0 | 15, 0xc0 | 23][..],
                &Header::connect().without(":method").without(":scheme").section()[2..],
            ]
            .concat(),
            Answer(0, 200),
        ),
        header(
            "the static table's CONNECT twice",
            "RFC 9114 4.3.1",
            &[&[0, 0, 0xc0 | 15][..], &section[2..]].concat(),
            Reset(0, code::MESSAGE_ERROR),
        ),
    ])
    .await;
}
