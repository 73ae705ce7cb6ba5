//! openai/codex-action: how it starts, finds and gives up a proxy, and the steps that docs/github-actions.md puts before and
//! after it, run in a shell as a runner runs them.

mod runner;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use codex_test_support::{Client, MockUpstream, Reply};

use self::runner::{Runner, process_is_there, wait_until};
use crate::custody::{is_root, skipped};
use crate::{PROXY, RESPONSES};

/// How 1.13 starts it: the subshell gives way, and the step ends while it runs.
const START: &str = r#"( exec env -u PROXY_API_KEY codex-responses-api-proxy --http-shutdown \
    --server-info "$SERVER_INFO_FILE" --upstream-url "$UPSTREAM_URL" <<< "$PROXY_API_KEY" ) &"#;

/// How it waits.
const WAIT: &str = r#"for _ in {1..100}; do
    if [ -s "$SERVER_INFO_FILE" ]; then break; fi
    sleep 0.1
done
[ -s "$SERVER_INFO_FILE" ]"#;

/// How it keeps the file from whoever runs as the same user, by sudo.
const KEEP: &str = r#"chmod 444 "$SERVER_INFO_FILE"; chown root "$SERVER_INFO_FILE""#;

#[test]
fn the_steps_of_codex_action_start_it_find_it_alive_and_replace_it_when_it_is_not() {
    let runner = Runner::new(MockUpstream::h1(Reply::responses("hi")));
    std::os::unix::fs::symlink(PROXY, runner.at("bin/codex-responses-api-proxy")).unwrap();
    fs::create_dir(runner.at(".codex")).unwrap();
    // As it makes the file for another user than its own.
    fs::write(runner.info(), "").unwrap();
    fs::set_permissions(runner.info(), fs::Permissions::from_mode(0o666)).unwrap();
    for _ in 0..2 {
        runner.step(START);
        runner.step(WAIT);
        if is_root() {
            runner.step(KEEP);
        }
        assert!(runner.is_alive());
        let (port, pid) = runner.read_info();
        let mut client = Client::connect(([127, 0, 0, 1], port).into());
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
        // It is killed, and what it wrote stays: not taken for a proxy, removed, and the next one starts.
        runner.step(&format!("kill -KILL {pid}"));
        wait_until("it is gone", || !process_is_there(pid));
        assert!(!runner.is_alive());
        fs::remove_file(runner.info()).unwrap();
    }
    runner.step(START);
    runner.step(WAIT);
    assert!(!runner.key_is_in_a_process());
    runner.shut_down();
    // A file that is not there, or is empty, is not taken for a proxy that runs.
    let left = fs::read_to_string(runner.info()).unwrap_or_default();
    assert_eq!(left, "");
}

fn page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/github-actions.md");
    fs::read_to_string(file).unwrap()
}

fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let parts = page.split(&opening).skip(1);
    let blocks = parts.map(|part| part.split_once("```").unwrap().0);
    blocks.collect()
}

/// Of a diff: the lines of one side.
fn side(diff: &str, other: char) -> String {
    let lines = diff.lines().filter(|line| !line.starts_with(other));
    lines.map(|line| format!("{}\n", &line[1..])).collect()
}

/// What follows `run: |` in a workflow, each without its indentation.
fn scripts(workflow: &str) -> Vec<String> {
    let parts = workflow.split("run: |\n").skip(1);
    parts
        .map(|part| {
            let indentation = part.len() - part.trim_start().len();
            let lines = part.lines().take_while(|line| {
                line.len() - line.trim_start().len() >= indentation || line.trim().is_empty()
            });
            lines
                .map(|line| format!("{}\n", line.get(indentation..).unwrap_or("")))
                .collect()
        })
        .collect()
}

/// A step with the places that this runner has, and what the program's sum has to be.
fn here(runner: &Runner, step: &str, sum: &str) -> String {
    let [bin, log] = ["bin", "log"].map(|name| runner.at(name));
    step.replace("/usr/local/bin", bin.to_str().unwrap())
        .replace("/var/log/codex-proxy", log.to_str().unwrap())
        .replace("SHA256", sum)
}

#[test]
fn the_documented_workflow_differs_by_twenty_lines_from_one_with_the_action_alone() {
    let page = page();
    let diff = blocks(&page, "diff")[0];
    let changed = diff
        .lines()
        .filter(|line| line.starts_with(['+', '-']))
        .count();
    assert!((1..=20).contains(&changed), "{changed} lines");
    let (before, after) = (side(diff, '+'), side(diff, '-'));
    assert_eq!(
        after,
        blocks(&page, "yaml")[0],
        "the whole workflow is another one"
    );
    // What it is compared with has the action, the secret, and nothing of this project.
    assert!(before.contains("uses: openai/codex-action@"));
    assert!(before.contains("openai-api-key: ${{ secrets.OPENAI_API_KEY }}"));
    assert!(
        !before.contains("proxy") && !before.contains("run:"),
        "{before}"
    );
}

