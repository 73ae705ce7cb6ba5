//! The order of things: rounds, in each the scenarios, in each the contestants.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::comparison::Verdict;
use crate::contestant::{Contestant, Kind, Post, find};
use crate::report::Made;
use crate::results::Results;
use crate::scenarios::{Scale, Scenario, Wanted};
use crate::stage::{Ground, Pins};
use crate::{goals, plot, report};

/// Before everything else in results.md.
const ABOUT: &str = "# Results of a run\n\nMade by `scripts/bench`; [what it does and what the figures \
    mean](../benchmarks.md). Compare within this page only.\n\n";

/// Play the scenarios against the contestants and report the results
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// This project's `codex` program; may be repeated with labels to compare builds
    #[arg(long, value_name = "[LABEL=]PATH")]
    ours: Vec<String>,
    /// The native Codex CLI program, not the Node script that starts it
    #[arg(long, value_name = "PATH")]
    peer: Option<PathBuf>,
    /// The nginx program, if it is not on the PATH
    #[arg(long, value_name = "PATH")]
    nginx: Option<PathBuf>,
    /// The HAProxy program, if it is not on the PATH
    #[arg(long, value_name = "PATH")]
    haproxy: Option<PathBuf>,
    /// Measure only these kinds of contestant
    #[arg(long, value_enum, value_delimiter = ',')]
    contestants: Vec<Kind>,
    /// Play only these scenarios; S2 means all of its variants, S2-h1 the plain one
    #[arg(long, value_name = "S1,S2-h2,...", value_delimiter = ',')]
    only: Vec<Wanted>,
    /// Number of rounds; S11 is always played once [default: 3, or 10 with --compare]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Compare two builds (--ours, twice), figure by figure
    ///
    /// The exit status is 1 if the second build is worse than the first in any figure.
    #[arg(long)]
    compare: bool,
    /// With --compare: by how many percent a median must be worse to count
    #[arg(long, value_name = "PERCENT", default_value_t = 3.0)]
    tolerance: f64,
    /// Make a shorter, less precise measurement
    #[arg(long)]
    quick: bool,
    /// S3: number of streams
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    streams: u32,
    /// S4: total amount of data, in GB
    #[arg(long, value_name = "GB", default_value_t = 1.0)]
    gigabytes: f64,
    /// S11: number of requests
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    soak: usize,
    /// Pin the load and the upstream to the first half of the cores, contestants to the second
    #[arg(long)]
    pin: bool,
    /// Program that simulates the distant upstream of S9
    #[arg(long, value_name = "PATH")]
    far_link: Option<PathBuf>,
    #[command(flatten)]
    made: Made,
    /// Write results.md and its figures to this directory instead of printing tables
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the configurations of nginx and HAProxy, and exit
    #[arg(long)]
    show_config: bool,
}

/// Runs. The status is 1 if builds were to be compared and the second is worse.
///
/// # Errors
/// When the command line cannot be followed; that a contestant fails is a result.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    crate::process::raise_descriptor_limit();
    let contestants = contestants(args)?;
    if args.show_config {
        show_configurations(&contestants)?;
        return Ok(ExitCode::SUCCESS);
    }
    let builds = args.compare.then(|| builds(&contestants)).transpose()?;
    let scenarios = scenarios(args);
    let scale = scale(args);
    let ground = Ground {
        pins: args.pin.then(Pins::divide).transpose()?,
        far_link: args.far_link.clone(),
    };
    let rounds = usize::from(args.rounds.unwrap_or(if args.compare { 10 } else { 3 }));
    let report = Report {
        args,
        ground: &ground,
        contestants: &contestants,
        builds,
    };
    let mut results = Results::default();
    for round in 0..rounds {
        for &scenario in &scenarios {
            if round > 0 && scenario == Scenario::S11 {
                continue;
            }
            // Nobody is always the first on a machine that has been idle.
            let mut order = contestants.clone();
            order.rotate_left(round % contestants.len().max(1));
            for contestant in &order {
                play(&mut results, round, scenario, contestant, &scale, &ground);
            }
        }
        // After each round, so that a run that is cut short leaves something.
        if let Some(dir) = &args.out {
            report.write(dir, round + 1, &results)?;
        }
    }
    if args.out.is_none() {
        std::io::stdout().write_all(report.text(rounds, &results, "").as_bytes())?;
    }
    let is_worse = report.verdict(&results).is_some_and(|it| it.is_worse());
    Ok(ExitCode::from(u8::from(is_worse)))
}

