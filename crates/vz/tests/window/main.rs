//! The window of a machine: what it offers in each state, what closing means, and how large it is.

use config::Machine;
use proptest::prelude::*;
use vz::{
    Action, Entitlements, Host, Model, PluggedDrive, Rosetta, SharedFolder, State, Status, Step, Version,
    WindowOptions, Wish,
};

const STATES: [State; 8] = [
    State::Stopped,
    State::Starting,
    State::Running,
    State::Pausing,
    State::Paused,
    State::Resuming,
    State::Saving,
    State::Stopping,
];

fn model(state: State, savable: bool) -> Model {
    let mut model = Model::new("sonoma", false);
    model.show(Status { state, savable, ..Status::starting() });
    model
}

/// A model of a machine to which drives can be attached, of which these are, and with a share that shows as many.
fn with_drives(state: State, labels: &[&str]) -> Model {
    let drive = |(number, label): (usize, &&str)| PluggedDrive {
        name: format!("slot{}", number + 1),
        label: (*label).to_owned(),
    };
    let mut model = Model::new("sonoma", false);
    let drives = labels.iter().enumerate().map(drive).collect();
    let folder = |label: &&str| SharedFolder { share: "data".to_owned(), name: (*label).to_owned() };
    let folders = labels.iter().map(folder).collect();
    model.show(Status { state, savable: true, takes_drives: true, drives, takes_folders: true, folders });
    model
}

/// The wishes that a choice comes to, at once or by an answer.
fn wishes(step: Step) -> Vec<Wish> {
    match step {
        Step::Tell(wish) => vec![wish],
        Step::Close => vec![Wish::Detach],
        Step::Ask(question) => question.choices.into_iter().flat_map(|choice| wishes(choice.step)).collect(),
        Step::ChooseImage => vec![Wish::AttachDrive("a.img".into())],
        Step::ChooseFolder => vec![Wish::ShareFolder("src".into())],
        Step::Nothing | Step::Capture(_) => Vec::new(),
    }
}

