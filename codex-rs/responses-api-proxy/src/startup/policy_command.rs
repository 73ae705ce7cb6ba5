//! `policy check` and `policy explain`: what they read and what they print.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use codex_ledger::Measure;
use codex_policy::{Applied, Facts, Names, Policy, Under};

use crate::access::over_limit::{amount, per};
use crate::config::command::{ExplainArgs, PolicyCommand};
use crate::inspect::request_facts::{RequestEncoding, RequestInspector};
use crate::observe::user_names::UserNames;
use crate::startup::host_names::HostNames;

/// The longest policy, in bytes.
const MOST_OF_POLICY: u64 = 1024 * 1024;

/// The longest body that is explained, in bytes.
const MOST_OF_BODY: u64 = 64 * 1024 * 1024;

/// # Errors
///
/// A file that cannot be read, and what is wrong with a policy; a request that it does not allow.
pub(crate) fn run(command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check(args) => {
            let (policy, _) = read(&args.file)?;
            print_limits(&policy)?;
        }
        PolicyCommand::Explain(args) => explain(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<(Policy, HostNames)> {
    let of = || path.display().to_string();
    let mut text = String::new();
    let file = File::open(path).with_context(of)?;
    file.take(MOST_OF_POLICY)
        .read_to_string(&mut text)
        .with_context(of)?;
    let names = HostNames::new(UserNames::of_this_host());
    let policy = Policy::parse(&text, &names).with_context(of)?;
    Ok((policy, names))
}

fn print_limits(policy: &Policy) -> io::Result<()> {
    let mut output = io::stdout();
    let limits = policy.limits();
    if limits.is_empty() {
        writeln!(output, "nothing is wrong with it; it has no limits")?;
    }
    for (account, limit) in limits {
        let (most, per) = (amount(limit.measure, limit.most), per(limit.window));
        writeln!(output, "{}: {most} per {per}", account.key())?;
    }
    Ok(())
}

fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let (policy, names) = read(&args.file)?;
    let uid = args.user.as_deref().map(|user| number_of(user, &names));
    let uid = uid.transpose()?;
    let who = args
        .token
        .as_deref()
        .or(args.user.as_deref())
        .unwrap_or("everyone");
    let mut output = io::stdout();
    let applied = match policy.rules_for(uid, args.token.as_deref()) {
        Ok(applied) => applied,
        Err(denied) => bail!("refused: {}", denied.message),
    };
    writeln!(output, "{who} is charged to {}", applied.account.key())?;
    for limit in applied.rules.limits().iter() {
        let (most, per) = (amount(limit.measure, limit.most), per(limit.window));
        writeln!(output, "  {most} per {per}")?;
    }
    let Some(body) = &args.body else {
        return Ok(());
    };
    let facts = facts_of(body)?;
    writeln!(output, "the request: {}", described(&facts))?;
    match check(&policy, &applied, &facts, who) {
        Ok(()) => Ok(writeln!(
            output,
            "allowed, as long as its limits leave something"
        )?),
        Err(message) => bail!("refused: {message}"),
    }
}

fn check(policy: &Policy, applied: &Applied, facts: &Facts, who: &str) -> Result<(), String> {
    let mut limits = applied
        .rules
        .limits()
        .iter()
        .chain(policy.total().limits().iter());
    let under = Under {
        strict: false,
        spends: limits.any(|limit| limit.measure != Measure::Requests),
        multi_agent: false,
    };
    let checked = applied.rules.check(facts, &under, who);
    checked.map_err(|denied| denied.message)
}

fn number_of(user: &str, names: &HostNames) -> anyhow::Result<u32> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    names
        .user(user)
        .with_context(|| format!("there is no user {user}"))
}

fn facts_of(path: &Path) -> anyhow::Result<Facts> {
    let of = || path.display().to_string();
    let mut input: Box<dyn Read> = if path == Path::new("-") {
        #[expect(clippy::disallowed_methods, reason = "no key comes this way")]
        let input = io::stdin();
        Box::new(input.lock())
    } else {
        Box::new(File::open(path).with_context(of)?)
    };
    let mut inspector = RequestInspector::new(RequestEncoding::Identity, MOST_OF_BODY);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut buffer).with_context(of)?;
        if read == 0 {
            break;
        }
        let piece = buffer.get(..read).unwrap_or_default();
        if let Err(malformed) = inspector.push(piece) {
            bail!("refused: {malformed}");
        }
    }
    match inspector.finish() {
        Ok(facts) => Ok(facts),
        Err(malformed) => bail!("refused: {malformed}"),
    }
}

fn described(facts: &Facts) -> String {
    let mut parts = vec![format!("{} bytes", facts.bytes)];
    let texts = [
        ("model", facts.model.clone()),
        (
            "max_output_tokens",
            facts.max_output_tokens.map(|most| most.to_string()),
        ),
        ("service_tier", facts.service_tier.clone()),
        ("store", facts.store.map(|store| store.to_string())),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            parts.push(format!("{name} {text:?}"));
        }
    }
    let flags = [
        ("background", facts.background),
        ("previous_response_id", facts.previous_response_id),
        ("conversation", facts.conversation),
        ("prompt", facts.prompt),
    ];
    parts.extend(
        flags
            .iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| (*name).to_owned()),
    );
    if !facts.tools.is_empty() {
        parts.push(format!("tools {:?}", facts.tools));
    }
    parts.join(", ")
}
