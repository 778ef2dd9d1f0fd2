//! What no compiler checks and every reader relies on: files that are read in one sitting, pages that name what exists, nothing that
//! points outside the repository or is left for later. (The length of functions is clippy's, in Cargo.toml.)
//!
//! The text is what git would commit, so a new file counts before it is added.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a file at most.
const LINES: usize = 400;

/// Files that were longer when the limit came, and how long they may be. An entry goes when its file keeps the limit; none is added.
const LONGER: [(&str, usize); 1] = [("services/domain/src/neighbourhood/tests.rs", 462)];

/// Pages whose sections comments point at, as in `(ARCHITECTURE.md, Versions)`.
const PAGES: [&str; 2] = ["ARCHITECTURE.md", "services/domain/RULES.md"];

/// What is written by machines or by others, and is not for reading.
const NOT_FOR_READING: [&str; 8] = [".avsc", ".csv", ".json", ".jsonl", ".lock", ".snap", ".tsv", "LICENSE"];

/// Endings by which a word is taken for the name of a file.
const NAMED: [&str; 10] = [
    ".rs", ".md", ".sql", ".avsc", ".py", ".toml", ".sh", ".snap", ".jsonl", ".yml",
];

struct File {
    path: String,
    text: String,
}

impl File {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    fn is(&self, ending: &str) -> bool {
        self.path.ends_with(ending)
    }

    /// The part of a line that speaks to readers: all of a page or script, the comment of Rust.
    fn prose<'a>(&self, line: &'a str) -> &'a str {
        match line.find("//") {
            _ if !self.is(".rs") => line,
            Some(at) => &line[at..],
            None => "",
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository")
}

/// Every file of the repository that is for reading.
fn files() -> Vec<File> {
    paths()
        .into_iter()
        .filter(|path| !NOT_FOR_READING.iter().any(|ending| path.ends_with(ending)))
        .filter_map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).ok()?;
            Some(File { path, text })
        })
        .collect()
}

/// Every path that git has or would take, but for what was deleted.
fn paths() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git, which knows what belongs to the repository");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).expect("paths in UTF-8");
    let paths = paths
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file());
    let paths: Vec<String> = paths.map(str::to_owned).collect();
    assert!(paths.len() > 100, "git lists {} files: no repository", paths.len());
    paths
}

#[track_caller]
fn none(faults: &[String], remedy: &str) {
    assert!(faults.is_empty(), "{remedy}\n{}", faults.join("\n"));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let mut faults = Vec::new();
    for file in files() {
        let lines = file.lines().count();
        let longer = LONGER.iter().find(|(path, _)| *path == file.path).map(|(_, most)| *most);
        match longer {
            Some(_) if lines <= LINES => faults.push(format!("{}: keeps the limit, its entry in LONGER goes", file.path)),
            _ if lines > longer.unwrap_or(LINES) => faults.push(format!("{}: {lines} lines", file.path)),
            _ => {}
        }
    }
    none(
        &faults,
        &format!("a file has {LINES} lines at most: split it by what it is about"),
    );
}

/// Headings of a page, without marks.
fn headings(text: &str) -> Vec<String> {
    let titles = text
        .lines()
        .filter(|line| line.starts_with("## ") || line.starts_with("### "));
    titles.map(|line| line.trim_start_matches('#').trim().to_owned()).collect()
}

#[test]
fn references_name_sections_that_exist() {
    let mut faults = Vec::new();
    let mut found = 0;
    let files = files();
    for page in PAGES {
        let text = &files.iter().find(|file| file.path == page).expect("the page").text;
        let headings = headings(text);
        let name = format!("{},", page.rsplit('/').next().unwrap());
        for file in files.iter().filter(|file| file.path != file!()) {
            for (at, line) in file.lines() {
                for (start, _) in line.match_indices(&name) {
                    let rest = &line[start + name.len()..];
                    let named = rest.strip_prefix(' ').unwrap_or_default();
                    let is_named = |heading: &String| {
                        let after = named.strip_prefix(heading.as_str());
                        after.is_some_and(|after| !after.starts_with(|next: char| next.is_alphanumeric() || next == ' '))
                    };
                    found += 1;
                    if !headings.iter().any(is_named) {
                        faults.push(format!("{}:{at}: {name}{rest}", file.path));
                    }
                }
            }
        }
    }
    none(
        &faults,
        "no section has this name, or the reference is broken over two lines, or no mark follows it:",
    );
    assert!(found > 50, "only {found} references were found");
}

/// The targets of the links of a line, `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// How a heading is named in a link.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn links_lead_somewhere() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.is(".md")) {
        let folder = root().join(&file.path);
        let folder = folder.parent().unwrap();
        for (at, line) in file.lines() {
            for target in targets(line).filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
                let (path, section) = target.split_once('#').unwrap_or((target, ""));
                let page = if path.is_empty() {
                    root().join(&file.path)
                } else {
                    folder.join(path)
                };
                let has = |text: String| {
                    text.lines()
                        .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == section)
                };
                let good = page.exists() && (section.is_empty() || std::fs::read_to_string(&page).is_ok_and(has));
                if !good {
                    faults.push(format!("{}:{at}: {target}", file.path));
                }
            }
        }
    }
    none(&faults, "these links lead nowhere:");
}

