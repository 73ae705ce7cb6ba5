//! Which source counts, and what is said about one that cannot.

mod provider;

use std::collections::HashMap;
use std::fs;

use super::*;

/// A home with the files given, and variables.
struct Host {
    home: tempfile::TempDir,
    variables: HashMap<&'static str, String>,
}

impl Host {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(home.path().join(name), content).unwrap();
        }
        let path = home.path().to_str().unwrap().to_owned();
        Self {
            home,
            variables: HashMap::from([("CODEX_HOME", path)]),
        }
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    fn load(&self, args: &Common, overrides: &[&str]) -> Result<Config, String> {
        let overrides: Vec<ConfigOverride> =
            overrides.iter().map(|text| text.parse().unwrap()).collect();
        Config::load(args, &overrides, &|name| {
            self.variables.get(name).map(Into::into)
        })
        .map_err(|error| {
            error
                .to_string()
                .replace(self.home.path().to_str().unwrap(), "HOME")
        })
    }
}

fn args(model: Option<&str>, profile: Option<&str>) -> Common {
    Common {
        model: model.map(str::to_owned),
        profile: profile.map(str::to_owned),
        ..Common::default()
    }
}

const P: &str = "model_provider = 'p'\nmodel_providers.p.base_url = 'http://localhost:1/v1/'\n";

#[test]
fn from_the_weakest_to_the_strongest() {
    let with_profile = [("config.toml", P), ("x.config.toml", "model = 'profile'")];
    let host = Host::new(&with_profile);
    let model =
        |host: &Host, args: &Common, overrides: &[&str]| host.load(args, overrides).unwrap().model;
    assert_eq!(model(&host, &args(None, None), &[]), DEFAULT_MODEL);
    let file = format!("{P}\nmodel_reasoning_effort = 'low'\n[profiles.y]\nmodel = 'table'");
    let file = file.replace("model_provider =", "model = 'file'\nmodel_provider =");
    let host = Host::new(&[
        ("config.toml", &file),
        ("x.config.toml", "model = 'profile'"),
    ]);
    assert_eq!(model(&host, &args(None, None), &[]), "file");
    assert_eq!(model(&host, &args(None, Some("x")), &[]), "profile");
    assert_eq!(model(&host, &args(None, Some("y")), &[]), "table");
    assert_eq!(
        model(&host, &args(None, Some("x")), &["model=over"]),
        "over"
    );
    assert_eq!(
        model(&host, &args(None, None), &["model=a", "model='b'"]),
        "b"
    );
    assert_eq!(
        model(&host, &args(Some("flag"), Some("x")), &["model=over"]),
        "flag"
    );
    assert_eq!(model(&host, &args(None, None), &["profile=y"]), "table");
    // What a stronger source does not mention stays.
    let config = host.load(&args(None, Some("x")), &["model=over"]).unwrap();
    assert_eq!(config.effort.as_deref(), Some("low"));
}

#[test]
fn reasoning_is_shown_when_asked_for() {
    let host = Host::new(&[("config.toml", P)]);
    let asked = Common {
        show_reasoning: true,
        ..Common::default()
    };
    let summary = |args: &Common, overrides: &[&str]| host.load(args, overrides).unwrap().summary;
    assert_eq!(summary(&Common::default(), &[]), None);
    assert_eq!(summary(&asked, &[]).as_deref(), Some("auto"));
    assert_eq!(
        summary(&asked, &["model_reasoning_summary=none"]).as_deref(),
        Some("auto")
    );
    let detailed = ["model_reasoning_summary=detailed"];
    assert_eq!(
        summary(&Common::default(), &detailed).as_deref(),
        Some("detailed")
    );
    assert_eq!(summary(&asked, &detailed).as_deref(), Some("detailed"));
}

