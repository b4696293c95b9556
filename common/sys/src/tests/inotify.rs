//! inotify through held folders.

use std::fs;
use std::io::Write;
use std::time::Duration;

use super::{House, name, path};
use crate::Inotify;
use crate::inotify::{Watch, What};

type Seen = Vec<(Watch, What, u32, Option<Vec<u8>>)>;

fn read(queue: &mut Inotify) -> Seen {
    let mut seen = Vec::new();
    while queue.read(|raw| seen.push((raw.watch, raw.what, raw.cookie, raw.name.map(<[u8]>::to_vec)))).unwrap() > 0 {}
    seen
}

#[test]
fn events_say_where_and_what() {
    let house = House::new(crate::Resolve::Openat2);
    fs::create_dir(house.path("folder")).unwrap();
    let folder = house.tree.dir(&path("folder")).unwrap();
    let mut queue = Inotify::new().unwrap();
    let (root, inner) = (queue.add(&house.root).unwrap(), queue.add(&folder).unwrap());
    assert_eq!(queue.add(&folder).unwrap(), inner);
    assert!(!queue.signal().wait(Some(Duration::ZERO), None).unwrap());
    assert!(read(&mut queue).is_empty());

    let mut file = fs::File::create(house.path("file")).unwrap();
    file.write_all(b"x").unwrap();
    drop(file);
    assert!(queue.signal().wait(Some(Duration::from_secs(5)), None).unwrap());
    let seen = read(&mut queue);
    assert!(seen.iter().all(|event| event.0 == root && event.3.as_deref() == Some(b"file")));
    assert!(seen.iter().any(|event| event.1.created()) && seen.iter().any(|event| event.1.modified()));
    assert!(seen.last().unwrap().1.closed_write() && !seen.last().unwrap().1.is_dir());

    house.root.rename(&name("file"), &folder, &name("moved")).unwrap();
    let seen = read(&mut queue);
    assert!(seen[0].1.moved_from() && seen[1].1.moved_to());
    assert_eq!((seen[0].0, seen[1].0), (root, inner));
    assert!(seen[0].2 == seen[1].2 && seen[0].2 != 0);

    fs::rename(house.path("folder"), house.path("renamed")).unwrap();
    let seen = read(&mut queue);
    assert!(seen.iter().any(|event| event.1.self_moved() && event.0 == inner && event.3.is_none()));
    assert!(seen.iter().any(|event| event.1.moved_to() && event.1.is_dir() && event.0 == root));

    fs::remove_dir_all(house.path("renamed")).unwrap();
    drop(folder);
    let seen = read(&mut queue);
    assert!(seen.iter().any(|event| event.1.deleted() && event.0 == inner));
    assert!(seen.iter().any(|event| event.1.self_deleted() && event.0 == inner));
    assert!(seen.iter().any(|event| event.1.ignored() && event.0 == inner));
    queue.remove(inner).unwrap();
    queue.remove(root).unwrap();
    assert!(read(&mut queue).iter().all(|event| event.1.ignored()));
}

#[test]
fn waiting_ends_for_another_descriptor_too() {
    let queue = Inotify::new().unwrap();
    let (one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    use std::os::fd::AsFd;
    assert!(!queue.signal().wait(Some(Duration::from_millis(10)), Some(one.as_fd())).unwrap());
    other.write_all(b"x").unwrap();
    assert!(queue.signal().wait(None, Some(one.as_fd())).unwrap());
}

#[test]
fn the_kernel_tells_its_limits() {
    assert!(crate::inotify::watch_limit().is_some_and(|limit| limit > 0));
    assert!(crate::inotify::queue_limit().is_some_and(|limit| limit > 0));
}