#[test]
fn the_documented_steps_start_a_proxy_and_sum_up_what_it_was_used_for() {
    if !is_root() {
        return skipped("the steps use sudo");
    }
    if Command::new("jq").arg("--version").output().is_err() {
        return skipped("jq is not installed");
    }
    let runner = Runner::new(MockUpstream::h1(Reply::responses("hi")));
    runner.program("sudo", r#"exec "$@""#);
    fs::write(
        runner.at("fetched"),
        format!("#!/bin/sh\n{}\n", runner.with_upstream()),
    )
    .unwrap();
    let fetch = format!("exec cp {} \"$2\"", runner.at("fetched").display());
    runner.program("curl", &fetch);
    let sum = Command::new("sha256sum")
        .arg(runner.at("fetched"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let sum = sum.split(' ').next().unwrap();
    let page = page();
    let [start, sum_up] = scripts(blocks(&page, "yaml")[0]).try_into().unwrap();
    runner.step(&here(&runner, &start, sum));
    assert!(runner.is_alive());
    assert!(!runner.key_is_in_a_process());
    let (port, pid) = runner.read_info();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(
        status.contains("Uid:\t65534\t65534\t65534\t65534"),
        "{status}"
    );
    let ask = || {
        let mut client = Client::connect(([127, 0, 0, 1], port).into());
        let body = r#"{"model":"gpt-5.2","input":"hi"}"#;
        assert_eq!(client.post(RESPONSES, &[], body).read_answer().status, 200);
    };
    ask();
    ask();
    // The look whether it is alive has a line as well, of a caller that had left.
    wait_until("both are in the log", || {
        let log = fs::read_to_string(runner.at("log/access.log")).unwrap();
        log.matches("\"complete\"").count() == 2
    });
    runner.step(&here(&runner, &sum_up, sum));
    let summary = fs::read_to_string(runner.at("summary")).unwrap();
    let lines: Vec<&str> = summary.lines().collect();
    assert_eq!(lines.len(), 3, "{summary}");
    assert_eq!(
        lines[0],
        "| model | requests | input tokens | output tokens | USD |"
    );
    let cells: Vec<&str> = lines[2].split('|').map(str::trim).collect();
    assert_eq!(cells[2], "2", "{summary}");
    assert!(cells[3].parse::<u64>().unwrap() > 0, "{summary}");
    runner.shut_down();
}

#[test]
fn a_documented_download_that_fails_ends_the_step_before_anything_is_installed() {
    let page = page();
    let [start, _]: [String; 2] = scripts(blocks(&page, "yaml")[0]).try_into().unwrap();
    let sum = "0".repeat(64);
    for (what, curl) in [
        ("it breaks off", r#"cp "$HOME/planted" "$2"; exit 18"#),
        ("it cannot be written over what lies there", "exit 23"),
        ("it is another program", r#"cp "$HOME/planted" "$2""#),
    ] {
        let runner = Runner::new(MockUpstream::h1(Reply::responses("hi")));
        runner.program("sudo", r#"exec "$@""#);
        runner.program("curl", curl);
        let planted = "#!/bin/sh\ntouch \"$HOME/ran\"\n";
        fs::write(runner.at("planted"), planted).unwrap();
        fs::write(runner.at("temp/proxy"), planted).unwrap();
        runner.failing_step(&here(&runner, &start, &sum));
        for name in ["bin/codex-responses-api-proxy", "ran"] {
            assert!(!runner.at(name).exists(), "{what}: {name}");
        }
    }
}

#[test]
fn the_documented_steps_for_another_user_let_that_user_alone_in() {
    if !is_root() {
        return skipped("the steps use sudo, and another user");
    }
    let runner = Runner::new(MockUpstream::h1(Reply::responses("hi")));
    runner.program("sudo", r#"exec "$@""#);
    runner.program("codex-responses-api-proxy", &runner.with_upstream());
    let home = runner.at("");
    // A user for this test alone: seen in the mounts of the step.
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let account = format!("guest:x:4242:4242::{}:/bin/sh\n", home.display());
    fs::write(runner.at("passwd"), accounts + &account).unwrap();
    let groups = fs::read_to_string("/etc/group").unwrap();
    fs::write(runner.at("group"), groups + "guest:x:4242:\n").unwrap();
    let page = page();
    let [start] = scripts(blocks(&page, "yaml")[1]).try_into().unwrap();
    let mount = r#"mount --bind "$HOME/passwd" /etc/passwd; mount --bind "$HOME/group" /etc/group"#;
    runner.step_in(
        &["unshare", "--mount", "bash"],
        &format!("{mount}\n{start}"),
    );
    assert!(runner.is_alive());
    let (port, _) = runner.read_info();
    let mut root = Client::connect(([127, 0, 0, 1], port).into());
    assert_eq!(root.post(RESPONSES, &[], "{}").read_answer().status, 403);
    let guest = [
        "setpriv",
        "--reuid=4242",
        "--regid=4242",
        "--clear-groups",
        "bash",
    ];
    runner.step_in(
        &guest,
        &format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'POST /v1/responses HTTP/1.1\\r\\nHost: localhost\\r\\n\
             Content-Length: 2\\r\\n\\r\\n{{}}' >&3; read -r status <&3; [[ $status == *' 200 '* ]]"
        ),
    );
    assert!(!runner.key_is_in_a_process());
    let (_, pid) = runner.read_info();
    runner.step(&format!("kill -TERM {pid}"));
    wait_until("the proxy ends", || !process_is_there(pid));
}
