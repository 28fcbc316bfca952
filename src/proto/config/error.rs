//! Validation of configuration values, and the error that names the field.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A configuration value is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A count, or a number of bytes.
    #[error("{field} is {value}: expected {min} to {max}")]
    Number {
        /// The field, as it is written in Rust, such as `stream_receive_window.initial_bytes`.
        field: &'static str,
        /// What it was set to.
        value: u64,
        /// The smallest allowed value.
        min: u64,
        /// The largest allowed value.
        max: u64,
    },
    /// A time.
    #[error("{field} is {value:?}: expected {min:?} to {max:?}")]
    Time {
        /// The field, as it is written in Rust, such as `path_timeout`.
        field: &'static str,
        /// What it was set to.
        value: Duration,
        /// The shortest allowed time.
        min: Duration,
        /// The longest allowed time.
        max: Duration,
    },
}

impl ConfigError {
    /// An error when a count, or a number of bytes, is none of those allowed.
    pub(crate) fn check(
        field: &'static str,
        value: u64,
        allowed: RangeInclusive<u64>,
    ) -> Result<(), ConfigError> {
        let (min, max) = allowed.into_inner();
        if (min..=max).contains(&value) { Ok(()) } else { Err(Self::Number { field, value, min, max }) }
    }

    /// An error when a time is none of those allowed.
    pub(crate) fn check_time(
        field: &'static str,
        value: Duration,
        allowed: RangeInclusive<Duration>,
    ) -> Result<(), ConfigError> {
        let (min, max) = allowed.into_inner();
        if (min..=max).contains(&value) { Ok(()) } else { Err(Self::Time { field, value, min, max }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_is_said_with_what_is() {
        let error = ConfigError::check("max_paths", 0, 1..=256).unwrap_err();
        assert_eq!(error.to_string(), "max_paths is 0: expected 1 to 256");
        let times = Duration::from_millis(1)..=Duration::from_secs(60);
        let error = ConfigError::check_time("path_timeout", Duration::ZERO, times).unwrap_err();
        assert_eq!(error.to_string(), "path_timeout is 0ns: expected 1ms to 60s");
    }
}
