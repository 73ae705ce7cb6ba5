//! The flags of workload identity on the real binary.

use codex_test_support::{TEST_KEY, run_to_exit};

use crate::PROXY;

const IDS: [&str; 4] = [
    "--identity-provider-id",
    "idp",
    "--service-account-id",
    "sa",
];
const AUDIENCE: [&str; 3] = ["--github-oidc", "--oidc-audience", "aud"];
const URL: &str = "--github-oidc-request-url";

fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = run_to_exit(PROXY, args, &[], TEST_KEY.as_bytes());
    assert_eq!(output.stdout, "");
    (output.code, output.stderr)
}

#[test]
fn flags_of_the_peer_are_accepted() {
    let (code, stderr) = run(&["--github-oidc"]);
    assert_eq!(code, Some(2));
    for missing in [
        "--oidc-audience <AUDIENCE>",
        "--identity-provider-id <ID>",
        "--service-account-id <ID>",
        "--github-oidc-request-url <URL>",
    ] {
        assert!(stderr.contains(missing), "{missing}: {stderr}");
    }
    let (code, stderr) = run(&["--service-account-id", "sa"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--identity-provider-id <ID>"), "{stderr}");
    assert!(stderr.contains("--github-oidc"), "{stderr}");
    // Past these two, to what is wrong behind them.
    let ignored = [
        "--enable",
        "web_search",
        "--disable",
        "apps",
        "--enable",
        "x",
    ];
    let (code, stderr) = run(&[&ignored[..], &["--upstream-url", "nope"]].concat());
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("Error: --upstream-url "), "{stderr}");
}

#[test]
fn a_keyless_start_is_checked_before_anything_is_asked_for() {
    let github = "https://pipelines.actions.githubusercontent.com/token";
    for (url, more, why) in [
        ("nope", &[][..], "is not an absolute URL"),
        (
            "http://x.actions.githubusercontent.com/",
            &[],
            "has to be https",
        ),
        (
            "https://u:hunter2@x.actions.githubusercontent.com/",
            &[],
            "without user info",
        ),
        ("https://evil.example/token", &[], "--github-oidc-host"),
        (
            github,
            &["--upstream-url", "https://gateway.example/v1/responses"],
            "--token-exchange-url",
        ),
        (
            github,
            &["--token-exchange-url", "http://127.0.0.1:1/"],
            "has to be https",
        ),
    ] {
        let args = [&IDS[..], &AUDIENCE, &[URL, url], more].concat();
        let (code, stderr) = run(&args);
        assert_eq!(code, Some(1), "{url}: {stderr}");
        assert!(stderr.contains(why), "{url}: {stderr}");
        assert!(
            stderr.lines().count() == 1 && !stderr.contains("hunter2"),
            "{stderr}"
        );
    }
}
