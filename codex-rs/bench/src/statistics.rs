//! Pure: percentiles, medians and spread.

/// The value below which `share` (0 to 1) of the values lie, by the nearest rank; NaN of none.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into what is in memory"
    )]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let at = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The median of the rounds, and the least and the most of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of all these values; `None` of none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let negated: Vec<f64> = values.iter().map(|value| -value).collect();
        (!values.is_empty()).then(|| Self {
            // Of an even number of rounds, the middle of the middle two.
            median: f64::midpoint(percentile(values, 0.5), -percentile(&negated, 0.5)),
            least: percentile(values, 0.0),
            most: percentile(values, 1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&values, 0.5), 50.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&values, 1.0), 100.0);
        assert!(percentile(&[], 0.5).is_nan());
        assert_eq!(Spread::of(&[]), None);
        let spread = Spread {
            median: 2.0,
            least: 1.0,
            most: 9.0,
        };
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0]), Some(spread));
        assert_eq!(Spread::of(&[9.0, 1.0, 1.0, 3.0]), Some(spread));
    }
}
