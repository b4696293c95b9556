use super::*;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

#[test]
fn an_answer_is_read_with_the_renames_sent_after_its_operation() {
    let mut flight = Flight::new();
    let put = flight.sent(1, Sent::Remove(path("a/x")));
    let rename = flight.sent(2, Sent::Rename(path("a"), path("b"), Vec::new()));
    let exchange = flight.sent(3, Sent::Exchange(path("b"), path("c"), Vec::new()));
    assert_eq!(flight.forwarded(put, &path("a/x")), path("c/x"));
    assert_eq!(flight.forwarded(rename, &path("c/y")), path("b/y"));
    assert_eq!(flight.forwarded(exchange, &path("b/x")), path("b/x"));
    flight.acknowledged(put);
    assert_eq!(flight.forwarded(rename, &path("b")), path("c"));
}

#[test]
fn receipts_rise_and_an_answer_is_remembered_until_its_receipt() {
    let mut flight = Flight::new();
    let [one, two] = ["a", "b"].map(|name| flight.sent(1, Sent::Offer(path(name))));
    assert_eq!([flight.applied(one), flight.applied(one), flight.applied(3)], [Some(true), Some(false), None]);
    flight.answered(two, Answer::Partly, &[]);
    assert_eq!((flight.answer(one), flight.answer(two)), (Answer::None, Answer::Partly));
    flight.acknowledged(one);
    assert_eq!((flight.is_old(one), flight.is_old(two), flight.answer(two)), (true, false, Answer::Partly));
}
