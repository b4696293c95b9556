//! What goes wrong in a round, and how often.

use fastrand::Rng;

/// What a round is like, for its rounds differ: in some all goes well, in others nothing does.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// How often one of a thousand actions cuts the link, ends the receiver, or starts the sender's program anew.
    pub cuts: u16,
    pub stops: u16,
    pub restarts: u16,
    /// The same for the begin of a spell.
    pub spells: u16,
    /// How long frames take at most, in microseconds.
    pub slow: u64,
    /// How long an action takes at most, in microseconds.
    pub pace: u64,
    /// How likely each is chosen, where it has something to do: operations, hints, sender, receiver, link.
    pub shares: [u8; 5],
}

impl Weather {
    pub fn new(rng: &mut Rng) -> Weather {
        let fair = rng.u8(..3) == 0;
        let mut often = |most: u16| if fair || rng.bool() { 0 } else { rng.u16(..=most) };
        let (cuts, stops, restarts, spells) = (often(20), often(8), often(4), often(20));
        let slow = *rng.choice(&[0, 0, 300, 3_000, 50_000]).unwrap();
        let pace = *rng.choice(&[1, 20, 300, 3_000]).unwrap();
        let shares = [1, 1, 2, 2, 2].map(|share| share * *rng.choice(&[1, 1, 4, 16]).unwrap());
        Weather { cuts, stops, restarts, spells, slow, pace, shares }
    }
}
