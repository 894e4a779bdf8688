//! vfkit's REST interface, asked by curl.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{guest, run, russet, text};

/// What curl gets of `path`, and the status.
fn curl(folder: &Path, args: &[&str], path: &str) -> (String, String) {
    let mut command = Command::new("curl");
    command.current_dir(folder).args(["-s", "-m", "20", "-w", "\n%{http_code}"]).args(args);
    let output = command.arg(format!("http://localhost{path}")).output().expect("this test needs curl");
    let said = text(&output.stdout);
    let (body, status) = said.rsplit_once('\n').unwrap();
    (body.to_owned(), status.to_owned())
}

#[test]
fn a_machine_is_asked_paused_resumed_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, guest::LOOP);
    let uri = format!("unix://{}", folder.join("rest.sock").display());
    let args = ["run", "--bootloader", "linux,kernel=Image", "--cpus", "2", "--memory", "256", "--restful-uri", &uri];
    let devices = ["--device", "virtio-rng", "--device", "virtio-net,nat", "--device", "virtio-serial,pty"];
    let mut child = russet(folder, &[&args[..], &devices].concat()).stderr(Stdio::piped()).spawn().unwrap();
    let unix = ["--unix-socket", "rest.sock"];
    let ask = |path: &str| curl(folder, &unix, path);
    let wish = |wish: &str| {
        let body = format!("{{\"state\":\"{wish}\"}}");
        curl(folder, &[&unix[..], &["-d", &body]].concat(), "/vm/state")
    };
    let state = || serde_json::from_str::<serde_json::Value>(&ask("/vm/state").0).unwrap_or_default();
    while state()["state"] != "VirtualMachineStateRunning" {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(20));
    }
    let (described, status) = ask("/vm/inspect");
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    assert_eq!((&described["vcpus"], &described["memoryBytes"], &*status), (&2.into(), &(256 << 20).into(), "200"));
    assert_eq!(described["machine"]["bootloader"]["kind"], "linux");
    assert_eq!(described["bootloader"]["kind"], "linuxBootloader");
    assert!(described["bootloader"]["vmlinuzPath"].as_str().unwrap().ends_with("Image"), "{described}");
    let kinds: Vec<_> = described["devices"].as_array().unwrap().iter().map(|device| &device["kind"]).collect();
    assert_eq!(kinds, ["virtionet", "virtioserial", "virtiorng"]);
    let pty = described["devices"][1]["ptyName"].as_str().unwrap();
    assert!(Path::new(pty).exists(), "{pty}");
    let done = || (String::new(), "202".to_owned());
    assert_eq!(wish("Pause"), done());
    assert_eq!((&state()["state"], &state()["canResume"]), (&"VirtualMachineStatePaused".into(), &true.into()));
    let (refused, status) = wish("Stop");
    assert!(refused.contains("cannot be asked to stop while it is paused") && status == "500", "{refused} {status}");
    assert_eq!(wish("Resume"), done());
    assert_eq!((state()["canPause"].as_bool(), wish("Dance").1), (Some(true), "400".to_owned()));
    assert_eq!(
        (ask("/").1, curl(folder, &[&unix[..], &["-X", "PUT"]].concat(), "/vm/state").1),
        ("404".into(), "405".into())
    );
    let page = curl(folder, &[&unix[..], &["-H", "Origin: http://example.org"]].concat(), "/vm/state");
    assert_eq!(page.1, "403");
    assert_eq!(wish("HardStop"), done(), "the answer is not cut off by the end");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!folder.join("rest.sock").exists());
}

#[test]
fn a_port_is_for_who_knows_this_host() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    guest::kernel(folder, guest::LOOP);
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let uri = format!("tcp://127.0.0.1:{free}");
    let mut child =
        russet(folder, &["run", "--bootloader", "linux,kernel=Image", "--restful-uri", &uri]).spawn().unwrap();
    let ask = |host: &str| {
        let to = format!("{host}:80:127.0.0.1:{free}");
        let mut command = Command::new("curl");
        command.args(["-s", "-m", "20", "-w", "%{http_code}", "-o", "/dev/null", "--connect-to", &to]);
        text(&command.arg(format!("http://{host}/vm/state")).output().unwrap().stdout)
    };
    while ask("localhost") != "200" {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(20));
    }
    // As a page has it whose name leads here.
    assert_eq!((ask("rebound.example"), ask("127.0.0.1")), ("403".to_owned(), "200".to_owned()));
    let again = run(folder, &["run", "--bootloader", "linux,kernel=Image", "--restful-uri", &uri], 3);
    assert!(text(&again.stderr).contains("--restful-uri") && text(&again.stderr).contains("choose another"));
    child.kill().unwrap();
    child.wait().unwrap();
}
