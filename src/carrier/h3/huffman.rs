//! The Huffman code of field values (RFC 7541 section 5.2 and appendix B, by way of RFC 9204 section 4.1.2).
//!
//! The code is canonical: the lengths of its words say everything, and a word is found by comparing what was read with
//! the first word of each length. A header of a request is short; a bigger table would gain nothing.

/// The symbol that ends nothing: a string that holds it is wrong (RFC 7541 section 5.2).
const EOS: u16 = 256;
const SYMBOLS: usize = 257;
const MAX_WORD_BITS: usize = 30;

/// How many bits the word of each byte has, and last that of EOS.
#[rustfmt::skip]
const WORD_BITS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The words of one length.
#[derive(Clone, Copy)]
struct Words {
    /// The first of them; the others follow it.
    first: u32,
    count: u32,
    /// Where their symbols begin in [`Code::symbols`].
    at: usize,
}

struct Code {
    by_bits: [Words; MAX_WORD_BITS + 1],
    /// By length of their words, and then by value.
    symbols: [u16; SYMBOLS],
}

static CODE: Code = canonical();

const fn canonical() -> Code {
    let mut code =
        Code { by_bits: [Words { first: 0, count: 0, at: 0 }; MAX_WORD_BITS + 1], symbols: [0; SYMBOLS] };
    let (mut bits, mut next, mut placed) = (1, 0, 0);
    while bits <= MAX_WORD_BITS {
        next <<= 1;
        code.by_bits[bits] = Words { first: next, count: 0, at: placed };
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if WORD_BITS[symbol] as usize == bits {
                code.symbols[placed] = symbol as u16;
                code.by_bits[bits].count += 1;
                placed += 1;
                next += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    code
}

/// The string behind `bytes`; `None` when they are none. It has at most 8 bytes for each 5 of them.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len() * 8 / 5);
    let (mut word, mut bits) = (0_u32, 0);
    for byte in bytes {
        for shift in (0..8).rev() {
            word = word << 1 | u32::from(byte >> shift & 1);
            bits += 1;
            let words = CODE.by_bits.get(bits)?;
            let Some(nth) = word.checked_sub(words.first).filter(|nth| *nth < words.count) else { continue };
            let symbol = *CODE.symbols.get(words.at + nth as usize)?;
            if symbol == EOS {
                return None;
            }
            decoded.push(symbol as u8);
            (word, bits) = (0, 0);
        }
    }
    // What is left is the beginning of EOS, which is all ones, and less than a byte.
    (bits < 8 && word == (1 << bits) - 1).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_a_word_for_everything_and_no_word_to_spare() {
        let taken: u64 = WORD_BITS.iter().map(|bits| 1 << (MAX_WORD_BITS - usize::from(*bits))).sum();
        assert_eq!(taken, 1 << MAX_WORD_BITS);
    }

    /// RFC 7541 appendix C.4 and C.6.
    #[test]
    fn the_samples_of_the_rfc_read_as_they_should() {
        for (bytes, text) in [
            (&b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..], &b"www.example.com"[..]),
            (b"\xa8\xeb\x10\x64\x9c\xbf", b"no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f", b"custom-key"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", b"custom-value"),
            (b"\x64\x02", b"302"),
            (
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
                b"Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (b"", b""),
        ] {
            assert_eq!(decode(bytes).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for (bytes, why) in [
            (&b"\xff\xff\xff\xff"[..], "EOS"),
            (b"\x64\x02\xff", "a whole byte of padding"),
            (b"\xff", "a whole byte of padding alone"),
            (b"\x18", "padding of zeros"),
            (b"\xff\xff", "a word that is cut"),
        ] {
            assert_eq!(decode(bytes), None, "{why}");
        }
        assert_eq!(decode(b"\x1f").as_deref(), Some(&b"a"[..]), "padding of ones");
    }
}
