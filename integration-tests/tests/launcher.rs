//! The launcher keeps what it started: compose/lib/common.sh and keep, with processes that need no servers.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A state folder of the launcher, and its functions called in it.
struct Launcher(PathBuf);

impl Launcher {
    fn new(name: &str) -> Self {
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("launcher").join(name);
        let _ = std::fs::remove_dir_all(&state);
        std::fs::create_dir_all(&state).expect("a folder");
        Self(state)
    }

    /// Runs a script with the functions of the launcher; what it prints.
    fn run(&self, script: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().expect("the repository");
        let begin =
            r#"set -u; . "$ROOT/compose/lib/servers.sh"; . "$ROOT/compose/lib/services.sh"; KEEP_RUNNING=yes; prepare_state; "#;
        let output = Command::new("bash")
            .args(["-c", &format!("{begin}{script}")])
            .env("ROOT", root)
            .env("STATE", &self.0)
            .output()
            .expect("bash");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.run("stop it 5 KILL");
    }
}

#[test]
fn what_dies_is_started_again_and_what_is_stopped_is_not() {
    let launcher = Launcher::new("dies");
    let said = launcher.run(
        r#"spawn_kept it sleep 300; first=$(pid_of it); kill -KILL "$first"
        for ((i = 0; i < 100; i++)); do second=$(pid_of it) && [[ $second != "$first" ]] && break; sleep 0.1; done
        [[ ${second:-} ]] && echo "again"; cat "$STATE/run/it.restarts"
        stop it 5 TERM KILL; sleep 1.5; kept it || echo "gone""#,
    );
    assert_eq!(said.lines().collect::<Vec<_>>(), ["again", "1 137", "gone"], "{said}");
}

#[test]
fn what_dies_again_and_again_is_given_up_and_status_says_so() {
    let launcher = Launcher::new("given-up");
    let said = launcher.run(
        r#"spawn_kept it bash -c 'exit 3'; for ((i = 0; i < 400; i++)); do kept it || break; sleep 0.1; done
        health_of it; tail -n 1 "$STATE/log/it.log""#,
    );
    assert!(said.contains("failed (exit code 3)"), "{said}");
    assert!(said.contains("started again 5 times and died each time"), "{said}");
    assert!(
        said.contains("is not started again; when it is mended: compose/local up"),
        "{said}"
    );
}

#[test]
fn unusable_settings_and_an_orderly_end_are_not_tried_again() {
    let launcher = Launcher::new("ends");
    for code in [0, 2] {
        let said = launcher.run(&format!(
            r#"spawn_kept it bash -c 'exit {code}'; for ((i = 0; i < 50; i++)); do kept it || break; sleep 0.1; done
            exit_code_of it; [[ ! -e $STATE/run/it.restarts ]] && echo "once""#
        ));
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [code.to_string().as_str(), "once"],
            "{said}"
        );
    }
}
