//! Whether a seed repeats all of a world, and where it does not.

use super::{ROUNDS, number, run_busy_world, run_world};

/// Where two runs of a world part, and what came before.
fn parting(seed: u64) -> String {
    // Inode numbers are of no world.
    let plain = |line: &str| {
        line.split("inode").next().unwrap_or_default().split("Instant").next().unwrap_or_default().to_owned()
    };
    for _ in 0..20 {
        let [one, other] = [(); 2].map(|()| run_world(seed, ROUNDS, true).trace);
        let lines = || one.lines().zip(other.lines()).map(|(one, other)| (plain(one), plain(other)));
        if let Some(at) = lines().position(|(one, other)| one != other) {
            let lines: Vec<_> = lines().skip(at.saturating_sub(60)).take(64).collect();
            let shown = lines
                .iter()
                .map(|(one, other)| if one == other { format!("{one}\n") } else { format!("{one}  |  {other}\n") });
            return shown.collect();
        }
    }
    "no two traces differ".to_owned()
}

#[test]
fn the_same_seed_gives_the_same_frames() {
    for seed in 0..number("SIM_TWICE", 50) {
        let [one, other] = [(); 2].map(|()| run_world(seed, ROUNDS, false));
        assert!(one.frames == other.frames, "seed {seed}:\n{}", parting(seed));
        assert!(one.failed.is_none() && one.operations > 0, "SIM_SEED={seed}");
        let [one, other] = [(); 2].map(|()| run_busy_world(seed, ROUNDS, false, true).frames);
        assert!(one == other, "SIM_BUSY={seed}");
    }
}
