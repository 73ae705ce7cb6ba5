//! What one check comes to.

use std::borrow::Cow;

use serde::Serialize;

/// Whether what was looked at is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It is.
    Ok,
    /// It could be better, or may be meant so.
    Warning,
    /// A protection is missing, or something cannot work.
    Failed,
    /// It could not be seen; nothing follows from that.
    Unknown,
}

impl State {
    /// As it begins a line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Unknown => "unknown",
        }
    }
}

/// One check. No text of it ever holds a key, a token or the value of a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Which check, such as `host.landlock`: always the same name for the same check.
    pub(crate) check: &'static str,
    pub(crate) state: State,
    /// What was found.
    pub(crate) found: String,
    /// Why it matters.
    pub(crate) why: Cow<'static, str>,
    /// What to type, or to change, to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Finding {
    pub(crate) fn ok(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            check,
            state: State::Ok,
            found: found.into(),
            why: why.into(),
            mend: None,
        }
    }

    pub(crate) fn warning(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<Cow<'static, str>>,
        mend: impl Into<String>,
    ) -> Self {
        Self::ok(check, found, why).mended_by(State::Warning, mend.into())
    }

    pub(crate) fn failed(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<Cow<'static, str>>,
        mend: impl Into<String>,
    ) -> Self {
        Self::ok(check, found, why).mended_by(State::Failed, mend.into())
    }

    /// `mend` says how it could be seen.
    pub(crate) fn unknown(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<Cow<'static, str>>,
        mend: impl Into<String>,
    ) -> Self {
        Self::ok(check, found, why).mended_by(State::Unknown, mend.into())
    }

    /// [`ok`](Self::ok) if `is_ok`, else [`failed`](Self::failed).
    #[cfg(target_os = "linux")]
    pub(crate) fn ok_if(
        is_ok: bool,
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<Cow<'static, str>>,
        mend: impl Into<String>,
    ) -> Self {
        if is_ok {
            Self::ok(check, found, why)
        } else {
            Self::failed(check, found, why, mend)
        }
    }

    fn mended_by(mut self, state: State, mend: String) -> Self {
        self.state = state;
        self.mend = Some(mend);
        self
    }
}
