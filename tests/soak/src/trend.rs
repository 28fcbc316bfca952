//! Whether a figure stays flat: the line through its samples by least squares.

/// A straight line through samples of `(seconds, value)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    /// The mean of all values.
    pub(crate) mean: f64,
    /// By how much the line rises from the first sample to the last; negative when it falls.
    pub(crate) rise: f64,
}

impl Trend {
    /// Of samples in the order of their times; `None` when these are fewer than three, or of one moment.
    pub(crate) fn of(samples: &[(f64, f64)]) -> Option<Self> {
        let [(first, _), _, .., (last, _)] = samples else { return None };
        let count = samples.len() as f64;
        let mean_of = |part: fn(&(f64, f64)) -> f64| samples.iter().map(part).sum::<f64>() / count;
        let (time, mean) = (mean_of(|sample| sample.0), mean_of(|sample| sample.1));
        let square: f64 = samples.iter().map(|(at, _)| (at - time) * (at - time)).sum();
        let product: f64 = samples.iter().map(|(at, value)| (at - time) * (value - mean)).sum();
        (square > 0.0).then(|| Self { mean, rise: product / square * (last - first) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_under_noise_is_seen_and_noise_alone_is_not() {
        let noise = |at: usize| [3.0, -3.0, 1.0, -1.0][at % 4];
        let samples = |slope: f64| -> Vec<_> {
            (0..=40).map(|at| (at as f64, 100.0 + slope * at as f64 + noise(at))).collect()
        };
        let rise = |slope| Trend::of(&samples(slope)).unwrap().rise;
        assert!((rise(2.0) - 80.0).abs() < 1.0, "{}", rise(2.0));
        assert!(rise(0.0).abs() < 1.0, "{}", rise(0.0));
        assert!((rise(-1.0) + 40.0).abs() < 1.0, "{}", rise(-1.0));
    }

    #[test]
    fn too_few_samples_give_no_trend() {
        assert_eq!(Trend::of(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
    }
}
