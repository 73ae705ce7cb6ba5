//! `codex doctor`: what the client's configuration comes to, handed to the crate that looks at all the rest.

use std::process::ExitCode;

use codex_doctor::{ClientFacts, DoctorArgs, ProviderFacts, run_doctor};
use codex_exec::{ConfigOverride, ProviderInspection, inspect_config};

/// # Errors
///
/// Those of writing to standard output.
pub(crate) fn run(args: &DoctorArgs, overrides: &[ConfigOverride]) -> anyhow::Result<ExitCode> {
    let inspection = inspect_config(args.server_info.as_deref(), overrides);
    let is_unconfigured = matches!(&inspection.provider, Err(error) if error.is_unconfigured);
    let facts = ClientFacts {
        files: inspection.files,
        home: inspection.home,
        keys_in_files: inspection.keys_in_files,
        provider: match inspection.provider {
            Ok(provider) => Ok(facts_of(provider)),
            Err(error) => Err(error.message),
        },
        is_unconfigured,
    };
    Ok(run_doctor(args, Some(&facts))?)
}

fn facts_of(provider: ProviderInspection) -> ProviderFacts {
    ProviderFacts {
        id: provider.id,
        place: provider.place,
        is_on_this_host: provider.is_on_this_host,
        addresses: provider.addresses,
        proxy: provider.proxy,
        key_variables: provider.key_variables,
    }
}
