//! A client without a driver, which can say what no driver would.

use tokio::io::{AsyncRead, AsyncWrite};

use super::*;

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply(pub(super) char, pub(super) Vec<u8>);

impl Reply {
    /// A field of an error or a notice.
    pub(super) fn field(&self, code: u8) -> Option<String> {
        self.1
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&code))
            .map(|field| String::from_utf8(field[1..].to_vec()).unwrap())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.1).trim_end_matches('\0').to_owned()
    }
}

/// A client without a driver.
pub(super) struct Wire<S = TcpStream> {
    pub(super) stream: S,
    pub(super) key: (i32, i32),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads one message; `None` at the end.
    pub(super) async fn receive(&mut self) -> Option<Reply> {
        tokio::time::timeout(PATIENCE, async {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = usize::try_from((&head[1..]).get_i32()).unwrap() - 4;
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(Reply(char::from(head[0]), body))
        })
        .await
        .expect("the server must answer")
    }

    /// Reads messages up to and with the next ReadyForQuery, or the end.
    pub(super) async fn until_ready(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Some(reply) = self.receive().await {
            let last = reply.0 == 'Z';
            replies.push(reply);
            if last {
                break;
            }
        }
        replies
    }

    pub(super) async fn query(&mut self, sql: &str) -> Vec<Reply> {
        self.send(&message(b'Q', &[sql.as_bytes(), b"\0"])).await;
        self.until_ready().await
    }

    pub(super) async fn log_in(&mut self, password: &str, settings: &[(&str, &str)]) -> Vec<Reply> {
        let mut pairs = vec![("user", "ada"), ("database", "onefold")];
        pairs.extend_from_slice(settings);
        self.send(&startup(&pairs)).await;
        self.answer_scram(password).await;
        let replies = self.until_ready().await;
        if let Some(key) = replies.iter().find(|reply| reply.0 == 'K') {
            self.key = ((&key.1[..4]).get_i32(), (&key.1[4..]).get_i32());
        }
        replies
    }

    /// Plays the client's part of SCRAM-SHA-256.
    pub(super) async fn answer_scram(&mut self, password: &str) {
        let Some(Reply('R', _)) = self.receive().await else {
            panic!("expected an authentication request")
        };
        let first = "n,,n=,r=clientnonce";
        let length = i32::try_from(first.len()).unwrap().to_be_bytes();
        self.send(&message(b'p', &[b"SCRAM-SHA-256\0", &length, first.as_bytes()])).await;
        let challenge = self.receive().await.unwrap();
        let challenge = String::from_utf8(challenge.1[4..].to_vec()).unwrap();
        let part = |name: &str| {
            challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned()
        };
        let salt = BASE64.decode(part("s=")).unwrap();
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(
            password.as_bytes(),
            &salt,
            part("i=").parse().unwrap(),
        );
        let last = format!("c=biws,r={}", part("r="));
        let client_key = keyed(&salted, b"Client Key");
        let stored: [u8; 32] = Sha256::digest(client_key).into();
        let signature = keyed(&stored, format!("n=,r=clientnonce,{challenge},{last}").as_bytes());
        let proof: Vec<u8> =
            client_key.iter().zip(signature).map(|(key, signed)| key ^ signed).collect();
        self.send(&message(b'p', &[format!("{last},p={}", BASE64.encode(proof)).as_bytes()])).await;
    }
}

pub(super) fn keyed(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}

pub(super) fn verifier_of(password: &str) -> String {
    let salt = b"salt of a test..";
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, 4096);
    let stored: [u8; 32] = Sha256::digest(keyed(&salted, b"Client Key")).into();
    let server = keyed(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256$4096:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored),
        BASE64.encode(server)
    )
}

pub(super) fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = BytesMut::new();
    out.put_u8(kind);
    out.put_i32(i32::try_from(length + 4).unwrap());
    parts.iter().for_each(|part| out.put_slice(part));
    out.to_vec()
}

pub(super) fn startup(pairs: &[(&str, &str)]) -> Vec<u8> {
    packet(3 << 16, pairs)
}

pub(super) fn packet(code: i32, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_i32(code);
    for (name, value) in pairs {
        body.put_slice(name.as_bytes());
        body.put_u8(0);
        body.put_slice(value.as_bytes());
        body.put_u8(0);
    }
    if !pairs.is_empty() {
        body.put_u8(0);
    }
    let mut out = BytesMut::new();
    out.put_i32(i32::try_from(body.len() + 4).unwrap());
    out.put_slice(&body);
    out.to_vec()
}

/// The types of messages, as one word.
pub(super) fn kinds(replies: &[Reply]) -> String {
    replies.iter().map(|reply| reply.0).collect()
}

/// The SQLSTATE of the first error.
pub(super) fn sqlstate(replies: &[Reply]) -> String {
    replies
        .iter()
        .find(|reply| reply.0 == 'E')
        .and_then(|reply| reply.field(b'C'))
        .unwrap_or_default()
}

/// The tags of all statements.
pub(super) fn tags(replies: &[Reply]) -> Vec<String> {
    replies.iter().filter(|reply| reply.0 == 'C').map(Reply::text).collect()
}

/// Where the session stands after the last message.
pub(super) fn status(replies: &[Reply]) -> char {
    replies.iter().rev().find(|reply| reply.0 == 'Z').map_or('?', |reply| char::from(reply.1[0]))
}
