//! Says of each module when its disk becomes full or read-only, and when that is over: once, however many sources meet it. And
//! finds out what it can hold, where that could not be known at the start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::receiver::Shortage;
use kit::{Stop, units};
use sys::{Mounts, Tree};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::error;

use crate::modules::Module;

/// How long after the first refusal its line is written, so that it can say how much was refused by then; and how often it
/// is looked whether there is room again.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is tried what a disk can hold that took nothing at the start.
const TRY: Duration = Duration::from_secs(5);

/// Watches one module, until `stop`.
pub async fn tend(module: Arc<Module>, stop: Stop) {
    tokio::select! {
        never = tell(&module) => match never {},
        never = find_out(&module) => match never {},
        () = stop.requested() => {}
    }
}

/// As long as it is not known what a disk can hold, sessions go on that were told that it holds everything.
async fn find_out(module: &Arc<Module>) -> std::convert::Infallible {
    loop {
        module.root.is_unknown().await;
        sleep(TRY).await;
        let asked = module.clone();
        // The disk may not answer.
        let _ = spawn_blocking(move || asked.root.try_again()).await;
    }
}

async fn tell(module: &Arc<Module>) -> std::convert::Infallible {
    loop {
        module.disk.lacks().await;
        sleep(LOOK).await;
        if let Some(Shortage { reason, refused, .. }) = module.disk.shortage() {
            let now = operations(refused);
            error!(
                "module {}: {reason}: {now} refused so far; what frees room is carried out all the same, and what fits",
                module.name
            );
        }
        let shortage = loop {
            let asked = module.clone();
            // The disk may not answer.
            match spawn_blocking(move || asked.disk.is_over(Instant::now(), |bytes| has_room(&asked, bytes))).await {
                Ok(Some(shortage)) => break shortage,
                Ok(None) | Err(_) => sleep(LOOK).await,
            }
        };
        let (lasted, all) = (units::duration(shortage.since.elapsed()), operations(shortage.refused));
        error!(
            "module {}: its disk takes what comes again, after {lasted} ({}): {all} refused",
            module.name, shortage.reason
        );
    }
}

fn operations(refused: u64) -> String {
    units::counted(refused, "operation was", "operations were")
}

/// Whether the file system says that there is room. Where it cannot be asked there is none.
fn has_room(module: &Module, bytes: u64) -> bool {
    Tree::open(module.root.path(), Mounts::Stay).and_then(|tree| tree.has_room(bytes)).unwrap_or(false)
}