/// What is the same in every report of a run.
struct Report<'a> {
    args: &'a Args,
    ground: &'a Ground,
    contestants: &'a [Contestant],
    builds: Option<(String, String)>,
}

impl Report<'_> {
    fn verdict(&self, results: &Results) -> Option<Verdict> {
        let (before, after) = self.builds.as_ref()?;
        Some(Verdict::of(results, before, after, self.args.tolerance))
    }

    /// The tables after so many rounds, with `figures` between what was aimed at and what was measured.
    fn text(&self, rounds: usize, results: &Results, figures: &str) -> String {
        let mut how = String::new();
        if self.args.quick {
            how.push_str(", shortened (--quick)");
        }
        if let Some(pins) = &self.ground.pins {
            how.push_str(&format!("; {}", pins.describe()));
        }
        let mut text = report::setting(self.contestants, rounds, &how, &self.args.made);
        if let Some(verdict) = self.verdict(results) {
            text.push_str(&verdict.table());
        }
        text.push_str(&goals::table(results, self.contestants));
        text.push_str(figures);
        text.push_str(&report::tables(results, self.contestants));
        text
    }

    fn write(&self, dir: &Path, rounds: usize, results: &Results) -> Result<()> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut figures = String::new();
        for (file, title) in plot::draw(results, self.contestants, dir)? {
            figures.push_str(&format!("![{title}]({file})\n\n"));
        }
        let text = self.text(rounds, results, &figures);
        let file = dir.join("results.md");
        let text = format!("{ABOUT}{}\n", text.trim_end());
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Those that were asked for and can be played here.
fn scenarios(args: &Args) -> Vec<Scenario> {
    let is_wanted = |scenario: &Scenario| {
        let mut wanted = args.only.iter().flat_map(|wanted| &wanted.0);
        args.only.is_empty() || wanted.any(|wanted| wanted == scenario)
    };
    let wanted = Scenario::ALL.into_iter().filter(is_wanted);
    let (played, far): (Vec<_>, Vec<_>) =
        wanted.partition(|scenario| scenario.link().is_none() || args.far_link.is_some());
    if !far.is_empty() {
        let far: Vec<&str> = far.iter().map(|scenario| scenario.name()).collect();
        say(format_args!(
            "skipped: {}: scripts/bench has to be run by root, with ip, nsenter, unshare, python3 and \
             /dev/net/tun",
            far.join(", ")
        ));
    }
    played
}

/// The labels of the two builds that are to be compared.
fn builds(contestants: &[Contestant]) -> Result<(String, String)> {
    let ours = contestants.iter().filter(|one| one.kind == Kind::Ours);
    let labels: Vec<&String> = ours.map(|one| &one.label).collect();
    match labels.as_slice() {
        [before, after] if before != after => Ok(((*before).clone(), (*after).clone())),
        _ => bail!("--compare needs two builds: --ours before=PATH --ours after=PATH"),
    }
}

fn play(
    results: &mut Results,
    round: usize,
    scenario: Scenario,
    contestant: &Contestant,
    scale: &Scale,
    ground: &Ground,
) {
    let label = &contestant.label;
    match scenario.play(contestant, scale, ground) {
        Ok(None) => {}
        Ok(Some(measurement)) => {
            let values = measurement.values.iter();
            let values: Vec<String> = values
                .map(|(quantity, value)| {
                    format!("{} {}", report::number(*value), quantity.heading())
                })
                .collect();
            say(format_args!(
                "{} {scenario} {label}: {}",
                round + 1,
                values.join(", ")
            ));
            results.add(scenario, contestant, measurement);
        }
        Err(error) => {
            say(format_args!(
                "{} {scenario} {label}: failed: {error:#}",
                round + 1
            ));
            results.fail(scenario, contestant, format!("{error:#}"));
        }
    }
}