#[test]
fn a_fault_names_file_line_and_key() {
    for (files, overrides, says) in [
        (
            &[("config.toml", "\nmodel = 3")][..],
            &[][..],
            "HOME/config.toml:2: model: expected a string, found a whole number",
        ),
        (
            &[("config.toml", P)],
            &["model_providers.p.wire_api=chat"],
            "-c model_providers.p.wire_api: model_providers.p.wire_api: only wire_api",
        ),
        (
            &[("config.toml", P)],
            &["a b=1"],
            "-c a b: not a dotted key",
        ),
        (
            &[("config.toml", P)],
            &["profile=z"],
            "there is no profile z: neither HOME/z.config.toml nor [profiles.z] in HOME/config.toml",
        ),
        (
            &[("config.toml", P)],
            &["profile=../z"],
            "--profile ../z: a profile's name has only",
        ),
        (
            &[("config.toml", "[profiles.x]"), ("x.config.toml", "")],
            &["profile=x"],
            "the profile x is both in HOME/x.config.toml and in [profiles.x]",
        ),
        (
            &[("config.toml", P)],
            &["model_provider=q"],
            "model_provider = \"q\": there is no [model_providers.q]; there is openai, local-proxy, p",
        ),
        (
            &[],
            &["model_providers.q.name=Q", "model_provider=q"],
            "model_providers.q has no base_url",
        ),
        (
            &[],
            &["model_providers.openai.name=Q"],
            "model_providers.openai is built in",
        ),
        (
            &[],
            &[],
            "the provider \"openai\" needs an API key in OPENAI_API_KEY; set it, or keep",
        ),
        (
            &[],
            &["model_provider=local-proxy"],
            "model_provider = \"local-proxy\" needs to know",
        ),
        (
            &[("config.toml", P)],
            &[
                "model_providers.p.env_key=NOPE",
                "model_providers.p.env_key_instructions='see the wiki'",
            ],
            "the provider \"p\" needs an API key in NOPE: see the wiki",
        ),
    ] {
        let error = Host::new(files)
            .load(&Common::default(), overrides)
            .unwrap_err();
        assert!(error.starts_with(says), "{error}");
    }
    let nowhere = Host::new(&[]).set("CODEX_HOME", "/nowhere/at/all");
    let error = nowhere.load(&Common::default(), &[]).unwrap_err();
    assert!(error.starts_with("CODEX_HOME is /nowhere/at/all, which is not a directory"));
}

/// As root's, here of whoever runs the tests.
#[cfg(unix)]
fn system(file: &std::path::Path) -> Result<Option<sources::Source>, ConfigError> {
    let owners = codex_trusted_path::Trusted::by_this_process();
    sources::Source::owned_by(file, &owners)
}

#[test]
#[cfg(unix)]
fn the_system_s_file_is_used_only_if_nobody_else_could_have_written_it() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    assert!(system(&file).unwrap().is_none());
    fs::write(&file, "model = 'system'").unwrap();
    assert_eq!(
        system(&file).unwrap().unwrap().name,
        file.display().to_string()
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let refused = system(&file).unwrap_err().to_string();
    let says = format!(
        "{} is not used: others than its owner can write it",
        file.display()
    );
    assert!(refused.starts_with(&says), "{refused}");
    // Whoever runs the tests is not root, or the file is given away.
    let _ = std::os::unix::fs::chown(&file, Some(65534), None);
    let of_root = sources::Source::owned_by(&file, &codex_trusted_path::Trusted::root());
    assert!(matches!(of_root, Err(ConfigError::NotTrusted(..))));
}

#[test]
#[cfg(unix)]
fn the_system_s_file_is_the_weakest() {
    let system = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        system.path(),
        "model = 'system'\nservice_tier = 'fast'\n[profiles.z]\nmodel_verbosity = 'low'",
    )
    .unwrap();
    let host = Host::new(&[("config.toml", &format!("model = 'user'\n{P}"))]);
    let load = |args: &Common| {
        let environment = |name: &str| host.variables.get(name).map(Into::into);
        let given = P.trim().lines().map(|line| line.replace(" = ", "="));
        let given: Vec<ConfigOverride> = given.map(|text| text.parse().unwrap()).collect();
        let below = || super::tests::system(system.path());
        let sources = Sources::read_above(below, args, &given, &environment);
        Config::settle(args, sources.unwrap(), &environment).unwrap()
    };
    let config = load(&args(None, Some("z")));
    assert_eq!(config.model, "user");
    assert_eq!(config.service_tier.as_deref(), Some("priority"));
    assert_eq!(config.verbosity.as_deref(), Some("low"));
    let without_user = Common {
        ignore_user_config: true,
        ..Common::default()
    };
    assert_eq!(load(&without_user).model, "system");
}

