//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as MongoDB speaks it, from both sides.
//!
//! Clients prove their passwords with it, and so do members to each other: as `__system` on `local`, with the
//! key file's content for a password, like the real server's members.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// `scramSHA256IterationCount` of the real server.
pub const ITERATIONS: u32 = 15_000;

/// Why an exchange failed. To a client all of it is "Authentication failed."
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// A message is not of the form that its place in the exchange wants.
    #[error("a malformed SCRAM message")]
    Malformed,
    /// The nonce is not the one of this exchange.
    #[error("a wrong nonce")]
    Nonce,
    /// The password is another.
    #[error("a wrong proof")]
    Proof,
}

/// What a server keeps of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// As it goes over the wire: in base64.
    pub salt: String,
    /// How often the password was hashed.
    pub iterations: u32,
    /// What a client's proof is checked against.
    pub stored_key: [u8; 32],
    /// What the server proves itself with.
    pub server_key: [u8; 32],
}

impl Credentials {
    /// What to keep of this password, under this salt.
    pub fn new(password: &str, salt: &[u8], iterations: u32) -> Self {
        Self::from_salted(&salted(password, salt, iterations), salt, iterations)
    }

    /// What to keep of a password that was hashed already, which is what takes the time.
    pub fn from_salted(salted: &[u8; 32], salt: &[u8], iterations: u32) -> Self {
        Self {
            salt: BASE64.encode(salt),
            iterations,
            stored_key: Sha256::digest(mac(salted, b"Client Key")).into(),
            server_key: mac(salted, b"Server Key"),
        }
    }
}

/// A text that nobody guesses, for nonces and salts.
pub fn nonce() -> String {
    BASE64.encode(rand::random::<[u8; 24]>())
}

/// The server's side, after the client's first message.
pub struct ServerExchange {
    auth_prefix: String,
    nonce: String,
}

/// The user name in a client's first message, and the rest of it.
pub fn parse_client_first(message: &str) -> Result<(String, &str), ScramError> {
    let bare = message.strip_prefix("n,,").ok_or(ScramError::Malformed)?;
    let name = field(bare, "n=")?.replace("=2C", ",").replace("=3D", "=");
    Ok((name, bare))
}

impl ServerExchange {
    /// Answers a client's first message (the part after `n,,`).
    pub fn start(client_first_bare: &str, credentials: &Credentials) -> Result<(Self, String), ScramError> {
        let nonce = format!("{}{}", field(client_first_bare, "r=")?, nonce());
        let reply = format!("r={nonce},s={},i={}", credentials.salt, credentials.iterations);
        Ok((
            Self {
                auth_prefix: format!("{client_first_bare},{reply}"),
                nonce,
            },
            reply,
        ))
    }

    /// Checks the client's proof and answers with the server's own.
    pub fn finish(&self, client_final: &str, credentials: &Credentials) -> Result<String, ScramError> {
        let (without_proof, proof) = client_final.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        if field(without_proof, "r=")? != self.nonce {
            return Err(ScramError::Nonce);
        }
        let auth = format!("{},{without_proof}", self.auth_prefix);
        let proof = BASE64.decode(proof).map_err(|_| ScramError::Malformed)?;
        let signature = mac(&credentials.stored_key, auth.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let stored: [u8; 32] = Sha256::digest(&client_key).into();
        if stored != credentials.stored_key {
            return Err(ScramError::Proof);
        }
        Ok(format!(
            "v={}",
            BASE64.encode(mac(&credentials.server_key, auth.as_bytes()))
        ))
    }
}

/// The client's side: what it sent first.
pub struct ClientExchange {
    bare: String,
    nonce: String,
}

impl ClientExchange {
    /// Begins an exchange; the text is the first message.
    pub fn start(user: &str) -> (Self, String) {
        let nonce = nonce();
        let bare = format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"));
        let first = format!("n,,{bare}");
        (Self { bare, nonce }, first)
    }

    /// Answers the server's first message with the proof; `salted` makes the hashed password of salt and count.
    pub fn prove(
        &self,
        server_first: &str,
        salted: impl FnOnce(&[u8], u32) -> [u8; 32],
    ) -> Result<String, ScramError> {
        let nonce = field(server_first, "r=")?;
        if !nonce.starts_with(&self.nonce) {
            return Err(ScramError::Nonce);
        }
        let salt = BASE64
            .decode(field(server_first, "s=")?)
            .map_err(|_| ScramError::Malformed)?;
        let rounds = field(server_first, "i=")?
            .parse()
            .map_err(|_| ScramError::Malformed)?;
        let client_key = mac(&salted(&salt, rounds), b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let auth = format!("{},{server_first},{without_proof}", self.bare);
        let signature = mac(&Sha256::digest(client_key), auth.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }
}

/// The password hashed as often as the salt's owner wants it.
pub fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations)
}

fn field<'a>(message: &'a str, name: &str) -> Result<&'a str, ScramError> {
    message
        .split(',')
        .find_map(|part| part.strip_prefix(name))
        .ok_or(ScramError::Malformed)
}

fn mac(key: &[u8], data: &[u8]) -> [u8; 32] {
    // A key of any length will do for HMAC, so the fallback is never taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(password: &str) -> Result<String, ScramError> {
        let kept = Credentials::new("pencil", b"0123456789abcdef", 4096);
        let (client, first) = ClientExchange::start("a,b=c");
        let (name, bare) = parse_client_first(&first)?;
        assert_eq!(name, "a,b=c");
        let (server, reply) = ServerExchange::start(bare, &kept)?;
        let last = client.prove(&reply, |salt, rounds| salted(password, salt, rounds))?;
        server.finish(&last, &kept)
    }

    #[test]
    fn the_right_password_passes_and_no_other() {
        assert!(exchange("pencil").unwrap().starts_with("v="));
        assert_eq!(exchange("pencils"), Err(ScramError::Proof));
    }

    /// The exchange that RFC 7677 prints.
    #[test]
    fn the_standards_own_example() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let kept = Credentials::new("pencil", &salt, 4096);
        let server = ServerExchange {
            auth_prefix:
                "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                          s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
                    .into(),
            nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into(),
        };
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(
            server.finish(last, &kept).unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }
}
