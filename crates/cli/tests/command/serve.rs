//! `russet disk serve`, with other people's clients.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{run, russet, text};

/// Starts a server and waits until clients can come. Gives the URIs that it says.
fn start(folder: &Path, args: &[&str]) -> (Child, Vec<String>) {
    let arguments = [&["--json", "disk", "serve"], args].concat();
    let mut child = russet(folder, &arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{args:?}: {line:?}: {e}"));
    let uris = said["uris"].as_array().unwrap().iter().map(|uri| uri.as_str().unwrap().to_owned()).collect();
    (child, uris)
}

fn ends_well_by(mut child: Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
}

#[test]
fn a_snapshot_is_served_and_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("root.img"), vec![7; 1 << 20]).unwrap();
    let options = ["root.img", "--snapshot", "--socket", "s", "--export", "x", "--pid-file", "pid", "--shared", "2"];
    for signal in ["-TERM", "-INT"] {
        let (child, uris) = start(folder, &options);
        assert_eq!(uris, ["nbd+unix:///x?socket=s"]);
        assert_eq!(fs::read_to_string(folder.join("pid")).unwrap(), format!("{}\n", child.id()));
        let mut client = Command::new("qemu-io");
        client.current_dir(folder).args(["-f", "raw", &uris[0]]);
        let done =
            client.args(["-c", "read -P 7 0 1M", "-c", "write -P 9 4k 8k", "-c", "read -P 9 4k 8k"]).output().unwrap();
        let said = text(&done.stdout);
        assert!(done.status.success() && !said.contains("failed"), "{said}{}", text(&done.stderr));
        ends_well_by(child, signal);
        assert!(!folder.join("s").exists() && !folder.join("pid").exists());
        assert_eq!(fs::read(folder.join("root.img")).unwrap(), vec![7; 1 << 20]);
    }
}

#[test]
fn a_server_that_was_killed_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("root.img"), vec![7; 1 << 20]).unwrap();
    let (mut child, _) = start(folder, &["root.img", "--socket", "s"]);
    let taken = run(folder, &["disk", "serve", "root.img", "--socket", "t"], 3);
    assert!(text(&taken.stderr).contains("the disk is in use by russet"), "{}", text(&taken.stderr));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(folder.join("s").exists());
    let (child, _) = start(folder, &["root.img", "--socket", "s"]);
    ends_well_by(child, "-TERM");
}

#[test]
fn what_cannot_be_served_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("a.img"), [0; 512]).unwrap();
    fs::write(folder.join("b.img"), [0; 512]).unwrap();
    for (args, status, said) in [
        (&["a.img", "b.img", "--export", "x"][..], 2, "1 names for 2 images"),
        (&["a.img", "b.img", "--export", "x", "--export", "x"], 2, "two images are called `x`"),
        (&["none.img", "--socket", "s"], 2, "none.img"),
        (&["a.img", "--socket", "a.img"], 3, "no socket is there"),
        (&["a.img", "--socket", "s", "--tls-dir", "."], 3, "ca-cert.pem"),
        (&["a.img", "--once", "--persistent"], 2, "cannot be used with"),
    ] {
        let output = run(folder, &[&["disk", "serve"], args].concat(), status);
        assert!(text(&output.stderr).contains(said), "{args:?}: {}", text(&output.stderr));
    }
}
