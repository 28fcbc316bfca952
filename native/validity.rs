//! From when until when a certificate is valid: the one thing to be read out of a certificate here.
//!
//! A walk along the fields of RFC 5280 §4.1 up to `validity`, in DER. It never panics whatever the
//! bytes; what it cannot read is `None`, and a certificate of unknown validity is not trusted.

use std::time::Duration;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last second a certificate is valid, as time since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Duration,
    pub(super) not_after: Duration,
}

impl Validity {
    /// Reads the validity of a certificate in DER.
    pub(super) fn of(certificate_der: &[u8]) -> Option<Self> {
        let (certificate, _) = field(certificate_der, SEQUENCE)?;
        let (mut tbs, _) = field(certificate, SEQUENCE)?;
        if let Some((_version, rest)) = field(tbs, VERSION) {
            tbs = rest;
        }
        let (_serial_number, tbs) = field(tbs, INTEGER)?;
        let (_signature_algorithm, tbs) = field(tbs, SEQUENCE)?;
        let (_issuer, tbs) = field(tbs, SEQUENCE)?;
        let (validity, _subject_and_on) = field(tbs, SEQUENCE)?;
        let (not_before, validity) = time(validity)?;
        let (not_after, _) = time(validity)?;
        Some(Self { not_before, not_after })
    }

    /// Whether the certificate is valid at `now` (since 1970).
    pub(super) fn contains(&self, now: Duration) -> bool {
        self.not_before <= now && now.as_secs() <= self.not_after.as_secs()
    }
}

/// The contents of the next element, which must have this tag, and what follows the element.
fn field(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |value, &digit| value << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A `Time` of RFC 5280 §4.1.2.5, always in UTC and to the second, and what follows it.
fn time(der: &[u8]) -> Option<(Duration, &[u8])> {
    let (year, text, rest) = if let Some((text, rest)) = field(der, UTC_TIME) {
        let (year, text) = number(text, 2)?;
        (if year < 50 { 2000 + year } else { 1900 + year }, text, rest)
    } else {
        let (text, rest) = field(der, GENERALIZED_TIME)?;
        let (year, text) = number(text, 4)?;
        (year, text, rest)
    };
    let (month, text) = number(text, 2)?;
    let (day, text) = number(text, 2)?;
    let (hour, text) = number(text, 2)?;
    let (minute, text) = number(text, 2)?;
    let (second, text) = number(text, 2)?;
    let sane =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if text != b"Z" || !sane {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    Some((Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second), rest))
}

fn number(text: &[u8], digits: usize) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_at_checked(digits)?;
    let value = std::str::from_utf8(digits).ok()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((value.parse().ok()?, rest))
}

/// In the Gregorian calendar; none before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_years_before = |year: u64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    if year < 1970 {
        return None;
    }
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leap_days = leap_years_before(year) - leap_years_before(1970) + u64::from(is_leap && month > 2);
    let before_month = BEFORE_MONTH.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    Some((year - 1970) * 365 + leap_days + before_month + day - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_validity_of_a_certificate_is_read_in_both_of_its_notations() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 3, 1); // UTCTime
        params.not_after = rcgen::date_time_ymd(2096, 2, 29); // GeneralizedTime
        let validity = Validity::of(params.self_signed(&key).unwrap().der()).unwrap();
        assert_eq!(validity.not_before.as_secs(), 1_772_323_200);
        assert_eq!(validity.not_after.as_secs(), 3_981_312_000);
        assert!(validity.contains(validity.not_before) && validity.contains(validity.not_after));
        assert!(!validity.contains(validity.not_before - Duration::from_secs(1)));
        assert!(!validity.contains(validity.not_after + Duration::from_secs(1)));
    }

    #[test]
    fn days_are_counted_over_leap_years_and_centuries() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2100, 3, 1), 47_541),
            ((2026, 11, 23), 20_780),
        ] {
            assert_eq!(days_since_1970(date.0, date.1, date.2), Some(days), "{date:?}");
        }
        assert_eq!(days_since_1970(1969, 12, 31), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Validity::of(&bytes);
            let mut nested = vec![SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff];
            nested.extend_from_slice(&bytes);
            prop_assert_eq!(Validity::of(&nested), None);
            let _ = time(&bytes);
        }
    }
}