/// Words of a line that look like the name of a file of ours: no patterns, no absolute paths, no `x.rs` for any.
fn file_names(prose: &str) -> impl Iterator<Item = &str> {
    let words = prose.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_-./*<>{}$:".contains(letter)));
    words
        .map(|word| word.trim_matches(['.', ':', '<', '>']))
        .filter(|word| NAMED.iter().any(|ending| word.ends_with(ending) && word.len() > ending.len()))
        .filter(|word| !word.contains(['*', '<', '>', '{', '}', '$', ':']) && !word.starts_with('/') && !word.starts_with("x."))
        .map(|word| word.trim_start_matches("../").trim_start_matches("./"))
}

#[test]
fn files_that_are_named_exist() {
    let paths = paths();
    // A name may leave out leading folders: `assess/absence.rs`.
    let mut known = BTreeSet::new();
    for path in &paths {
        known.insert(path.as_str());
        known.extend(path.match_indices('/').map(|(at, _)| &path[at + 1..]));
    }
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.path != file!()) {
        for (at, line) in file.lines() {
            let unknown = file_names(file.prose(line)).filter(|name| !known.contains(name));
            faults.extend(unknown.map(|name| format!("{}:{at}: {name}", file.path)));
        }
    }
    none(&faults, "no file of the repository has this name:");
}

#[test]
fn nothing_points_outside() {
    let outside = |line: &str| {
        let numbered = |word: &str| {
            let lower = line.to_lowercase();
            let mut after = lower
                .match_indices(word)
                .map(|(at, _)| lower[at + word.len()..].chars().next());
            after.any(|next| next.is_some_and(|next| next.is_ascii_digit()))
        };
        ["/root/", "/home/", "/work/", "/Users/", "design.md", "domain.md"]
            .iter()
            .any(|needle| line.contains(needle))
            || ["design ", "design, ", "facts ", "joint ", "issue ", "issue #"]
                .into_iter()
                .any(numbered)
    };
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.path != file!()) {
        let lines = file.lines().filter(|(_, line)| outside(line));
        faults.extend(lines.map(|(at, line)| format!("{}:{at}: {}", file.path, line.trim())));
    }
    none(
        &faults,
        "a successor has the repository alone: no other documents, no paths of one machine. Name a section of ARCHITECTURE.md:",
    );
}

#[test]
fn tests_stand_where_they_are_run() {
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.path.rsplit('.').next() == Some("rs")) {
        let is_program = file.path.ends_with("/src/main.rs") || file.path.contains("/src/bin/");
        if is_program && file.text.contains("#[test]") {
            faults.push(format!("{}: a program's test", file.path));
        }
        let is_fence = |line: &&str| line.starts_with("/// ```") || line.starts_with("//! ```");
        let fences = file.lines().map(|(_, line)| line.trim()).filter(is_fence);
        // Every second one closes a block.
        let code = fences.step_by(2).find(|fence| !fence.ends_with("text"));
        faults.extend(code.map(|fence| format!("{}: {fence} would be a test of a page", file.path)));
    }
    none(
        &faults,
        "integration-tests/run runs the tests of libraries and those under tests/: put them there",
    );
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["TODO", "FIXME", "XXX", "#[ignore", "todo!(", "unimplemented!("];
    let mut faults = Vec::new();
    for file in files().iter().filter(|file| file.path != file!()) {
        let lines = file.lines().filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
        faults.extend(lines.map(|(at, line)| format!("{}:{at}: {}", file.path, line.trim())));
    }
    none(&faults, "do it, or say it under \"Not yet\" in ARCHITECTURE.md:");
}

/// The value of a key of a TOML file, read as every tool here reads it: its own line.
fn setting(text: &str, key: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')))?;
    Some(line.split('"').nth(1)?.to_owned())
}

#[test]
fn every_crate_keeps_the_lints_and_the_toolchain_of_the_house() {
    let files = files();
    let text = |path: &str| &files.iter().find(|file| file.path == path).expect(path).text;
    let needed = setting(text("Cargo.toml"), "rust-version").expect("rust-version");
    let pinned = setting(text("rust-toolchain.toml"), "channel").expect("channel");
    assert!(
        pinned.starts_with(&format!("{needed}.")),
        "rust-version is what is checked: {needed}, with {pinned}"
    );
    assert!(
        text("compose/Dockerfile").contains(&format!("FROM rust:{pinned}-")),
        "the image is built with {pinned}, too"
    );
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is("/Cargo.toml")) {
        for line in ["[lints]\nworkspace = true", "rust-version.workspace = true"] {
            if !file.text.contains(line) {
                faults.push(format!("{}: {line}", file.path));
            }
        }
    }
    none(&faults, "these lines are missing:");
}
