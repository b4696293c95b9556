use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::*;
use proto::extensions::Extensions;

/// One module in a scratch folder, with a user for each right.
fn modules(path: &Path) -> Modules {
    let users = [("p", Right::Push), ("g", Right::Pull), ("b", Right::Both)];
    let module = vec![Module {
        name: "www".into(),
        root: Arc::new(Root::at("www", path.into()).unwrap()),
        users: users.map(|(name, right)| (name.to_owned(), right)).into(),
        max_connections: 1,
        keep: Keep::DEFAULT,
        max_file_size: Some(7),
        disk: Default::default(),
        written: Default::default(),
    }];
    Modules::new(module, Memory::default())
}

fn open(module: &str, folder: &str, purpose: Purpose) -> Open {
    let folder = RelPath::parse(folder.as_bytes()).unwrap();
    let (module, token, extensions) = (module.into(), None, Extensions::default());
    Open { module, folder, purpose, sender: [1; 16], token, at: None, terms: None, extensions }
}

fn permit(modules: &Modules, user: &str, open: &Open) -> Result<Permit, Unpermitted> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(modules.permit(&Identity::in_test(user), open))
}

fn grant(modules: &Modules, folder: &str) -> Result<Grant, Refusal> {
    permit(modules, "p", &open("www", folder, Purpose::Push)).unwrap().grant(Durability::Batch, Version::HIGHEST)
}

#[test]
fn what_is_missing_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let modules = modules(dir.path());
    let answer = |user, module, direction| permit(&modules, user, &open(module, "a", direction)).map(drop);
    assert_eq!(answer("p", "www", Purpose::Push), Ok(()));
    assert_eq!(answer("b", "www", Purpose::Push), Ok(()));
    assert_eq!(answer("g", "www", Purpose::Push), Err(Refusal::Denied.into()));
    assert_eq!(answer("p", "www", Purpose::Pull), Err(Refusal::Denied.into()));
    assert_eq!(answer("stranger", "www", Purpose::Push), Err(Refusal::Denied.into()));
    assert_eq!(answer("p", "other", Purpose::Push), Err(Refusal::Denied.into()));
    assert!(matches!(answer("b", "www", Purpose::Pull), Err(Unpermitted::Refused(Refusal::Unsupported { .. }))));
}

#[test]
fn a_peer_is_told_the_rules_of_the_module() {
    let dir = tempfile::tempdir().unwrap();
    let policy = permit(&modules(dir.path()), "p", &open("www", "", Purpose::Push)).unwrap().policy();
    let limits = Bounds { file_size: Some(7), ..Bounds::default() };
    let tree = Tree::open(dir.path(), sys::Mounts::Stay).unwrap();
    let capabilities = sys::stage::probe(Arc::new(tree)).unwrap();
    assert_eq!(policy, Policy { limits, capabilities, ..Policy::default() });
}

#[test]
fn the_folder_is_made_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let modules = modules(dir.path());
    let granted = grant(&modules, "a/b").unwrap();
    assert_eq!(granted.limits.max_file_size, Some(7));
    let made = std::fs::metadata(dir.path().join("a/b")).unwrap();
    assert_eq!(made.mode() & 0o7777, FOLDER_MODE);
    assert!(made.mtime() > 1_000_000_000, "its time is that of its making");
    drop(granted);
    assert!(grant(&modules, "a/b").is_ok(), "and it may be there");
    assert!(grant(&modules, "").is_ok());
}

#[test]
fn a_folder_that_another_session_made_meanwhile_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let modules = modules(dir.path());
    std::thread::scope(|scope| {
        for peer in 0..8 {
            let modules = &modules;
            scope.spawn(move || {
                for round in 0..20 {
                    grant(modules, &format!("{round}/{peer}")).unwrap();
                }
            });
        }
    });
    // What stood in a folder that was replaced would be gone.
    for round in 0..20 {
        assert_eq!(std::fs::read_dir(dir.path().join(round.to_string())).unwrap().count(), 8);
    }
}

#[test]
fn no_way_leads_out_and_none_into_what_is_recvds_own() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), dir.path().join("link")).unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let modules = modules(dir.path());
    for folder in ["link", "link/a", "file", "file/a"] {
        assert!(matches!(grant(&modules, folder), Err(Refusal::Busy { .. })), "{folder}");
    }
    for folder in [".recvd-stage-0", ".recvd-x", "a/.recvd-leases/b"] {
        let asked = permit(&modules, "p", &open("www", folder, Purpose::Push));
        let Err(Unpermitted::Refused(Refusal::Protocol { reason })) = asked else { panic!("{folder}: {asked:?}") };
        assert!(reason.contains("recvd's own"), "{reason}");
    }
    let asked = permit(&modules, "g", &open("www", ".recvd-x", Purpose::Push)).map(drop);
    assert_eq!(asked, Err(Refusal::Denied.into()), "it is told to those who may push");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_root_that_was_replaced_or_is_gone_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let modules = modules(&root);
    std::fs::rename(&root, dir.path().join("old")).unwrap();
    let asked = || permit(&modules, "p", &open("www", "", Purpose::Push)).map(drop);
    assert!(matches!(asked(), Err(Unpermitted::Down(Refusal::Busy { .. }))));
    std::fs::create_dir(&root).unwrap();
    assert!(matches!(asked(), Err(Unpermitted::Down(Refusal::Busy { .. }))));
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(dir.path().join("old"), &root).unwrap();
    assert_eq!(asked(), Ok(()), "and it comes back by itself");
}
