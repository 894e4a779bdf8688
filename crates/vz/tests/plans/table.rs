//! The documentation's table of classes says what the plan's list says.

use vz::Api;

/// The rows that the table must have.
fn rows() -> Vec<String> {
    let row = |api: &Api| format!("| `{}` | {} | {} |", api.name(), api.since(), api.purpose());
    Api::ALL.iter().map(row).collect()
}

#[test]
fn the_documentation_has_a_line_for_each_class() {
    let text = include_str!("../../../../docs/vz-classes.md");
    let (_, table) = text.split_once("| class |").expect("a table");
    let (table, _) = table.split_once("\n\n").unwrap_or((table, ""));
    let table: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(table, rows(), "to mend it, replace the table's rows by:\n{}\n", rows().join("\n"));
}

#[test]
fn members_are_younger_than_their_classes() {
    for api in Api::ALL {
        let Some((class, _)) = api.name().split_once('.') else { continue };
        if let Some(class) = Api::ALL.iter().find(|api| api.name() == class) {
            assert!(class.since() < api.since(), "{api:?}");
        }
    }
}

#[test]
fn the_machines_of_the_checklist_need_no_helper() {
    let text = include_str!("../../../../docs/first-mac.md");
    let machines: Vec<_> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(machines.len(), 2);
    for (toml, displays) in machines.into_iter().zip([false, true]) {
        let plan = vz::plan(&crate::machine(toml), &crate::hosts::mac(vz::Version::new(14, 0))).expect("a plan");
        assert_eq!(plan.helpers, []);
        assert_eq!(plan.warnings, []);
        assert!(plan.saves.is_err(), "its step 12 says that they cannot be suspended");
        assert_eq!(vz::WindowOptions::of(&plan, "checklist").is_some(), displays);
    }
}
