//! What is counted, as a scrape says it.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{
    Client, Gate, MockUpstream, Proxy, ProxyBuilder, RefusedPort, Reply, WAIT_TIMEOUT,
    assert_openai_error, skipped,
};

use crate::custody::strictest_sandbox;
use crate::{PROXY, RESPONSES, ask, begin, in_front_of};

/// SIGTERM (signal(7)).
const TERM: i32 = 15;

/// So often a scrape is repeated that is to show what has just been done: records are read in batches.
const AGAIN: Duration = Duration::from_millis(10);

/// Starts a proxy whose metrics can be scraped.
pub(crate) trait WithMetrics {
    fn with_metrics(self) -> Self;
}

impl WithMetrics for ProxyBuilder {
    fn with_metrics(self) -> Self {
        self.args(["--metrics", "127.0.0.1:0"])
    }
}

/// Where the start-up line says that metrics are.
#[track_caller]
pub(crate) fn place(proxy: &Proxy) -> SocketAddr {
    let said = proxy.wait_for_stderr("/metrics\n");
    let (_, behind) = said.split_once("\nmetrics: http://").unwrap();
    let (address, _) = behind.split_once("/metrics\n").unwrap();
    address.parse().unwrap()
}

#[track_caller]
pub(crate) fn scrape(place: SocketAddr) -> String {
    let answer = Client::connect(place).get("/metrics").read_answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// The sum of the series of this name that have all of these labels.
pub(crate) fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let series = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    let series = series.filter(|line| {
        labels
            .iter()
            .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    });
    series
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Scrapes until `is_there`; all that the last scrape said.
#[track_caller]
fn wait_for(place: SocketAddr, what: &str, is_there: impl Fn(&str) -> bool) -> String {
    let started = Instant::now();
    loop {
        let text = scrape(place);
        if is_there(&text) {
            return text;
        }
        assert!(started.elapsed() < WAIT_TIMEOUT, "no {what}; last:\n{text}");
        thread::sleep(AGAIN);
    }
}

/// Waits until this many requests were counted.
#[track_caller]
pub(crate) fn wait_for_requests(place: SocketAddr, count: f64) -> String {
    wait_for(place, &format!("{count} requests"), |text| {
        value(text, "codex_proxy_requests_total", &[]) >= count
    })
}

/// A price for the model of the mock: 12 tokens of input and 3 of output are 42 millionths of a dollar.
fn prices(dir: &Path) -> PathBuf {
    let file = dir.join("prices.toml");
    fs::write(
        &file,
        "[prices.\"gpt-mock\"]\ninput = 1.0\ncached_input = 1.0\noutput = 10.0\n",
    )
    .unwrap();
    file
}

#[test]
fn a_scrape_says_what_was_done_and_the_access_log_says_the_same() {
    let upstream = MockUpstream::h2(Reply::responses("one two three"));
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let mut proxy = in_front_of(&upstream)
        .with_metrics()
        .args(["--sandbox", strictest_sandbox()])
        .args(["--prices".into(), prices(dir.path())])
        .args(["--access-log".into(), log.clone()])
        .start();
    let place = place(&proxy);
    for body in ["{}", r#"{"stream":true}"#, "{}"] {
        proxy.client().post(RESPONSES, &[], body).read_answer();
    }
    proxy.client().get("/v1/models").read_answer();
    proxy
        .client()
        .send("GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n")
        .read_answer();
    let text = wait_for_requests(place, 5.0);
    let of_mock = ("model", "gpt-mock");
    let requests = |labels: &[(&str, &str)]| value(&text, "codex_proxy_requests_total", labels);
    assert_eq!(requests(&[("outcome", "complete"), of_mock]), 3.0);
    for code in ["path_not_allowed", "bad_request"] {
        let labels = [("outcome", "refused"), ("code", code), ("model", "")];
        assert_eq!(requests(&labels), 1.0, "{code} in {text}");
    }
    assert_eq!(
        value(&text, "codex_proxy_refused_before_head_total", &[]),
        1.0
    );
    let tokens = |of: &str| value(&text, "codex_proxy_tokens_total", &[("type", of), of_mock]);
    assert_eq!(
        ["input", "cached", "output", "reasoning"].map(tokens),
        [36.0, 0.0, 9.0, 0.0]
    );
    let cost = value(&text, "codex_proxy_cost_usd_total", &[of_mock]);
    assert!((cost - 3.0 * 42e-6).abs() < 1e-12, "{cost}");
    let durations = "gen_ai_server_request_duration_seconds_count";
    assert_eq!(value(&text, durations, &[of_mock]), 3.0);
    // Of streams alone it is known when the first piece of output came.
    let first_tokens = "gen_ai_server_time_to_first_token_seconds_count";
    assert_eq!(value(&text, first_tokens, &[]), 1.0);
    assert_eq!(
        value(&text, "codex_proxy_upstream_connect_seconds_count", &[]),
        1.0
    );

    proxy.signal(TERM);
    proxy.wait_exit();
    let lines: Vec<serde_json::Value> = fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let logged = |field: &str| {
        let numbers = lines.iter().filter_map(|line| line[field].as_f64());
        numbers.sum::<f64>()
    };
    assert_eq!(requests(&[]), lines.len() as f64);
    assert_eq!(tokens("input"), logged("gen_ai.usage.input_tokens"));
    assert_eq!(tokens("output"), logged("gen_ai.usage.output_tokens"));
    assert!((cost - logged("cost_usd")).abs() < 1e-12);
}

#[test]
fn a_scrape_says_what_is_open() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let proxy = in_front_of(&upstream).with_metrics().start();
    let place = place(&proxy);
    let open = |text: &str| {
        [
            "codex_proxy_open_requests",
            "codex_proxy_open_connections",
            "codex_proxy_upstream_connections",
        ]
        .map(|name| value(text, name, &[]))
    };
    assert_eq!(open(&scrape(place)), [0.0; 3]);
    let mut client = begin(&proxy);
    assert_eq!(open(&scrape(place)), [1.0; 3]);
    gate.release();
    while client.read_body_some().is_some() {}
    client.close();
    let text = wait_for_requests(place, 1.0);
    assert_eq!(value(&text, "codex_proxy_open_requests", &[]), 0.0);
    wait_for(place, "closed connection", |text| {
        value(text, "codex_proxy_open_connections", &[]) == 0.0
    });
    assert!(value(&text, "codex_proxy_connection_slots", &[]) >= 1.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(value(&text, "codex_proxy_build_info", &version), 1.0);
    let protections = [("name", "no core dumps")];
    assert_eq!(value(&text, "codex_proxy_protection", &protections), 1.0);
}

#[test]
fn without_a_sandbox_a_scrape_says_so() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for (mode, expected) in [("off", 0.0), ("best-effort", 1.0)] {
        let proxy = in_front_of(&upstream)
            .with_metrics()
            .args(["--sandbox", mode])
            .start();
        let text = scrape(place(&proxy));
        let sandbox = [("name", "sandbox")];
        assert_eq!(value(&text, "codex_proxy_protection", &sandbox), expected);
    }
}

