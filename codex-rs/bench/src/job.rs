//! What the load asks of the upstream.
//!
//! A proxy lets nothing of the caller through but the body, so the wish is in the first bytes of
//! the JSON: `{"job":"at-once 200 150","model":"gpt-5.2","input":"xxxx"}`.

use std::fmt;

/// No body is shorter, and no job longer, in bytes.
pub(crate) const SHORTEST_BODY: usize = 64;

const BEFORE: &str = "{\"job\":\"";

/// What to answer. Sizes are in bytes, times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    /// So many events of a size, as fast as they can be written.
    AtOnce { events: u32, size: u32 },
    /// The same, each written by itself, and others served in between.
    OneByOne { events: u32, size: u32 },
    /// An event each period, at a phase of it, with a stamp of the clock inside, until the caller
    /// goes; that is reported under the number.
    Ticks {
        number: u32,
        period: u32,
        phase: u32,
    },
    /// One event and then nothing, until the caller goes; that is reported under the number.
    Silent { number: u32 },
    /// One event with the stamp of the request's arrival; the end comes after the time given.
    Late { hold: u32 },
}

impl Job {
    /// A JSON body of `size` bytes, or of the fewest that are possible, that asks for this.
    pub(crate) fn body(self, size: usize) -> Vec<u8> {
        let mut body = format!("{BEFORE}{self}\",\"model\":\"gpt-5.2\",\"input\":\"").into_bytes();
        body.resize(size.max(SHORTEST_BODY) - 2, b'x');
        body.extend_from_slice(b"\"}");
        body
    }

    /// The job in the first [`SHORTEST_BODY`] bytes of a body.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let first = body.get(..SHORTEST_BODY.min(body.len()))?;
        let words = std::str::from_utf8(first).ok()?.strip_prefix(BEFORE)?;
        let mut words = words.split('"').next()?.split(' ');
        let name = words.next()?;
        let mut number = || words.next()?.parse().ok();
        Some(match name {
            "at-once" => Self::AtOnce {
                events: number()?,
                size: number()?,
            },
            "one-by-one" => Self::OneByOne {
                events: number()?,
                size: number()?,
            },
            "ticks" => Self::Ticks {
                number: number()?,
                period: number()?,
                phase: number()?,
            },
            "silent" => Self::Silent { number: number()? },
            "late" => Self::Late { hold: number()? },
            _ => return None,
        })
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce { events, size } => write!(f, "at-once {events} {size}"),
            Self::OneByOne { events, size } => write!(f, "one-by-one {events} {size}"),
            Self::Ticks {
                number,
                period,
                phase,
            } => write!(f, "ticks {number} {period} {phase}"),
            Self::Silent { number } => write!(f, "silent {number}"),
            Self::Late { hold } => write!(f, "late {hold}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_through_in_a_body_of_the_size_asked_for() {
        for job in [
            Job::AtOnce {
                events: 200,
                size: 150,
            },
            Job::OneByOne { events: 1, size: 2 },
            Job::Ticks {
                number: 4999,
                period: 500,
                phase: 499,
            },
            Job::Silent { number: u32::MAX },
            Job::Late { hold: 3000 },
        ] {
            for size in [1024, 40 << 10] {
                let body = job.body(size);
                assert_eq!(body.len(), size);
                assert_eq!(Job::parse(&body), Some(job));
            }
            assert_eq!(job.body(0).len(), SHORTEST_BODY);
        }
        assert_eq!(Job::parse(b"{\"input\":\"hello\"}"), None);
    }
}
