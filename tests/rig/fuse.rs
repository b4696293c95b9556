//! What a program says to the kernel that has an empty folder to show, as in linux/fuse.h.

/// Numbers of questions.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const STATFS: u32 = 17;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
const READDIRPLUS: u32 = 44;

const ENOENT: i32 = 2;
const ENOSYS: i32 = 38;

/// The answer to a question, if it is to have one.
pub fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(question[at..at + 4].try_into().unwrap());
    let said = match word(4) {
        FORGET | INTERRUPT | BATCH_FORGET => return None,
        INIT => Ok(init()),
        GETATTR => Ok(attributes()),
        OPENDIR => Ok(vec![0; 16]),
        READDIR | READDIRPLUS | RELEASEDIR => Ok(Vec::new()),
        STATFS => Ok(vec![0; 80]),
        LOOKUP => Err(ENOENT),
        _ => Err(ENOSYS),
    };
    let (error, rest) = said.map_or_else(|error| (-error, Vec::new()), |rest| (0, rest));
    let mut answer = Vec::new();
    answer.extend(u32::try_from(16 + rest.len()).unwrap().to_le_bytes());
    answer.extend(error.to_le_bytes());
    // By the question's number.
    answer.extend(&question[8..16]);
    answer.extend(rest);
    Some(answer)
}

/// Protocol 7.31, no flags, writes of a page.
fn init() -> Vec<u8> {
    let mut init = vec![0; 64];
    for (at, value) in [(0, 7u32), (4, 31), (8, 4096), (20, 4096)] {
        init[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    init
}

/// Of the root: a folder of root's. Asked for anew each time.
fn attributes() -> Vec<u8> {
    let mut attributes = vec![0; 104];
    attributes[16] = 1;
    for (at, value) in [(76, 0o040_755u32), (80, 2), (96, 4096)] {
        attributes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    attributes
}
