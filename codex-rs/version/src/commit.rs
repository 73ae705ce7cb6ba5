//! Which commit the sources are of, and how that is written. Compiled into `build.rs` alone.

/// Digits of the hash that are shown: as many as `git log --oneline` shows of a repository of this size.
const SHOWN: usize = 7;

/// Digits of a SHA-256, the longest hash that git has (gitglossary(7), object name).
const LONGEST: usize = 64;

/// A version with the commit that `hash` names and its date, `2026-11-29`.
///
/// # Errors
///
/// What was given is not a hash or not a date, in words for whoever set `CODEX_COMMIT` or `CODEX_COMMIT_DATE`.
pub(crate) fn with_commit(version: &str, hash: &str, date: Option<&str>) -> Result<String, String> {
    let is_hash = hash.len() >= SHOWN
        && hash.len() <= LONGEST
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(shown) = hash.get(..SHOWN).filter(|_| is_hash) else {
        return Err(format!(
            "CODEX_COMMIT has to be the hash of a commit, and is {hash:?}"
        ));
    };
    let Some(date) = date else {
        return Ok(format!("{version} ({shown})"));
    };
    if !is_date(date) {
        return Err(format!(
            "CODEX_COMMIT_DATE has to be as 2026-11-29, and is {date:?}"
        ));
    }
    Ok(format!("{version} ({shown} {date})"))
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::with_commit;

    const HASH: &str = "55a35e1c0ffee55a35e1c0ffee55a35e1c0ffee5";

    #[test]
    fn the_commit_stands_behind_the_version() {
        let dated = with_commit("1.2.3", HASH, Some("2026-11-29"));
        assert_eq!(dated.as_deref(), Ok("1.2.3 (55a35e1 2026-11-29)"));
        let undated = with_commit("1.2.3", "55a35e1", None);
        assert_eq!(undated.as_deref(), Ok("1.2.3 (55a35e1)"));
    }

    #[test]
    fn what_is_not_a_commit_does_not_become_a_version() {
        for hash in ["", "55a35e", "v1.0.0-rc1", &HASH.repeat(2)] {
            let refused = with_commit("1.2.3", hash, None).unwrap_err();
            assert!(refused.contains("CODEX_COMMIT "), "{refused}");
        }
        for date in ["", "today", "29.11.2026", "2026-11-29T00"] {
            let refused = with_commit("1.2.3", HASH, Some(date)).unwrap_err();
            assert!(refused.contains("CODEX_COMMIT_DATE "), "{refused}");
        }
    }
}