#[test]
fn instructions_are_a_text_or_a_file() {
    let host = Host::new(&[
        (
            "config.toml",
            &format!("model_instructions_file = 'i.md'\n{P}"),
        ),
        ("i.md", "from the file beside it"),
    ]);
    let instructions = |given: Option<&str>| {
        let args = Common {
            instructions: given.map(str::to_owned),
            ..Common::default()
        };
        host.load(&args, &[]).map(|config| config.instructions)
    };
    let text = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(instructions(None), text("from the file beside it"));
    assert_eq!(instructions(Some("be brief")), text("be brief"));
    let path = host.home.path().join("i.md");
    let named = format!("@{}", path.display());
    assert_eq!(instructions(Some(&named)), text("from the file beside it"));
    let error = instructions(Some("@/nowhere/at/all")).unwrap_err();
    assert!(
        error.starts_with("could not read /nowhere/at/all"),
        "{error}"
    );
}

#[test]
fn keys_that_nobody_knows_are_noted_or_refused() {
    let host = Host::new(&[(
        "config.toml",
        &format!("modle = 'x'\nsandbox_mode = 'x'\nfoo = 1\n{P}"),
    )]);
    let config = host.load(&Common::default(), &[]).unwrap();
    let notes = config.notes.join("\n");
    assert!(
        notes.ends_with("modle is not a known key; did you mean model?"),
        "{notes}"
    );
    let strict = Common {
        strict_config: true,
        ..Common::default()
    };
    let error = host.load(&strict, &[]).unwrap_err();
    assert_eq!(
        error,
        "HOME/config.toml: foo is not a known key (--strict-config)"
    );
    let known = Host::new(&[("config.toml", &format!("sandbox_mode = 'x'\n{P}"))]);
    assert!(known.load(&strict, &[]).is_ok());
}

#[test]
fn what_is_effective_is_shown_with_its_source() {
    let host = Host::new(&[(
        "config.toml",
        &format!(
            "model = 'x'\nsandbox_mode = 'x'\n{P}[model_providers.p.http_headers]\nx-api-key = 'secret-1'\nx-a = 'b'"
        ),
    )]);
    let environment = |name: &str| host.variables.get(name).map(Into::into);
    let given = ["model='y'".parse().unwrap()];
    let shown = show::show(&args(None, None), &given, &environment).unwrap();
    let home = host.home.path().to_str().unwrap();
    assert_eq!(
        shown.replace(home, "HOME"),
        "model = \"y\"  # -c model\n\
         model_provider = \"p\"  # HOME/config.toml\n\
         model_providers.p.base_url = \"http://localhost:1/v1/\"  # HOME/config.toml\n\
         model_providers.p.http_headers.x-a = \"b\"  # HOME/config.toml\n\
         model_providers.p.http_headers.x-api-key = (hidden)  # HOME/config.toml\n\
         # requests go to http://localhost:1/v1/responses\n"
    );
}

#[cfg(unix)]
#[test]
fn a_home_may_have_any_name() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join(OsString::from_vec(b"h\xff".to_vec()));
    fs::create_dir(&home).unwrap();
    fs::write(home.join("config.toml"), format!("{P}model = 'there'")).unwrap();
    let environment = |name: &str| (name == "CODEX_HOME").then(|| home.clone().into_os_string());
    let config = Config::load(&Common::default(), &[], &environment).unwrap();
    assert_eq!(config.model, "there");
}