#[test]
fn faults_and_evictions_are_counted() {
    let upstream = RefusedPort::new();
    let proxy = Proxy::builder(PROXY)
        .upstream_url(&upstream.url())
        .with_metrics()
        .args(["--max-connections", "4"])
        .start();
    let place = place(&proxy);
    assert_openai_error(&ask(&proxy), 502, "upstream_connect");
    // A user has half of the slots, and no more.
    let idle: Vec<Client> = (0..3).map(|_| proxy.client()).collect();
    wait_for(place, "evicted connection", |text| {
        value(text, "codex_proxy_evicted_connections_total", &[]) >= 1.0
    });
    drop(idle);
    let text = wait_for_requests(place, 1.0);
    let failed = [("outcome", "upstream_failed"), ("code", "upstream_connect")];
    assert_eq!(value(&text, "codex_proxy_requests_total", &failed), 1.0);
    let durations = "gen_ai_server_request_duration_seconds_count";
    assert_eq!(value(&text, durations, &[]), 0.0);
}

/// Runs `promtool` with this on its standard input; what it says if it objects. `None`: there is none.
fn promtool(args: &[&str], input: &str) -> Option<Result<(), String>> {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some(output.status.success().then_some(()).ok_or(said))
}

#[test]
fn promtool_has_nothing_against_the_metrics() {
    let upstream = MockUpstream::h1(Reply::responses("one two three"));
    let dir = tempfile::tempdir().unwrap();
    let proxy = in_front_of(&upstream)
        .with_metrics()
        .args(["--prices".into(), prices(dir.path())])
        .start();
    let place = place(&proxy);
    ask(&proxy);
    proxy.client().get("/").read_answer();
    let text = wait_for_requests(place, 2.0);
    match promtool(&["check", "metrics"], &text) {
        Some(checked) => assert_eq!(checked, Ok(())),
        None => skipped("promtool is not installed (on Debian: apt-get install prometheus)"),
    }
}

/// The blocks of YAML in the document: the scrape configuration and the alert rules.
fn yaml_of_the_document() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/observing.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("\n## Metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```yaml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn promtool_has_nothing_against_the_examples_of_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let blocks = yaml_of_the_document();
    assert_eq!(blocks.len(), 2);
    for (block, name, check) in [
        (
            &blocks[0],
            "prometheus.yml",
            &["check", "config", "--syntax-only"][..],
        ),
        (&blocks[1], "rules.yml", &["check", "rules"]),
    ] {
        let file = dir.path().join(name);
        fs::write(&file, block).unwrap();
        let args = [check, &[file.to_str().unwrap()]].concat();
        match promtool(&args, "") {
            Some(checked) => assert_eq!(checked, Ok(()), "{block}"),
            None => {
                return skipped(
                    "promtool is not installed (on Debian: apt-get install prometheus)",
                );
            }
        }
    }
}
