//! On one thread and with a paused clock a connection runs the same way each time: what a simulation with a seed stands on.

use std::sync::{Arc, Mutex};

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use super::*;

/// What happened, in order: when, at which point, and how many bytes.
type Log = Arc<Mutex<Vec<(Duration, &'static str, usize)>>>;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Carries bytes one way, in pieces and with pauses.
async fn carry(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    way: &'static str,
    mut dice: Dice,
    note: impl Fn(&'static str, usize),
) {
    let mut buffer = [0; 900];
    loop {
        let most = 1 + dice.below(900) as usize;
        match from.read(&mut buffer[..most]).await {
            Ok(0) | Err(_) => break,
            Ok(got) => {
                note(way, got);
                if to.write_all(&buffer[..got]).await.is_err() {
                    break;
                }
            }
        }
        if dice.below(4) == 0 {
            sleep(Duration::from_millis(dice.below(30))).await;
        }
    }
    let _ = to.shutdown().await;
}

/// Two roles at the ends of one connection that say much to each other, until one of them stops.
async fn talk(seed: u64) -> Vec<(Duration, &'static str, usize)> {
    let (log, began) = (Log::default(), Instant::now());
    let noting = log.clone();
    let note = move |what, bytes| noting.lock().unwrap().push((began.elapsed(), what, bytes));
    let ((left, near), (far, right)) = (duplex(2000), duplex(2000));
    let ((from_near, to_near), (from_far, to_far)) = (tokio::io::split(near), tokio::io::split(far));
    tokio::spawn(carry(from_near, to_far, "right", Dice(seed), note.clone()));
    tokio::spawn(carry(from_far, to_near, "left", Dice(seed + 1), note.clone()));
    let clocks = Drive { idle: Duration::from_millis(900), keepalive: Some(Duration::from_millis(40)) };
    let mut roles = Vec::new();
    for (number, stream) in [(0, left), (1, right)] {
        let name = ["left role", "right role"][number as usize];
        let (end, note) = (receiver_role(stream, clocks), note.clone());
        let (mut dice, saying) = (Dice(seed + 10 + number), end.outbox);
        let speaking = tokio::spawn(async move {
            for _ in 0..60 {
                let size = dice.below(3000) as usize;
                if saying.send(frame_of(size, 7)).await.is_err() {
                    return;
                }
                if dice.below(3) == 0 {
                    sleep(Duration::from_millis(dice.below(100))).await;
                }
            }
        });
        let (mut inbox, mut dice) = (end.inbox, Dice(seed + 20 + number));
        let hearing = tokio::spawn(async move {
            while let Some(frames) = inbox.recv().await {
                note(name, frames.len());
                if dice.below(5) == 0 {
                    sleep(Duration::from_millis(dice.below(60))).await;
                }
            }
        });
        roles.push((speaking, hearing, end.ended));
    }
    let mut ends = Vec::new();
    for (speaking, hearing, ended) in roles {
        speaking.await.unwrap();
        hearing.await.unwrap();
        ends.push(ended.await.unwrap().to_string());
    }
    note(if ends.concat().contains("closed from here") { "in order" } else { "broken" }, 0);
    let log = log.lock().unwrap();
    log.clone()
}

#[test]
fn the_same_seed_moves_the_same_bytes_at_the_same_times() {
    let run = |seed| {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(talk(seed))
    };
    for seed in 0..20 {
        let (once, again) = (run(seed), run(seed));
        assert!(once.len() > 200 && once.last().is_some_and(|(_, what, _)| *what == "in order"), "{:?}", once.last());
        let differs = once.iter().zip(&again).position(|(one, other)| one != other);
        assert_eq!(differs.map(|at| (once[at], again[at])), None, "seed {seed}");
        assert_eq!(once.len(), again.len(), "seed {seed}");
    }
}
