mod replay;

use super::*;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;

const CLOCKS: Drive = Drive { idle: Duration::from_secs(30), keepalive: None };

/// A frame with a body of these many bytes.
fn frame_of(body: usize, fill: u8) -> Bytes {
    let mut frame = u32::try_from(body + 1).unwrap().to_le_bytes().to_vec();
    frame.push(200);
    frame.resize(frame.len() + body, fill);
    frame.into()
}

struct End {
    outbox: mpsc::Sender<Bytes>,
    inbox: mpsc::Receiver<Bytes>,
    ended: JoinHandle<Disconnect>,
}

fn receiver_role(stream: DuplexStream, limits: Drive) -> End {
    let (outbox, outgoing) = mpsc::channel(16);
    let (incoming, inbox) = mpsc::channel(2);
    let driving = drive_stream(stream, outgoing, Deliver::Receiver(incoming, freely()), limits);
    End { outbox, inbox, ended: tokio::spawn(driving) }
}

#[tokio::test]
async fn a_question_is_answered_once_while_the_role_takes_nothing() {
    let (ours, mut peer) = duplex(4096);
    let ((outbox, outgoing), (incoming, _inbox)) = (mpsc::channel(16), mpsc::channel(1));
    let _driving = tokio::spawn(drive_stream(ours, outgoing, Deliver::Sender(incoming), CLOCKS));
    // As many as fit into one buffer are one question; and there is room for it in the inbox of a role that is busy.
    let question = frame(&ToSender::Ping);
    peer.write_all(&[&frame_of(3, 0)[..], &question, &question].concat()).await.unwrap();
    let answer = frame(&ToReceiver::Pong);
    let mut told = vec![0; answer.len()];
    peer.read_exact(&mut told).await.unwrap();
    assert_eq!(told, answer);
    // It stands between the frames of the role.
    outbox.send(frame_of(2, 7)).await.unwrap();
    let mut next = vec![0; frame_of(2, 7).len()];
    peer.read_exact(&mut next).await.unwrap();
    assert_eq!(next, frame_of(2, 7));
}

#[tokio::test]
async fn a_receiver_asks_when_it_is_told_to() {
    let (ours, mut peer) = duplex(4096);
    let ((_outbox, outgoing), (incoming, _inbox)) = (mpsc::channel(16), mpsc::channel(2));
    let meter = Meter::default();
    let driving = run(ours, BytesMut::new(), outgoing, Deliver::Receiver(incoming, freely()), CLOCKS, meter.clone());
    let _driving = tokio::spawn(driving);
    let question = frame(&ToSender::Ping);
    for _ in 0..2 {
        meter.prompt().raise();
        let mut told = vec![0; question.len()];
        peer.read_exact(&mut told).await.unwrap();
        assert_eq!(told, question);
    }
}

/// Takes buffers until this many bytes are there, and checks that each holds whole frames only.
async fn take(inbox: &mut mpsc::Receiver<Bytes>, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < bytes {
        let buffer = inbox.recv().await.expect("more frames");
        assert_eq!(codec::whole_frames(&buffer, FRAME), Ok(buffer.len()));
        all.extend_from_slice(&buffer);
    }
    all
}

