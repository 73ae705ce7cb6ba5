//! What a process and its descendants use, from proc(5).

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// How often memory and threads are looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// For some ten thousand streams, two descriptors each.
const ENOUGH: u64 = 65_536;

/// Used at one moment, summed over all processes of a tree.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all threads so far, in seconds; it comes in ticks, mostly of 10 ms.
    pub(crate) cpu: f64,
    /// Resident memory in KiB. What processes share is counted in each.
    pub(crate) rss: f64,
    pub(crate) threads: f64,
    /// The most resident memory so far, in KiB; of one process alone there is a record.
    peak: Option<f64>,
}

/// The process `root` and its descendants.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        let found = children.remove(pid).unwrap_or_default();
        tree.extend(found);
        next += 1;
    }
    tree
}

/// The fields of /proc/PID/stat from the third on: what stands before may contain anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

/// What these processes use at this moment.
///
/// # Errors
/// When one of them is gone.
pub(crate) fn usage(pids: &[u32]) -> Result<Usage> {
    let mut sum = Usage::default();
    for &pid in pids {
        let gone = || format!("process {pid} has ended");
        let fields = stat(pid).with_context(gone)?;
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let ticks = ticks(11).zip(ticks(12)).with_context(gone)?;
        #[expect(clippy::cast_precision_loss, reason = "it is 100")]
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        sum.cpu += (ticks.0 + ticks.1) / per_second;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(gone)?;
        let number = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        sum.rss += number("VmRSS:").with_context(gone)?;
        sum.threads += number("Threads:").with_context(gone)?;
        sum.peak = if pids.len() == 1 {
            number("VmHWM:")
        } else {
            None
        };
    }
    Ok(sum)
}

/// What a tree of processes holds on to at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Resident memory, in KiB.
    pub(crate) rss: f64,
    pub(crate) threads: f64,
    /// Open descriptors.
    pub(crate) descriptors: f64,
}

/// What the process `root` and its descendants hold on to.
///
/// # Errors
/// When one has ended, or does not let us look at its descriptors.
pub(crate) fn held(root: u32) -> Result<Held> {
    let pids = tree(root);
    let used = usage(&pids)?;
    let mut descriptors = 0.0;
    for pid in pids {
        let open = fs::read_dir(format!("/proc/{pid}/fd"));
        let open = open.with_context(|| format!("the descriptors of {pid}, which root can see"))?;
        descriptors += open.fold(0.0, |sum, _| sum + 1.0);
    }
    Ok(Held {
        rss: used.rss,
        threads: used.threads,
        descriptors,
    })
}

/// Looks at a tree of processes from time to time until it is asked what it saw.
pub(crate) struct Watch {
    pids: Vec<u32>,
    before: Usage,
    stop: Sender<()>,
    thread: JoinHandle<Usage>,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// CPU time between them, in seconds.
    pub(crate) cpu: f64,
    /// The most resident memory, in KiB.
    pub(crate) rss: f64,
    /// Resident memory at the first of the two, in KiB.
    pub(crate) rss_before: f64,
    /// The most threads.
    pub(crate) threads: f64,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn begin(root: u32) -> Result<Self> {
        let pids = tree(root);
        let before = usage(&pids)?;
        let (stop, stopped) = channel();
        let watched = pids.clone();
        let thread = std::thread::spawn(move || {
            let mut most = before;
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if let Ok(now) = usage(&watched) {
                    most.rss = most.rss.max(now.rss);
                    most.threads = most.threads.max(now.threads);
                }
            }
            most
        });
        Ok(Self {
            pids,
            before,
            stop,
            thread,
        })
    }

    /// Ends and says what was used.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn end(self) -> Result<Used> {
        let after = usage(&self.pids)?;
        drop(self.stop);
        let most = self.thread.join().unwrap_or(self.before);
        Ok(Used {
            cpu: after.cpu - self.before.cpu,
            rss: after.peak.unwrap_or(most.rss.max(after.rss)),
            rss_before: self.before.rss,
            threads: most.threads.max(after.threads),
        })
    }
}

/// Ends a process and its descendants at once, without asking them.
pub(crate) fn kill_tree(root: u32) {
    for pid in tree(root) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ended_already = kill_process(pid, Signal::KILL);
        }
    }
}

/// Allows this process, and those it starts, many descriptors: [`ENOUGH`] where a privilege lets it,
/// else as many as it may have (getrlimit(2)). Returns how many.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(ENOUGH);
    let wanted = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let granted = [ENOUGH.max(most), most]
        .into_iter()
        .find(|&most| setrlimit(Resource::Nofile, wanted(most)).is_ok());
    granted
        .or(getrlimit(Resource::Nofile).current)
        .unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_and_its_memory_are_seen() {
        let own = std::process::id();
        let before = usage(&[own]).unwrap();
        assert!(before.rss > 500.0 && before.threads >= 1.0);
        let start = usage(&[own]).unwrap().cpu;
        while usage(&[own]).unwrap().cpu < start + 0.02 {}
    }

    #[test]
    fn an_open_file_is_held() {
        // Again where the child of another test has just ended.
        let held_now = || loop {
            if let Ok(held) = held(std::process::id()) {
                break held;
            }
        };
        let before = held_now();
        let files = [(); 50].map(|()| fs::File::open("/dev/null").unwrap());
        let after = held_now();
        drop(files);
        // Other tests open and close some.
        assert!(after.descriptors > before.descriptors + 20.0);
    }

    #[test]
    fn a_tree_has_its_branches() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60; true"])
            .spawn()
            .unwrap();
        let found = loop {
            let found = tree(child.id());
            if found.len() == 2 {
                break found;
            }
        };
        kill_tree(child.id());
        child.wait().unwrap();
        assert_eq!(found.first(), Some(&child.id()));
    }
}
