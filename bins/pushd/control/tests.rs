//! A daemon that only talks, and clients that ask it over a real socket.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

struct Talker {
    looks: Arc<AtomicU32>,
}

struct AfterLooks(Arc<AtomicU32>);

impl Barrier for AfterLooks {
    fn look(&mut self) -> Option<Waited> {
        (self.0.fetch_add(1, Ordering::Relaxed) == 3).then(|| Waited::Arrived(Unmirrored::default()))
    }

    fn behind(&self) -> Vec<String> {
        vec!["s to t: offline".to_owned()]
    }
}

/// Ends at once, by the name of the place.
struct At(PathBuf);

impl Barrier for At {
    fn look(&mut self) -> Option<Waited> {
        let named = vec!["s to t: a: no".to_owned()];
        Some(match self.0.file_name()?.as_bytes() {
            b"\xff" => Waited::Arrived(Unmirrored { total: 2, named }),
            _ => Waited::Held("s: halted".to_owned()),
        })
    }

    fn behind(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Control for Talker {
    fn status(&self) -> Status {
        Status { version: "9".into(), pid: 1, uptime_s: 2, watches: 3, watch_limit: None, sources: Vec::new() }
    }

    fn release(&self, source: Option<&str>) -> Result<String, String> {
        match source {
            Some("www") | None => Ok("released".to_owned()),
            Some(other) => Err(format!("there is no source `{other}`")),
        }
    }

    fn resync(&self, source: Option<&str>) -> Result<String, String> {
        self.release(source)
    }

    fn sync(&self, pairs: &[Pair], _: Brake) -> Option<(u64, Vec<bool>)> {
        Some((1, vec![false; pairs.len()]))
    }

    fn syncing(&self, _: u64) -> Option<Far> {
        None
    }

    fn barrier(&self, places: &[PathBuf]) -> Result<Box<dyn Barrier>, String> {
        match places.first() {
            Some(path) => Ok(Box::new(At(path.clone()))),
            None => Ok(Box::new(AfterLooks(self.looks.clone()))),
        }
    }
}

/// A configuration that names the socket, and has mistakes that are nobody's business here.
fn configured(folder: &Path) -> PathBuf {
    let file = folder.join("pushd.toml");
    std::fs::write(&file, "control_socket = 'control.sock'\nmistake = 1\n").unwrap();
    file
}

async fn blocking<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(task).await.unwrap()
}

#[tokio::test]
async fn every_command_reaches_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let config = configured(folder.path());
    let stop = Stop::new();
    let server = Server::bind(&folder.path().join("control.sock")).unwrap();
    let serving = tokio::spawn(serve(server, stop.clone(), Arc::new(Talker { looks: Arc::default() })));
    let named = |name: &str| SourceArgs { source: Some(name.to_owned()) };
    let file = config.clone();
    let wait = |timeout, path: Option<&[u8]>| {
        let path = path.map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
        WaitArgs { timeout: Duration::from_millis(timeout), path }
    };
    let exits = blocking(move || {
        [
            status(&file, &StatusArgs { json: true, watch: false, exit_zero: false, verbose: false }),
            release(&file, SourceArgs { source: None }),
            release(&file, named("www")),
            resync(&file, named("wwww")),
            wait_for_all(&file, &wait(30_000, None)),
            wait_for_all(&file, &wait(30, None)),
            wait_for_all(&file, &wait(30_000, Some(b"not text \xff/\xff"))),
            wait_for_all(&file, &wait(30_000, Some(b"held"))),
        ]
    });
    assert_eq!(
        exits.await,
        [Exit::Ok, Exit::Ok, Exit::Ok, Exit::Usage, Exit::Ok, Exit::Busy, Exit::Differences, Exit::Busy]
    );
    stop.request();
    serving.await.unwrap();
    let exit =
        blocking(move || status(&config, &StatusArgs { json: false, watch: false, exit_zero: false, verbose: false }))
            .await;
    assert_eq!(exit, Exit::Unreachable);
}

#[test]
fn a_configuration_that_cannot_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let args = StatusArgs { json: false, watch: false, exit_zero: false, verbose: false };
    assert_eq!(status(&folder.path().join("none.toml"), &args), Exit::Config);
}

#[test]
fn requests_are_spelled_as_people_spell_them() {
    let json = |request: &Request| serde_json::to_string(request).unwrap();
    assert_eq!(json(&Request::Status), r#"{"command":"status"}"#);
    assert_eq!(json(&Request::Release { source: Some("www".into()) }), r#"{"command":"release","source":"www"}"#);
    assert_eq!(json(&Request::Wait { timeout_ms: 5, places: vec![] }), r#"{"command":"wait","timeout_ms":5}"#);
    assert!(serde_json::from_str::<Request>(r#"{"command":"release","force":true}"#).is_err());
    assert!(serde_json::from_str::<Request>(r#"{"command":"pause"}"#).is_err());
}

#[tokio::test]
async fn a_sync_of_thousands_of_targets_fits_into_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let server = Server::bind(&path).unwrap();
    tokio::spawn(serve(server, Stop::new(), Arc::new(Talker { looks: Arc::default() })));
    let name = "n".repeat(64);
    let pair = serde_json::json!({ "source": name, "target": name, "terms": vec![255; 16] });
    let pair: Pair = serde_json::from_value(pair).unwrap();
    let request = Request::Sync { pairs: vec![pair; 10_000], brake: Brake::On };
    let reply = blocking(move || ask(&path, &request, PATIENCE)).await;
    assert!(matches!(reply, Ok(Reply::Begun { served, .. }) if served.len() == 10_000));
}
