//! Pure: how likely it is that two samples differ as much as these by chance.

/// The two-sided p-value of the rank-sum test (Wilcoxon 1945; Mann and Whitney 1947): the probability, if both
/// samples came from the same distribution, that their ranks are as uneven as here or more. Exact, also where
/// values are equal: all ways in which these ranks can fall to the two are counted. 1 if a sample is empty.
pub(crate) fn p_value(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<f64> = a.iter().chain(b).copied().collect();
    all.sort_by(f64::total_cmp);
    // Twice the rank, so that it is whole: equal values share the mean of their places.
    let doubled = |value: f64| {
        let below = all.iter().filter(|&&other| other < value).count();
        let not_above = all.iter().filter(|&&other| other <= value).count();
        below + not_above + 1
    };
    let ranks: Vec<usize> = all.iter().map(|&value| doubled(value)).collect();
    let seen: usize = a.iter().map(|&value| doubled(value)).sum();

    // ways[k][s]: in how many ways k of the ranks have the sum s.
    let sum: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0_f64; sum + 1]; a.len() + 1];
    if let Some(none) = ways.first_mut().and_then(|sums| sums.first_mut()) {
        *none = 1.0;
    }
    for &rank in &ranks {
        for taken in (0..a.len()).rev() {
            let (without, with) = ways.split_at_mut(taken + 1);
            let from = without.last().map(Vec::as_slice).unwrap_or_default();
            let to = with.first_mut().map(|sums| sums.iter_mut().skip(rank));
            for (to, from) in to.into_iter().flatten().zip(from) {
                *to += from;
            }
        }
    }
    let counted = ways.last().map(Vec::as_slice).unwrap_or_default();
    let total: f64 = counted.iter().sum();
    let most: f64 = counted.iter().skip(seen).sum();
    let least: f64 = counted.iter().take(seen + 1).sum();
    (2.0 * most.min(least) / total).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value}");
    }

    #[test]
    fn the_exact_distribution_is_counted() {
        // One of C(10, 5) = 252 ways on either side.
        let (low, high) = ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]);
        assert_near(p_value(&low, &high), 2.0 / 252.0);
        assert_near(p_value(&high, &low), 2.0 / 252.0);
        // U = 4 of samples of 4: 12 of C(8, 4) = 70 ways have that or less.
        let (a, b) = ([1.0, 2.0, 4.0, 7.0], [3.0, 5.0, 6.0, 8.0]);
        let u: usize = a.iter().map(|a| b.iter().filter(|b| a > *b).count()).sum();
        assert_eq!(u, 4);
        assert_near(p_value(&a, &b), 2.0 * 12.0 / 70.0);
    }

    #[test]
    fn equal_values_are_no_difference() {
        assert_near(p_value(&[1.0; 10], &[1.0; 10]), 1.0);
        assert_near(p_value(&[], &[1.0]), 1.0);
        // All ways but those with the odd one on this side or the other.
        assert_near(p_value(&[1.0, 1.0], &[1.0, 2.0]), 1.0);
    }
}