#[test]
fn the_menu_in_each_state() {
    let mut lines = String::new();
    for savable in [false, true] {
        for state in STATES {
            let model = model(state, savable);
            let items = Action::ALL.map(|action| model.item(action)).into_iter();
            let titles: Vec<_> = items.filter(|item| item.enabled).map(|item| item.title).collect();
            lines.push_str(&format!("{} savable={savable}: {}\n", model.title(), titles.join(", ")));
        }
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn no_choice_makes_a_wish_that_the_state_refuses() {
    for (state, savable) in STATES.into_iter().flat_map(|state| [(state, false), (state, true)]) {
        let choices = Action::ALL.map(|action| {
            [(action, model(state, savable).choose(action)), (action, with_drives(state, &["a"]).choose(action))]
        });
        for (action, step) in choices.into_iter().flatten() {
            for wish in wishes(step) {
                let allowed = match wish {
                    Wish::Pause | Wish::RequestStop => state == State::Running,
                    Wish::Resume => state == State::Paused,
                    Wish::Suspend
                    | Wish::AttachDrive(_)
                    | Wish::DetachDrive(_)
                    | Wish::ShareFolder(_)
                    | Wish::UnshareFolder(_) => {
                        matches!(state, State::Running | State::Paused)
                    }
                    Wish::Stop => state != State::Stopped,
                    Wish::Detach => true,
                };
                assert!(allowed, "{wish:?} by {action:?} while {state:?}");
            }
        }
    }
}

#[test]
fn pulling_the_plug_asks_and_the_return_key_does_not_do_it() {
    let Step::Ask(question) = model(State::Running, true).choose(Action::Stop) else { panic!("it does not ask") };
    assert_eq!(question.choices[0].step, Step::Nothing);
    assert_eq!(question.choices[1].step, Step::Tell(Wish::Stop));
}

#[test]
fn closing_asks_unless_the_machine_has_ended_and_the_return_key_keeps_it_running() {
    assert_eq!(model(State::Stopped, false).choose(Action::Close), Step::Close);
    for state in STATES.into_iter().filter(|state| *state != State::Stopped) {
        let Step::Ask(question) = model(state, true).choose(Action::Close) else { panic!("{state:?} does not ask") };
        assert_eq!(question.choices.first().map(|choice| &choice.step), Some(&Step::Close), "{state:?}");
        assert_eq!(question.choices.last().map(|choice| &choice.step), Some(&Step::Nothing), "{state:?}");
        assert!(!wishes(Step::Ask(question)).contains(&Wish::Stop), "closing never pulls the plug");
    }
}

#[test]
fn what_cannot_be_suspended_has_no_choice_that_does() {
    for state in STATES {
        let all = Action::ALL.into_iter().flat_map(|action| wishes(model(state, false).choose(action)));
        assert!(!all.into_iter().any(|wish| wish == Wish::Suspend), "{state:?}");
    }
}

#[test]
fn drives_come_by_a_file_and_go_by_a_choice() {
    assert_eq!(with_drives(State::Running, &[]).choose(Action::AttachDrive), Step::ChooseImage);
    assert_eq!(with_drives(State::Running, &[]).choose(Action::DetachDrive), Step::Nothing, "there is none");
    assert_eq!(model(State::Running, true).choose(Action::AttachDrive), Step::Nothing, "it takes none");
    let Step::Ask(which) = with_drives(State::Paused, &["a.img", "b.iso"]).choose(Action::DetachDrive) else {
        panic!("it does not ask")
    };
    let choices: Vec<_> = which.choices.iter().map(|choice| (choice.title.as_str(), choice.step.clone())).collect();
    let detach = |name: &str| Step::Tell(Wish::DetachDrive(name.to_owned()));
    assert_eq!(choices, [("Cancel", Step::Nothing), ("a.img", detach("slot1")), ("b.iso", detach("slot2"))]);
}

#[test]
fn folders_come_by_a_panel_and_go_by_a_choice() {
    assert_eq!(with_drives(State::Running, &[]).choose(Action::ShareFolder), Step::ChooseFolder);
    assert_eq!(with_drives(State::Running, &[]).choose(Action::UnshareFolder), Step::Nothing, "it shows none");
    assert_eq!(model(State::Running, true).choose(Action::ShareFolder), Step::Nothing, "it has no such share");
    let Step::Ask(which) = with_drives(State::Paused, &["src"]).choose(Action::UnshareFolder) else {
        panic!("it does not ask")
    };
    let choices: Vec<_> = which.choices.iter().map(|choice| (choice.title.as_str(), choice.step.clone())).collect();
    let folder = SharedFolder { share: "data".to_owned(), name: "src".to_owned() };
    let unshare = Step::Tell(Wish::UnshareFolder(folder));
    assert_eq!(choices, [("Cancel", Step::Nothing), ("src in data", unshare)]);
}

#[test]
fn a_problem_is_said_and_changes_nothing() {
    let said = model(State::Running, true).problem("disk full".to_owned());
    assert_eq!((said.text.as_str(), said.detail.as_str()), ("“sonoma” did not do that.", "disk full"));
    assert!(said.choices.iter().all(|choice| choice.step == Step::Nothing));
}

#[test]
fn system_keys_go_to_the_guest_and_back() {
    let mut model = model(State::Running, false);
    assert_eq!(model.choose(Action::CaptureKeys), Step::Capture(true));
    assert!(model.item(Action::CaptureKeys).checked);
    assert_eq!(model.choose(Action::CaptureKeys), Step::Capture(false));
}

#[test]
fn a_window_is_for_a_plan_with_a_display() {
    let host = Host {
        macos: Version::new(15, 0),
        apple_silicon: true,
        supported: true,
        cpus: 1..=8,
        memory: 128..=16384,
        entitlements: Entitlements { virtualization: true, networking: false },
        rosetta: Rosetta::NotSupported,
        nested: false,
        bridged: Vec::new(),
        macos_guests: Vec::new(),
    };
    let options = |graphics: &str| {
        let text = format!("bootloader = {{ kind = \"linux\", kernel = \"Image\" }}\n{graphics}");
        let machine = Machine::from_toml(&text).expect("a machine");
        WindowOptions::of(&vz::plan(&machine, &host).expect("a plan"), "debian")
    };
    assert_eq!(options(""), None);
    let window = options("graphics = [{ width = 1920, height = 1200, resizable = true }]").expect("a window");
    assert_eq!((window.width, window.height, window.follows), (1920, 1200, true));
    assert_eq!(window.content_size(2.0, (1440.0, 800.0)), (960.0, 600.0));
    assert_eq!(window.content_size(1.0, (1440.0, 800.0)), (1280.0, 800.0));
}

proptest! {
    #[test]
    fn a_window_fits_its_screen(width: u32, height: u32, scale in 1.0..3.0f64, screen in (600.0..8000.0f64, 400.0..5000.0f64)) {
        let title = "a".to_owned();
        let options = WindowOptions { title, width, height, follows: false, captures_system_keys: false };
        let (w, h) = options.content_size(scale, screen);
        prop_assert!(w >= 0.0 && h >= 0.0 && w <= screen.0 && h <= screen.1);
    }
}
