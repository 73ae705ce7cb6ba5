use clap::Parser;

use super::*;
use crate::config::args::Args;

const IDS: [&str; 4] = [
    "--identity-provider-id",
    "idp",
    "--service-account-id",
    "sa",
];

fn parsed(args: &[&str]) -> Result<IdentityArgs, clap::Error> {
    let args = ["codex-responses-api-proxy"].iter().chain(args);
    Args::try_parse_from(args).map(|args| args.identity)
}

fn source(args: &[&str]) -> Result<CredentialSource, WorkloadConfigError> {
    credential_source(parsed(&[&IDS, args].concat()).unwrap(), true)
}

fn github(url: &str, more: &[&str]) -> Result<String, String> {
    let args = [
        "--github-oidc",
        "--oidc-audience",
        "a b&c",
        "--github-oidc-request-url",
        url,
    ];
    match source(&[&args, more].concat()) {
        Ok(CredentialSource::Workload(config)) => match config.subject {
            SubjectSource::GitHub(url) => Ok(url.to_string()),
            other => panic!("{other:?}"),
        },
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn each_flag_of_the_peer_needs_the_others() {
    let five: [&[&str]; 5] = [
        &["--github-oidc"],
        &["--oidc-audience", "a"],
        &["--identity-provider-id", "i"],
        &["--service-account-id", "s"],
        &[
            "--github-oidc-request-url",
            "https://x.actions.githubusercontent.com/",
        ],
    ];
    assert!(parsed(&five.concat()).is_ok());
    for without in 0..5 {
        let mut four = five.to_vec();
        let left_out = four.remove(without)[0];
        let error = parsed(&four.concat()).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{left_out}");
        assert!(error.to_string().contains(left_out), "{left_out}: {error}");
    }
    for flag in five {
        let error = parsed(flag).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
    let all = parsed(&["--github-oidc"]).unwrap_err().to_string();
    for other in &five[1..] {
        assert!(all.contains(other[0]), "{all}");
    }
    assert_eq!(parsed(&["--oidc-audience", ""]).unwrap_err().exit_code(), 2);
}

#[test]
fn one_identity_is_shown_and_it_needs_the_two_ids() {
    for flag in [&["--identity-token-file", "/t"][..], &["--azure-imds", "r"]] {
        assert!(parsed(&[&IDS, flag].concat()).is_ok());
        assert_eq!(parsed(flag).unwrap_err().exit_code(), 2, "{flag:?}");
        let two = [&IDS, flag, &["--google-metadata", "--oidc-audience", "a"]].concat();
        assert_eq!(parsed(&two).unwrap_err().exit_code(), 2, "{flag:?}");
    }
    for alone in [
        &["--token-exchange-url", "https://h/"][..],
        &["--github-oidc-host", "h"],
        &["--metadata-address", "127.0.0.1:1"],
        &["--azure-client-id", "c"],
        &["--google-metadata"],
    ] {
        assert_eq!(parsed(alone).unwrap_err().exit_code(), 2, "{alone:?}");
    }
    assert!(parsed(&["--enable", "a", "--disable", "b", "--enable", "c"]).is_ok());
}

#[test]
fn the_request_url_is_one_of_github_s_and_gets_the_audience() {
    let encoded = "audience=a%20b%26c";
    let at = |path: &str| format!("https://p.actions.githubusercontent.com/{path}");
    assert_eq!(
        github(&at("t?v=2"), &[]),
        Ok(at(&format!("t?v=2&{encoded}")))
    );
    assert_eq!(github(&at("t"), &[]), Ok(at(&format!("t?{encoded}"))));
    let enterprise = ["--github-oidc-host", "GitHub.corp.example"];
    let url = "https://github.corp.example/_services/token";
    assert_eq!(github(url, &enterprise), Ok(format!("{url}?{encoded}")));
    for url in [
        "https://actions.githubusercontent.com.evil.example/",
        "https://actions.githubusercontent.com/",
        "https://evilactions.githubusercontent.com/",
        "https://github.corp.example/",
        "https://127.0.0.1/",
    ] {
        let error = github(url, &[]).unwrap_err();
        assert!(
            error.contains("which is not one of GitHub's"),
            "{url}: {error}"
        );
    }
    for url in [
        "http://p.actions.githubusercontent.com/",
        "https://u@p.actions.githubusercontent.com/",
        "https://:p@p.actions.githubusercontent.com/",
        "https://p.actions.githubusercontent.com/#f",
    ] {
        let error = github(url, &[]).unwrap_err();
        assert!(
            error.contains("has to be https, without user info"),
            "{error}"
        );
    }
    assert!(
        github("nope", &[])
            .unwrap_err()
            .contains("is not an absolute URL")
    );
    let error = github(&at("t"), &["--github-oidc-host", "a b"]).unwrap_err();
    assert!(error.contains("is not a host"), "{error}");
}

#[test]
fn machines_ask_their_metadata_service_and_nobody_else() {
    let subject = |args: &[&str]| match source(args) {
        Ok(CredentialSource::Workload(config)) => config.subject,
        other => panic!("{other:?}"),
    };
    let azure = ["--azure-imds", "api://x", "--azure-client-id", "c d"];
    let SubjectSource::Azure(url) = subject(&azure) else {
        panic!("not Azure's");
    };
    let wanted = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
                  &resource=api%3A%2F%2Fx&client_id=c%20d";
    assert_eq!(url.as_str(), wanted);
    let google = ["--google-metadata", "--oidc-audience", "a"];
    let found = subject(&google);
    assert!(found.token_type().ends_with(":id_token"));
    let SubjectSource::Google(url) = found else {
        panic!("not Google's");
    };
    let wanted = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/\
                  identity?audience=a";
    assert_eq!(url.as_str(), wanted);
    for (address, is_near) in [
        ("127.0.0.1:80", true),
        ("169.254.169.254:80", true),
        ("[fd00:ec2::254]:80", true),
        ("10.0.0.1:80", false),
        ("[2001:db8::1]:80", false),
    ] {
        let args = [&google[..], &["--metadata-address", address]].concat();
        assert_eq!(source(&args).is_ok(), is_near, "{address}");
    }
}

#[test]
fn a_token_of_openai_goes_to_openai() {
    let args = parsed(&[&IDS[..], &["--identity-token-file", "/t"]].concat()).unwrap();
    let error = credential_source(args.clone(), false).unwrap_err();
    assert!(error.to_string().contains("--token-exchange-url as well"));
    let elsewhere = |url: &str| IdentityArgs {
        token_exchange_url: Some(url.to_owned()),
        ..args.clone()
    };
    assert!(credential_source(elsewhere("https://sts.example/token"), false).is_ok());
    assert!(credential_source(elsewhere("http://127.0.0.1/token"), false).is_err());
    let CredentialSource::Workload(config) = credential_source(args, true).unwrap() else {
        panic!("no identity");
    };
    assert_eq!(
        config.exchange_url.as_str(),
        "https://auth.openai.com/oauth/token"
    );
    assert!(config.subject.token_type().ends_with(":jwt"));
}
