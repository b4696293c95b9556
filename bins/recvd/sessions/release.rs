//! A person gives a folder to another host.

use std::net::IpAddr;
use std::sync::Arc;

use kit::units::Moment;
use proto::RelPath;
use proto::login::Refusal;

use super::book::Changed;
use super::newcomer::spelled;
use super::{Sessions, leases, newcomer};
use crate::modules::Root;

/// A lease that is free now, or when its session has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Released {
    /// Module and folder, as a person names them.
    pub place: String,
    pub user: String,
    pub from: IpAddr,
    pub since: Moment,
    /// Its last sign of life, about.
    pub heard: Moment,
}

/// Why a folder was not released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It is a part of this one, as a person names it, which somebody has as a whole.
    Beneath(String),
    /// The module cannot work now: why, in a sentence.
    Later(String),
}

impl Sessions {
    /// Frees the folder, with those beneath it. Whoever had it stays away for two minutes.
    ///
    /// # Errors
    /// Where somebody has a folder above it: nothing is released then, for a person may have mistaken its name. And where the
    /// module cannot work now.
    pub async fn release(&self, module: &str, root: &Arc<Root>, folder: &RelPath) -> Result<Vec<Released>, Kept> {
        self.know(module, root).await.map_err(|refusal| match refusal {
            Refusal::Busy { reason, .. } => Kept::Later(reason),
            other => Kept::Later(other.to_string()),
        })?;
        let freed = {
            let mut state = self.state();
            let known = state.modules.entry(module.to_owned()).or_default();
            if let Some(above) = known.leases.above(folder) {
                return Err(Kept::Beneath(spelled(module, &above.record.folder)));
            }
            known.changes += 1;
            known.leases.release(folder)
        };
        freed
            .iter()
            .filter_map(|held| held.holder.as_ref())
            .for_each(|holder| holder.ask_to_leave(newcomer::released(leases::AWAY)));
        if self.write_down(module, root, Changed::Freed(folder.clone())).await.is_err() {
            return Err(Kept::Later(
                "it is released, but that cannot be written down: see the log of recvd".to_owned(),
            ));
        }
        Ok(freed.into_iter().map(|held| released(module, held)).collect())
    }
}

fn released(module: &str, held: leases::Held) -> Released {
    let record = held.record;
    let place = spelled(module, &record.folder);
    Released { place, user: record.user, from: record.from, since: record.since, heard: record.heard }
}
