//! A test in a network namespace of its own, where it is root.

use std::process::Command;

const MARK: &str = "RUSSET_TEST_NAMESPACE";

/// Runs the test `name` again in a new network namespace; there it gives `true`, and the test does its work.
pub(crate) fn inside(name: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        run("ip link set lo up");
        return true;
    }
    let root = rustix::process::geteuid().is_root();
    let rights: &[&str] = if root { &[] } else { &["--user", "--map-root-user"] };
    let mut command = Command::new("unshare");
    // A `/sys` that shows this namespace, as `ip netns exec` has it.
    command.args(rights).args(["--net", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap()).args([name, "--exact", "--nocapture"]);
    let output = command.env(MARK, "1").output().expect("unshare starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    false
}

/// Runs a command that has to succeed.
pub(crate) fn run(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{command}");
}
