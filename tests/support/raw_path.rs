//! One path, made by hand over plain QUIC.

use std::net::SocketAddr;

use bytes::BytesMut;
use kwik::proto::wire::frame::{Accept, Credentials, Frame, Hello, Intent, Parameters};
use kwik::proto::wire::lane::{
    LaneItem, LaneReader, put_control_header, put_record_header, put_stream_header,
};
use kwik::proto::wire::limits::VERSION;
use kwik::proto::wire::token;
use kwik::{PathId, SessionId, StreamId, TransportCode};

pub(crate) struct RawPath {
    pub(crate) connection: quinn::Connection,
    control: quinn::RecvStream,
    reader: LaneReader,
    /// Dropping it would finish the control lane.
    _control: quinn::SendStream,
}

/// What a client has to say to join a session.
pub(crate) fn join(session: SessionId, credentials: &Credentials, path: PathId) -> Intent {
    Intent::Join { session, proof: token::proof(credentials, session, path) }
}

impl RawPath {
    /// Opens a connection and says HELLO on its control lane.
    pub(crate) async fn open(
        quic: &quinn::Endpoint,
        server: SocketAddr,
        id: PathId,
        intent: Intent,
    ) -> Result<Self, quinn::ConnectionError> {
        let connection = quic.connect(server, "localhost").unwrap().await?;
        let (mut send, control) = connection.open_bi().await?;
        let mut hello = BytesMut::new();
        put_control_header(&mut hello);
        let parameters = Parameters { max_paths: 8, resume_timeout_ms: 30_000, ..Parameters::default() };
        Frame::Hello(Hello { versions: vec![VERSION], path: id, intent, parameters }).encode(&mut hello);
        // Whoever closes the connection meanwhile is heard when its answer is read.
        let _ = send.write_all(&hello).await;
        Ok(Self { connection, control, reader: LaneReader::new(), _control: send })
    }

    /// The next frame of the control lane.
    async fn frame(&mut self) -> Frame {
        loop {
            match self.reader.next().unwrap() {
                Some(LaneItem::Frame(frame)) => return frame,
                Some(_) => {}
                None => {
                    let piece = self.control.read_chunk(usize::MAX, true).await.unwrap();
                    self.reader.push(piece.expect("the control lane ends without an answer").bytes);
                }
            }
        }
    }

    /// What the server says to the HELLO.
    pub(crate) async fn answer(&mut self) -> Result<Accept, TransportCode> {
        match self.frame().await {
            Frame::Accept(accept) => Ok(accept),
            Frame::Reject(reject) => Err(TransportCode::from_u64(reject.code).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn accepted(&mut self) -> Accept {
        self.answer().await.unwrap()
    }

    /// Why the path is refused, said with a frame; the connection ends with the same code.
    pub(crate) async fn refused(mut self) -> TransportCode {
        let code = self.answer().await.unwrap_err();
        match self.connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                assert_eq!(close.error_code.into_inner(), code.as_u64());
            }
            other => panic!("{other:?}"),
        }
        code
    }

    /// Sends a whole stream on a lane of this path.
    pub(crate) async fn send(&self, stream: StreamId, data: &[u8]) {
        let mut lane = BytesMut::new();
        put_stream_header(&mut lane, stream);
        put_record_header(&mut lane, 0, data.len(), true);
        lane.extend_from_slice(data);
        let mut send = self.connection.open_uni().await.unwrap();
        send.write_all(&lane).await.unwrap();
        send.finish().unwrap();
    }
}
