//! A reader that does not read holds its peer up, and neither end keeps more than it was told to.

mod support;

use kwik::{Config, Session, Window};
use support::*;

const SEND_BUFFER_BYTES: u64 = 2 << 20;
const RECEIVE_WINDOW: Window = Window { initial_bytes: 1 << 20, max_bytes: 4 << 20 };

fn assert_bounded(sender: &Session, receiver: &Session) {
    assert!(sender.stats().retained_bytes <= SEND_BUFFER_BYTES, "{:?}", sender.stats());
    assert!(receiver.stats().buffered_bytes <= RECEIVE_WINDOW.max_bytes, "{:?}", receiver.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_stops_the_writer_within_its_buffer_and_gets_all_of_it_later() {
    within_patience(async {
        let mut config = server_config();
        config.session.stream_receive_window = RECEIVE_WINDOW;
        let listener = listen_on(1, config).await;
        let mut config = Config::default();
        config.session.stream_send_buffer_bytes = SEND_BUFFER_BYTES as usize;
        let url = &listener.urls()[0];
        let (client, server) = tokio::join!(kwik::dial(url, config), listener.accept());
        let (client, server) = (client.unwrap(), server.unwrap());

        let sent = data(64 * MIB, 3);
        let expected = (sent.len(), sha256(&sent));
        let mut send = client.open_uni().await.unwrap();
        let writing = tokio::spawn(async move { send_all(&mut send, &sent).await });
        let mut recv = server.accept_uni().await.unwrap();

        // Until all credit is used up, which only reading would renew.
        while server.stats().buffered_bytes < RECEIVE_WINDOW.initial_bytes {
            assert_bounded(&client, &server);
            tokio::task::yield_now().await;
        }
        assert_eq!(server.stats().buffered_bytes, RECEIVE_WINDOW.initial_bytes);
        assert!(!writing.is_finished());

        let received = receive_all(&mut recv, |_| assert_bounded(&client, &server)).await;
        assert_eq!(received, expected);
        writing.await.unwrap();
    })
    .await;
}
