//! macOS guests in several processes: two run, the third is refused with their names.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vm::{MacosGuest, MacosGuests, Options, VirtualMachine};

use crate::double::{Apple, Course, host};

/// Set in a process of the test below that runs a guest: the folder and its name.
const FOLDER: &str = "RUSSET_TEST_FOLDER";
const NAME: &str = "RUSSET_TEST_NAME";

/// Runs a guest in a process of its own.
fn start(folder: &Path, name: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["guests::a_third_guest_is_refused_with_the_names_of_the_two", "--exact", "--nocapture"]);
    command.env(FOLDER, folder).env(NAME, name).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("it runs")));
    child
}

/// What the framework would say of a machine; ours is what comes before.
fn refused(guests: &MacosGuests, name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let machine = crate::machine(folder.path());
    let options = Options { name: name.to_owned(), ..Options::default() };
    let made = VirtualMachine::on_framework(&machine, &options, guests, &host(), Apple::new("", Course::Good));
    made.err().unwrap().to_string()
}

#[test]
fn a_third_guest_is_refused_with_the_names_of_the_two() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let name = std::env::var(NAME).unwrap();
        let (seat, _) = MacosGuests::in_folder(Path::new(&folder)).enter(&name).unwrap();
        assert!(seat.is_some());
        writeln!(std::io::stdout(), "it runs").unwrap();
        // Until it is killed, or the test is gone.
        let _ = std::io::stdin().read_line(&mut String::new());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let guests = MacosGuests::in_folder(folder.path());
    assert_eq!(guests.running(), []);
    let (mut one, mut two) = (start(folder.path(), "sonoma"), start(folder.path(), "ventura"));
    let guest = |name: &str, child: &Child| MacosGuest { name: name.into(), process: Some(child.id()) };
    assert_eq!(guests.running(), [guest("sonoma", &one), guest("ventura", &two)]);
    assert_eq!(
        refused(&guests, "third"),
        format!(
            "error: bootloader: the licence of macOS allows 2 running guests on a Mac, and these run: sonoma (process \
             {}), ventura (process {}): stop one of them first",
            one.id(),
            two.id()
        )
    );

    // One that is killed has left at once, and whoever comes takes its seat.
    one.kill().unwrap();
    one.wait().unwrap();
    assert_eq!(guests.running(), [guest("ventura", &two)]);
    assert!(refused(&guests, "third").contains("nothing is run here"), "the framework was asked");
    let mut three = start(folder.path(), "tahoe");
    assert_eq!(guests.running(), [guest("tahoe", &three), guest("ventura", &two)]);
    for child in [&mut two, &mut three] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(guests.running(), []);
}

#[test]
fn who_runs_in_this_process_is_counted_too() {
    let folder = tempfile::tempdir().unwrap();
    let guests = MacosGuests::in_folder(folder.path());
    let (one, others) = guests.enter("one\u{1b}[2J").unwrap();
    assert!(one.is_some() && others.is_empty());
    let names = |others: Vec<MacosGuest>| others.into_iter().map(|guest| guest.name).collect::<Vec<_>>();
    let (two, others) = guests.enter("").unwrap();
    assert!(two.is_some());
    assert_eq!(names(others), ["one[2J"], "nothing that a terminal obeys");
    let (three, others) = guests.enter("three").unwrap();
    assert!(three.is_none());
    assert_eq!(others[1].to_string(), format!("one without a name (process {})", std::process::id()));
    drop(one);
    assert!(guests.enter("three").unwrap().0.is_some());
}