#[tokio::test]
async fn frames_arrive_whole_from_single_bytes() {
    let (ours, mut peer) = duplex(64);
    let mut end = receiver_role(ours, CLOCKS);
    let sent = [frame_of(0, 0), frame_of(300, 1), frame_of(5, 2)].concat();
    let bytes = sent.clone();
    let writing = tokio::spawn(async move {
        for byte in bytes {
            peer.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        peer
    });
    assert_eq!(take(&mut end.inbox, sent.len()).await, sent);
    drop(writing.await.unwrap());
    assert!(matches!(end.ended.await.unwrap(), Disconnect::ByPeer));
}

#[tokio::test]
async fn a_frame_that_is_cut_is_a_broken_connection() {
    let (ours, mut peer) = duplex(64);
    let mut end = receiver_role(ours, CLOCKS);
    peer.write_all(&frame_of(3, 0)).await.unwrap();
    peer.write_all(&frame_of(30, 0)[..20]).await.unwrap();
    drop(peer);
    assert!(matches!(end.ended.await.unwrap(), Disconnect::Broken(_)));
    assert_eq!(end.inbox.recv().await, Some(frame_of(3, 0)), "what was whole is delivered");
    assert_eq!(end.inbox.recv().await, None);
}

#[tokio::test]
async fn a_length_that_is_none_is_a_violation() {
    for length in [0u32, FRAME as u32 + 1, 1 << 31, u32::MAX] {
        let (ours, mut peer) = duplex(64);
        let end = receiver_role(ours, CLOCKS);
        let word = frame_of(3, 7);
        end.outbox.send(word.clone()).await.unwrap();
        tokio::task::yield_now().await;
        peer.write_all(&length.to_le_bytes()).await.unwrap();
        let mut said = Vec::new();
        peer.read_to_end(&mut said).await.unwrap();
        let mut said = Bytes::from(said);
        let mut last = codec::split(&mut said, FRAME).unwrap().unwrap();
        if last[..] == word[LENGTH..] {
            last = codec::split(&mut said, FRAME).unwrap().unwrap();
        }
        let bye = ToSender::decode(last, proto::Version::HIGHEST).unwrap();
        assert!(matches!(bye, ToSender::Bye { refusal: Refusal::Protocol { .. } }), "{length}: {bye:?}");
        assert!(said.is_empty());
        drop(peer);
        assert!(matches!(end.ended.await.unwrap(), Disconnect::Violation(_)), "{length}");
    }
}

#[tokio::test]
async fn who_breaks_the_framing_in_the_middle_of_a_flood_that_it_does_not_read_is_cut_off() {
    let (ours, mut peer) = duplex(64);
    let end = receiver_role(ours, CLOCKS);
    for _ in 0..3 {
        end.outbox.send(frame_of(100_000, 1)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    peer.write_all(&[0; 4]).await.unwrap();
    let flood = async { while peer.write_all(&[1; 100]).await.is_ok() {} };
    let ended = async { timeout(2 * (LAST_WORDS + LINGER), end.ended).await };
    let (_, ended) = tokio::join!(flood, ended);
    assert!(matches!(ended.expect("in time").unwrap(), Disconnect::Violation(_)));
}

#[tokio::test]
async fn the_largest_frame_passes() {
    let (ours, mut peer) = duplex(1 << 16);
    let mut end = receiver_role(ours, CLOCKS);
    let largest = frame_of(FRAME - 1, 7);
    let bytes = [&largest[..], &frame_of(1, 8)[..]].concat();
    let expected = bytes.clone();
    tokio::spawn(async move { peer.write_all(&bytes).await });
    assert_eq!(take(&mut end.inbox, expected.len()).await, expected);
}

#[tokio::test]
async fn a_role_that_takes_nothing_holds_back_reading_but_not_writing() {
    let (ours, peer) = duplex(1024);
    let end = receiver_role(ours, CLOCKS);
    let (mut from_us, mut to_us) = tokio::io::split(peer);
    // Until all buffers between are full.
    let flood = tokio::spawn(async move { while to_us.write_all(&frame_of(1000, 1)).await.is_ok() {} });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let word = frame_of(10, 9);
    end.outbox.send(word.clone()).await.unwrap();
    let mut got = vec![0; word.len()];
    timeout(Duration::from_secs(5), from_us.read_exact(&mut got)).await.expect("must be written").unwrap();
    assert_eq!(got, word);
    assert!(!flood.is_finished());
    flood.abort();
}

#[tokio::test]
async fn a_peer_that_reads_nothing_holds_back_writing_but_not_reading() {
    let (ours, peer) = duplex(1024);
    let mut end = receiver_role(ours, CLOCKS);
    let (_unread, mut to_us) = tokio::io::split(peer);
    while end.outbox.try_send(frame_of(5000, 1)).is_ok() {}
    let frame = frame_of(700, 2);
    let sent: Vec<u8> = frame.repeat(50);
    let expected = sent.clone();
    tokio::spawn(async move { to_us.write_all(&sent).await });
    let taken = timeout(Duration::from_secs(5), take(&mut end.inbox, expected.len())).await;
    assert_eq!(taken.expect("must be read"), expected);
}

#[tokio::test]
async fn both_ends_of_a_role_speak_at_full_rate() {
    let (a, b) = duplex(4096);
    let sizes = [1, 70_000, 3, 256 * 1024, 900_000, 17];
    let (left, right) = (receiver_role(a, CLOCKS), receiver_role(b, CLOCKS));
    let (mut tasks, mut open) = (Vec::new(), Vec::new());
    for mut end in [left, right] {
        let outbox = end.outbox.clone();
        // An outbox that is dropped ends the connection.
        open.push(end.outbox);
        tasks.push(tokio::spawn(async move {
            for (n, size) in sizes.into_iter().cycle().take(60).enumerate() {
                outbox.send(frame_of(size, n as u8)).await.unwrap();
            }
        }));
        tasks.push(tokio::spawn(async move {
            let all = take(&mut end.inbox, 10 * sizes.iter().map(|size| size + 5).sum::<usize>()).await;
            let expected: Vec<Bytes> =
                (0..60).zip(sizes.into_iter().cycle()).map(|(n, size)| frame_of(size, n)).collect();
            assert!(all == expected.concat());
        }));
    }
    for task in tasks {
        timeout(Duration::from_secs(30), task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_was_sent_is_written_before_the_end() {
    let (ours, mut peer) = duplex(100);
    let end = receiver_role(ours, CLOCKS);
    let sent: Vec<Bytes> = (0..100).map(|n| frame_of(n, n as u8)).collect();
    let expected = sent.concat();
    let sending = tokio::spawn(async move {
        for frame in sent {
            end.outbox.send(frame).await.unwrap();
        }
        drop(end.outbox);
        end.ended.await.unwrap()
    });
    let mut got = Vec::new();
    peer.read_to_end(&mut got).await.unwrap();
    assert!(got == expected);
    drop(peer);
    assert!(matches!(sending.await.unwrap(), Disconnect::ByUs));
}

#[tokio::test]
async fn a_role_that_stops_has_the_last_word() {
    let (ours, peer) = duplex(1024);
    let End { outbox, inbox, ended } = receiver_role(ours, CLOCKS);
    let (mut from_us, mut to_us) = tokio::io::split(peer);
    let flood = tokio::spawn(async move { while to_us.write_all(&frame_of(1000, 1)).await.is_ok() {} });
    drop(inbox);
    outbox.send(frame_of(10, 9)).await.unwrap();
    drop(outbox);
    let mut got = Vec::new();
    from_us.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, frame_of(10, 9));
    flood.abort();
    assert!(flood.await.is_err());
    drop(from_us);
    assert!(matches!(ended.await.unwrap(), Disconnect::ByUs));
}

#[tokio::test]
async fn silence_ends_it_and_signs_of_life_prevent_that() {
    let quiet = Drive { idle: Duration::from_millis(200), keepalive: None };
    let (ours, _peer) = duplex(64);
    assert!(matches!(receiver_role(ours, quiet).ended.await.unwrap(), Disconnect::Silent(_)));

    let lively = Drive { idle: Duration::from_millis(400), keepalive: Some(Duration::from_millis(40)) };
    let (a, b) = duplex(64);
    let (left, right) = (receiver_role(a, lively), receiver_role(b, lively));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!left.ended.is_finished() && !right.ended.is_finished());
}

#[tokio::test]
async fn both_roles_say_pong_when_they_have_nothing_to_say() {
    let lively = Drive { idle: Duration::from_secs(9), keepalive: Some(Duration::from_millis(10)) };
    let (ours, mut peer) = duplex(64);
    let (_outbox, outgoing) = mpsc::channel(1);
    let (incoming, _inbox) = mpsc::channel(1);
    tokio::spawn(drive_stream(ours, outgoing, Deliver::Sender(incoming), lively));
    let mut got = [0; 5];
    peer.read_exact(&mut got).await.unwrap();
    assert_eq!(got, frame(&ToReceiver::Pong)[..]);

    let (ours, mut peer) = duplex(64);
    let _end = receiver_role(ours, lively);
    peer.read_exact(&mut got).await.unwrap();
    assert_eq!(got, frame(&ToSender::Pong)[..]);
}

#[tokio::test]
async fn a_receiver_gives_up_on_a_peer_that_never_reads() {
    let (ours, _peer) = duplex(64);
    let mut limits = CLOCKS;
    limits.idle = Duration::from_millis(300);
    let (mine, mut theirs) = tokio::io::split(_peer);
    let end = receiver_role(ours, limits);
    end.outbox.send(frame_of(5000, 1)).await.unwrap();
    let alive = tokio::spawn(async move {
        while theirs.write_all(&frame_of(0, 0)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let End { mut inbox, ended, outbox } = end;
    let taking = tokio::spawn(async move { while inbox.recv().await.is_some() {} });
    let ended = timeout(Duration::from_secs(5), ended).await.expect("must end").unwrap();
    assert!(matches!(ended, Disconnect::Silent(_)), "{ended}");
    alive.abort();
    taking.abort();
    drop((mine, outbox));
}