fn scale(args: &Args) -> Scale {
    let shorter = if args.quick { 4.0 } else { 1.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of bytes"
    )]
    Scale {
        time: Duration::from_secs_f64(4.0 / shorter),
        warm_up: Duration::from_secs_f64(1.0 / shorter),
        flood: (args.gigabytes * 1e9 / shorter) as u64,
        streams: if args.quick {
            args.streams / 5
        } else {
            args.streams
        }
        .max(1),
        uploads: if args.quick { 8 } else { 40 },
        tries: if args.quick { 10 } else { 50 },
        starts: if args.quick { 3 } else { 10 },
        far_answers: if args.quick { 2 } else { 5 },
        slow_readers: if args.quick { 200 } else { 1_000 },
        soak: if args.quick {
            args.soak / 20
        } else {
            args.soak
        },
    }
}

/// Whoever was asked for and is there. Who is missing is named.
fn contestants(args: &Args) -> Result<Vec<Contestant>> {
    let wanted = |kind: Kind| args.contestants.is_empty() || args.contestants.contains(&kind);
    let mut found = Vec::new();
    if wanted(Kind::Direct) {
        found.push(Contestant::direct());
    }
    if wanted(Kind::Ours) {
        for ours in &args.ours {
            let (label, path) = ours.split_once('=').unwrap_or(("ours", ours));
            found.push(Contestant::new(Kind::Ours, label, path.as_ref())?);
        }
        if args.ours.is_empty() {
            say(format_args!("skipped: ours: name it with --ours PATH"));
        }
    }
    let asked_for = |kind: Kind| args.contestants.contains(&kind);
    let variants = [
        (Kind::OursLogged, wanted(Kind::OursLogged)),
        (Kind::OursLimited, wanted(Kind::OursLimited)),
        (Kind::OursUnwiped, asked_for(Kind::OursUnwiped)),
        (Kind::OursUnredacted, asked_for(Kind::OursUnredacted)),
        (Kind::OursUnconfined, asked_for(Kind::OursUnconfined)),
    ];
    for (kind, _) in variants.into_iter().filter(|(_, is_wanted)| *is_wanted) {
        let with = kind.to_string();
        for ours in &args.ours {
            let (label, path) = match ours.split_once('=') {
                Some((label, path)) => (with.replacen("ours", label, 1), path),
                None => (with.clone(), ours.as_str()),
            };
            found.push(Contestant::new(kind, &label, path.as_ref())?);
        }
    }
    let or_found = |named: &Option<PathBuf>, name| named.clone().or_else(|| find(name));
    let programs = [
        (Kind::Nginx, or_found(&args.nginx, "nginx")),
        (Kind::Haproxy, or_found(&args.haproxy, "haproxy")),
        (Kind::Peer, args.peer.clone()),
    ];
    for (kind, program) in programs {
        match program {
            _ if !wanted(kind) => {}
            Some(program) => found.push(Contestant::new(kind, &kind.to_string(), &program)?),
            None => say(format_args!(
                "skipped: {kind} is not installed (scripts/bench --install)"
            )),
        }
    }
    if found.is_empty() {
        bail!("no contestant is left");
    }
    Ok(found)
}

fn show_configurations(contestants: &[Contestant]) -> Result<()> {
    let post = Post {
        dir: "DIR".as_ref(),
        port: 8787,
        upstream: (Ipv4Addr::LOCALHOST, 8788).into(),
        authority: Some("DIR/authority.pem".as_ref()),
        cores: crate::stage::cores(),
    };
    for contestant in contestants {
        if let Some(text) = contestant.configuration(&post) {
            let mut out = std::io::stdout().lock();
            writeln!(out, "# {}\n{text}", contestant.label).context("the configuration")?;
        }
    }
    Ok(())
}

/// One line of progress.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
