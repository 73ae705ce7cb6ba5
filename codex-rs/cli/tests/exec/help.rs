//! The help, as it is printed: `golden/`. With `UPDATE_GOLDEN=1` it is written anew.

use std::path::Path;

use crate::codex;

#[test]
fn the_help_is_as_it_was_agreed() {
    for (name, args) in [
        ("codex", &["--help"][..]),
        ("codex-exec", &["exec", "--help"]),
        ("codex-exec-resume", &["exec", "resume", "--help"]),
        ("codex-resume", &["resume", "--help"]),
        ("codex-config-show", &["config", "show", "--help"]),
        ("codex-models", &["models", "--help"]),
        ("codex-doctor", &["doctor", "--help"]),
    ] {
        let output = codex(args).env("COLUMNS", "100").run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/exec/golden/{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &output.stdout).unwrap();
        }
        let agreed = std::fs::read_to_string(&path).unwrap();
        assert_eq!(output.stdout, agreed, "UPDATE_GOLDEN=1 writes it anew");
    }
}
