use super::*;

use proptest::prelude::*;

use crate::chain::Chain;

/// The lines of a log, each with its line feed.
fn log(count: usize) -> Vec<Vec<u8>> {
    let mut chain = Chain::behind(LineHash::NONE);
    let mut lines = Vec::new();
    for number in 0..count {
        let object = format!(r#"{{"ts":"2026-11-28T14:03:07.123Z","v":1,"id":"6b-{number}"}}"#);
        let mut line = Vec::new();
        assert!(chain.append(object.as_bytes(), &mut line));
        lines.push(line);
    }
    lines
}

fn verify_files(files: &[&[u8]], expected: Option<LineHash>) -> (Vec<String>, Totals) {
    let mut found = Vec::new();
    let mut verification = Verification::new(expected, |finding: &Finding| {
        found.push(finding.to_string());
        Ok(())
    });
    for (number, file) in files.iter().enumerate() {
        verification.read(&format!("log.{number}"), *file).unwrap();
    }
    let totals = verification.end().unwrap();
    assert_eq!(u64::try_from(found.len()).unwrap(), totals.faults);
    (found, totals)
}

/// What is said of the lines, without the name of the file.
fn verify(lines: &[Vec<u8>]) -> Vec<String> {
    let (found, totals) = verify_files(&[&lines.concat()], None);
    if found.is_empty() {
        assert_eq!(totals.lines, u64::try_from(lines.len()).unwrap());
    }
    let without = |said: String| said.strip_prefix("log.0: ").unwrap().to_owned();
    found.into_iter().map(without).collect()
}

fn does_not_follow(line: usize) -> String {
    format!(
        "line {line}: does not follow from line {} (changed, removed, or in another order)",
        line - 1
    )
}

/// The number in `line 7: ...`.
fn line_of(said: &str) -> usize {
    let number = said.strip_prefix("line ").unwrap().split(':').next();
    number.unwrap().parse().unwrap()
}

proptest! {
    #[test]
    fn a_flipped_bit_is_found_in_its_line_or_the_next(
        count in 2..30_usize, line in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
    ) {
        let mut lines = log(count);
        prop_assert!(verify(&lines).is_empty());
        let line = line.index(count - 1);
        let bit = bit.index(lines[line].len() * 8);
        lines[line][bit / 8] ^= 1 << (bit % 8);
        let said = verify(&lines);
        prop_assert!(!said.is_empty());
        let first = line_of(&said[0]);
        prop_assert!(first == line + 1 || first == line + 2, "{line}: {said:?}");
    }

    #[test]
    fn a_line_that_was_removed_repeated_put_in_or_moved_is_found_where_it_was(
        count in 3..30_usize, one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
    ) {
        let whole = log(count);
        // Neither the first nor the last line.
        let line = 1 + one.index(count - 2);
        let mut lines = whole.clone();
        lines.remove(line);
        prop_assert_eq!(verify(&lines), [does_not_follow(line + 1)]);

        let mut lines = whole.clone();
        lines.insert(line, whole[line].clone());
        prop_assert_eq!(verify(&lines), [format!("line {}: is line {} once more", line + 2, line + 1)]);

        let mut lines = whole.clone();
        let mut forged = Vec::new();
        let before = whole[line - 1].trim_ascii_end();
        let is_appended = Chain::behind(LineHash::of(before)).append(br#"{"a":1}"#, &mut forged);
        prop_assert!(is_appended);
        lines.insert(line, forged);
        prop_assert_eq!(verify(&lines), [does_not_follow(line + 2)]);

        let other = other.index(count);
        if other != line {
            let mut lines = whole;
            lines.swap(line, other);
            let said = verify(&lines);
            // What the first line follows is not known.
            let first = line.min(other).max(1) + 1;
            prop_assert_eq!(&said[0], &does_not_follow(first));
        }
    }
}

#[test]
fn one_line_in_a_hundred_thousand_is_named() {
    let whole = log(100_000);
    assert!(verify(&whole).is_empty());
    let mut lines = whole.clone();
    lines[4_710][84] ^= 1;
    assert_eq!(verify(&lines), [does_not_follow(4_712)]);
    let mut lines = whole.clone();
    lines.remove(77_776);
    assert_eq!(verify(&lines), [does_not_follow(77_777)]);
    let mut lines = whole;
    lines.swap(99_000, 99_001);
    assert_eq!(
        verify(&lines),
        [99_001, 99_002, 99_003].map(does_not_follow)
    );
}

#[test]
fn what_is_not_a_line_of_an_audit_log_is_called_that() {
    let whole = log(3);
    for odd in ["\n", "{}\n", "{\"prev\":\"00\",\"a\":1}\n", "access log\n"] {
        let mut lines = whole.clone();
        lines[1] = odd.into();
        let said = verify(&lines);
        let expected = "line 2: is not a line of an audit log (changed, or put in)";
        assert_eq!(said, [expected, does_not_follow(3).as_str()], "{odd}");
    }
    // The last two in one, which no line after them tells.
    let joined = whole.concat();
    let end = joined.len() - whole[2].len() - 1;
    for flipped in (0..8).map(|bit| b'\n' ^ (1 << bit)) {
        let mut joined = joined.clone();
        joined[end] = flipped;
        let (said, _) = verify_files(&[&joined], None);
        assert!(
            said[0].starts_with("log.0: line 2: is not a line"),
            "{said:?}"
        );
    }
    let mut lines = whole;
    lines[1] = [vec![b'x'; LONGEST_LINE + 1], b"\n".to_vec()].concat();
    let said = verify(&lines);
    assert!(said[0].starts_with("line 2: is longer than"), "{said:?}");
    assert_eq!(said[1], does_not_follow(3));
}

#[test]
fn only_a_hash_that_was_kept_tells_of_the_last_line() {
    let mut lines = log(4);
    let hashes: Vec<LineHash> = lines
        .iter()
        .map(|line| LineHash::of(line.trim_ascii_end()))
        .collect();
    let expect = |lines: &[Vec<u8>], line: usize| {
        let (said, totals) = verify_files(&[&lines.concat()], Some(hashes[line]));
        assert!(said.is_empty(), "{said:?}");
        totals.expected_at
    };
    assert_eq!(expect(&lines, 3), Some(4));
    assert_eq!(expect(&lines, 1), Some(2));
    assert_eq!(expect(&lines[..3], 3), None);
    lines[3][84] ^= 1;
    assert_eq!(expect(&lines, 3), None);
}

#[test]
fn files_are_one_chain_in_their_order() {
    let whole = log(6);
    let [one, two] = [whole[..3].concat(), whole[3..].concat()];
    let (said, totals) = verify_files(&[&one, b"", &two], None);
    assert_eq!((said, totals.lines), (vec![], 6));
    let missing = whole[4..].concat();
    for files in [[&two, &one], [&one, &missing], [&one, &one]] {
        let (said, _) = verify_files(&files.map(Vec::as_slice), None);
        let expected = "log.1: line 1: does not follow from the last line of log.0 (changed, removed, or files in \
                        another order)";
        assert_eq!(said, [expected]);
    }
    // A later file alone says what it continues.
    let mut verification = Verification::new(None, |_: &Finding| Ok(()));
    let summary = verification.read("two", &two[..]).unwrap();
    let last = LineHash::of(whole[2].trim_ascii_end());
    let expected = FileSummary {
        lines: 3,
        continues: Some(last),
    };
    assert_eq!(summary, expected);
    assert_eq!(verification.end().unwrap().faults, 0);
}

#[test]
fn a_line_that_is_cut_off_is_a_fault_unless_the_next_file_begins_with_it() {
    let whole = log(3);
    let begun = |line: &[u8], count: usize| [whole[0].as_slice(), &line[..count]].concat();
    let rest = whole[1..].concat();
    for count in [1, 50, whole[1].len() - 1] {
        let one = begun(&whole[1], count);
        let (said, totals) = verify_files(&[&one, &rest], None);
        assert_eq!((said, totals.lines), (vec![], 3));
        let (said, _) = verify_files(&[&one], None);
        assert!(said[0].starts_with("log.0: line 2: is cut off"), "{said:?}");
    }
    // The same length, and other bytes.
    let (said, _) = verify_files(&[&begun(&whole[2], 100), &rest], None);
    assert!(said[0].starts_with("log.0: line 2: is cut off"), "{said:?}");
}

#[test]
fn what_the_log_says_is_missing_is_counted_and_what_a_caller_says_is_not() {
    let mut chain = Chain::behind(LineHash::NONE);
    let mut log = Vec::new();
    for object in [
        r#"{"event":"start","pid":7}"#,
        r#"{"event":"dropped","count":40}"#,
        r#"{"ts":"","message":"\"event\":\"dropped\"","event":"dropped","count":1}"#,
        r#"{"event":"refused","count":3}"#,
        r#"{"event":"dropped","count":2}"#,
    ] {
        assert!(chain.append(object.as_bytes(), &mut log));
    }
    let (said, totals) = verify_files(&[&log], None);
    assert!(said.is_empty());
    let counts = (totals.starts, totals.dropped, totals.refused);
    assert_eq!(counts, (1, 42, 3));
    assert_eq!(totals.last, Some(chain.last()));
}
