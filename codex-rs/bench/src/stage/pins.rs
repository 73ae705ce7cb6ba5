//! Who runs on which processor cores.

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The first half of the cores for the load and the upstream, the second for the contestant.
#[derive(Clone, Debug)]
pub(crate) struct Pins {
    load: Vec<usize>,
    contestant: Vec<usize>,
}

impl Pins {
    /// Divides the cores that this process may use, and keeps this thread, and what it starts, to its half.
    ///
    /// # Errors
    /// When there is only one.
    pub(crate) fn divide() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("which cores there are")?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|&core| allowed.is_set(core))
            .collect();
        ensure!(all.len() > 1, "--pin needs two cores at least");
        let (load, contestant) = all.split_at(all.len() / 2);
        let pins = Self {
            load: load.to_vec(),
            contestant: contestant.to_vec(),
        };
        keep_to(&pins.load)?;
        Ok(pins)
    }

    /// How many cores the contestant has.
    pub(super) fn of_contestant(&self) -> usize {
        self.contestant.len()
    }

    /// Does something whose processes run on the contestant's cores: what is started runs where who starts
    /// it does (sched_setaffinity(2)), and a program such as taskset(1) before it would be in its time to start.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) fn on_contestant<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        keep_to(&self.contestant)?;
        let started = start();
        keep_to(&self.load)?;
        Ok(started)
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        let list = |cores: &[usize]| {
            let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
            cores.join(",")
        };
        format!(
            "load and upstream on cores {}, the contestant on cores {}",
            list(&self.load),
            list(&self.contestant)
        )
    }
}

fn keep_to(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    sched_setaffinity(None, &set).context("cannot keep to some cores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_runs_on_its_half() {
        // On a thread of its own: others keep all cores.
        let thread = std::thread::spawn(|| {
            let Ok(pins) = Pins::divide() else {
                assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
                return;
            };
            let allowed = |pid: &str| -> String {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
                let line = status
                    .lines()
                    .find(|line| line.starts_with("Cpus_allowed:"));
                line.unwrap().to_owned()
            };
            let mut command = std::process::Command::new("sleep");
            let mut child = pins
                .on_contestant(|| command.arg("60").spawn().unwrap())
                .unwrap();
            let (own, its) = (allowed("thread-self"), allowed(&child.id().to_string()));
            child.kill().unwrap();
            child.wait().unwrap();
            assert_ne!(own, its);
        });
        thread.join().unwrap();
    }
}
