//! Rates, loss and delays as people write them: `50mbit`, `0.5%`, `10ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A link's rate in bits per second, counted over whole packets (headers included). Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// `bits` per second; zero is taken as one, because a link that never sends is [silence], not a rate.
    ///
    /// [silence]: crate::Forwarder::silence
    pub const fn bits_per_second(bits: u64) -> Self {
        Self(if bits == 0 { 1 } else { bits })
    }

    /// `mbit` million bits per second.
    pub const fn mbit(mbit: u64) -> Self {
        Self::bits_per_second(mbit * 1_000_000)
    }

    /// Bits per second.
    pub const fn as_bits_per_second(self) -> u64 {
        self.0
    }

    /// How long `len_bytes` take to leave.
    pub fn time_to_send(self, len_bytes: usize) -> Duration {
        Duration::from_secs_f64(len_bytes as f64 * 8.0 / self.0 as f64)
    }

    /// How many bytes leave in `time`.
    pub fn bytes_in(self, time: Duration) -> u64 {
        (self.0 as f64 / 8.0 * time.as_secs_f64()) as u64
    }
}

/// The probability that a packet is lost, between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Loss(f64);

impl Loss {
    /// No packet is lost.
    pub const NONE: Self = Self(0.0);

    /// `permille` packets of a thousand are lost; everything above 1000 means all.
    pub const fn permille(permille: u32) -> Self {
        Self(if permille > 1000 { 1.0 } else { permille as f64 / 1000.0 })
    }

    /// Between 0 and 1.
    pub const fn probability(self) -> f64 {
        self.0
    }
}

/// What was wrong with a rate, loss or delay given as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: write it like {example}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    example: &'static str,
}

/// Splits `text` into a number that is finite and not negative, and its unit in lower case.
fn number_and_unit(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { text: text.into(), what: "rate", example: "50mbit, 800kbit or 1gbit" };
        let (number, unit) = number_and_unit(text).ok_or_else(error)?;
        let factor = match unit.as_str() {
            "bit" => 1.0,
            "kbit" => 1e3,
            "mbit" => 1e6,
            "gbit" => 1e9,
            _ => return Err(error()),
        };
        match (number * factor) as u64 {
            0 => Err(error()),
            bits => Ok(Self(bits)),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bits if bits >= 1_000_000 => write!(f, "{}mbit", bits as f64 / 1e6),
            bits if bits >= 1_000 => write!(f, "{}kbit", bits as f64 / 1e3),
            bits => write!(f, "{bits}bit"),
        }
    }
}

impl FromStr for Loss {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError { text: text.into(), what: "loss rate", example: "0.5%" };
        match number_and_unit(text) {
            Some((percent, unit)) if unit == "%" && percent <= 100.0 => Ok(Self(percent / 100.0)),
            _ => Err(error()),
        }
    }
}

/// Reads a delay: `10ms`, `1.5s`, `300us`.
pub fn parse_delay(text: &str) -> Result<Duration, UnitError> {
    let error = || UnitError { text: text.into(), what: "delay", example: "10ms, 300us or 1.5s" };
    let (number, unit) = number_and_unit(text).ok_or_else(error)?;
    let seconds = match unit.as_str() {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        _ => return Err(error()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_every_unit() {
        assert_eq!("50mbit".parse(), Ok(Rate::mbit(50)));
        assert_eq!("1.5 Mbit".parse(), Ok(Rate::bits_per_second(1_500_000)));
        assert_eq!("2gbit".parse(), Ok(Rate::mbit(2000)));
        assert_eq!(Rate::mbit(50).to_string(), "50mbit");
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_with_an_example() {
        for text in ["", "fast", "50", "50mb", "-1mbit", "0mbit", "1.2.3mbit"] {
            let error = text.parse::<Rate>().expect_err(text);
            assert!(error.to_string().contains("50mbit"), "{error}");
        }
        for text in ["0.5", "101%", "-1%"] {
            assert!(text.parse::<Loss>().is_err(), "{text}");
        }
        for text in ["10", "ms", "10m"] {
            assert!(parse_delay(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loss_and_delay_are_read() {
        assert_eq!("0.5%".parse(), Ok(Loss::permille(5)));
        assert_eq!(parse_delay("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(parse_delay("1.5s"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn a_rate_says_how_long_and_how_much() {
        assert_eq!(Rate::mbit(12).time_to_send(1500), Duration::from_millis(1));
        assert_eq!(Rate::mbit(12).bytes_in(Duration::from_millis(1)), 1500);
    }
}
