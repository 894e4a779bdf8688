//! What shares of a machine that runs can be changed to.

use config::Machine;
use vz::{Folders, plan_share};

use crate::machine;

/// A machine with a share of folders and with Rosetta.
fn sharing() -> Machine {
    machine(
        "bootloader = { kind = \"linux\", kernel = \"Image\" }\n\
         share = [{ mount-tag = \"data\", empty = true }, { kind = \"rosetta\", mount-tag = \"x86\" }]",
    )
}

/// The plan for a share to be, in the form of the configuration.
fn planned(machine: &Machine, share: &str) -> Result<Folders, String> {
    let text = format!("bootloader = {{ kind = \"linux\", kernel = \"Image\" }}\nshare = [{share}]");
    let share = crate::machine(&text).share.remove(0);
    let problems = |problems: Vec<config::Problem>| problems.iter().map(|problem| format!("{problem}\n")).collect();
    plan_share(machine, &share).map_err(problems)
}

#[test]
fn folders_can_be_others() {
    let one = planned(&sharing(), r#"{ mount-tag = "data", shared-dir = "/a", readonly = true }"#);
    assert!(matches!(one, Ok(Folders::Single(folder)) if folder.read_only));
    let several = planned(&sharing(), r#"{ mount-tag = "data", directories = { a = { path = "/a" } } }"#);
    assert!(matches!(several, Ok(Folders::Multiple(folders)) if folders.contains_key("a")));
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let bare = machine("bootloader = { kind = \"linux\", kernel = \"Image\" }");
    let refused = [
        planned(&bare, r#"{ mount-tag = "data", shared-dir = "/a" }"#),
        planned(&sharing(), r#"{ mount-tag = "other", shared-dir = "/a" }"#),
        planned(&sharing(), r#"{ mount-tag = "x86", shared-dir = "/a" }"#),
        planned(&sharing(), r#"{ mount-tag = "data", kind = "rosetta" }"#),
        planned(&sharing(), r#"{ mount-tag = "data", directories = { ".." = { path = "/a" } } }"#),
    ];
    let refused: String = refused.into_iter().map(|planned| planned.expect_err("a refusal")).collect();
    insta::assert_snapshot!(refused);
}
