//! SCRAM-SHA-256: both sides prove that they know the password, and nobody says it (RFC 5802, RFC 7677).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pbkdf2::pbkdf2_hmac_array;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// `n,,`: no channel binding, nobody else's name; and its base64, which the last message repeats.
const HEADER: (&str, &str) = ("n,,", "biws");
/// Fewer rounds are a downgrade (RFC 7677, section 4); more than these would keep the host busy for seconds.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=1_000_000;

/// The client's side of one login.
pub(super) struct Client {
    password: Zeroizing<String>,
    /// The first message without its header.
    first: String,
    nonce: String,
    /// What the server must prove to know; empty before our proof was made.
    expected: Vec<u8>,
}

impl Client {
    /// Begins with a nonce of its own.
    pub(super) fn new(user: &str, password: &str) -> Result<Self, String> {
        let mut random = [0; 24];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut random))
            .map_err(|error| format!("/dev/urandom: {error}"))?;
        Self::with_nonce(user, password, STANDARD.encode(random))
    }

    fn with_nonce(user: &str, password: &str, nonce: String) -> Result<Self, String> {
        // Other characters would have to be normalised with SASLprep first, or one and the same password would be two.
        if !password.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err("a MongoDB password may have printable ASCII characters only".to_owned());
        }
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Ok(Self {
            password: Zeroizing::new(password.to_owned()),
            first: format!("n={user},r={nonce}"),
            nonce,
            expected: Vec::new(),
        })
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("{}{}", HEADER.0, self.first)
    }

    /// The answer to the server's challenge: our proof.
    pub(super) fn answer(&mut self, challenge: &[u8]) -> Result<String, String> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| odd())?;
        let nonce = part(challenge, 'r')?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its challenge has another nonce".to_owned());
        }
        let salt = STANDARD.decode(part(challenge, 's')?).map_err(|_| odd())?;
        let rounds = part(challenge, 'i')?.parse().map_err(|_| odd())?;
        if !ROUNDS.contains(&rounds) {
            return Err(format!("it asks for {rounds} rounds of hashing"));
        }
        let salted = Zeroizing::new(pbkdf2_hmac_array::<Sha256, 32>(
            self.password.as_bytes(),
            &salt,
            rounds,
        ));
        let last = format!("c={},r={nonce}", HEADER.1);
        let signed = format!("{},{challenge},{last}", self.first);
        let client_key = mac(&*salted, b"Client Key");
        let signature = mac(&Sha256::digest(client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(key, sign)| key ^ sign)
            .collect();
        self.expected = mac(&mac(&*salted, b"Server Key"), signed.as_bytes()).to_vec();
        Ok(format!("{last},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server knows the password as well.
    pub(super) fn verify(&self, last: &[u8]) -> Result<(), String> {
        let last = std::str::from_utf8(last).map_err(|_| odd())?;
        let signature = STANDARD.decode(part(last, 'v')?).map_err(|_| odd())?;
        if self.expected.is_empty() || signature != self.expected {
            return Err("it does not prove that it knows the password".to_owned());
        }
        Ok(())
    }
}

fn part(message: &str, key: char) -> Result<&str, String> {
    let mut parts = message.split(',');
    let value = parts.find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
    value.ok_or_else(odd)
}

fn odd() -> String {
    "its answer to a login is not SCRAM".to_owned()
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    const CHALLENGE: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn client() -> Client {
        Client::with_nonce("user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned()).unwrap()
    }

    #[test]
    fn the_exchange_of_the_standard() {
        let mut client = client();
        assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            client.answer(CHALLENGE).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        client
            .verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .unwrap();
    }

    #[test]
    fn a_server_that_proves_nothing_is_not_believed() {
        let mut client = client();
        client.verify(b"v=").unwrap_err();
        client.answer(CHALLENGE).unwrap();
        client.verify(b"v=AAAA").unwrap_err();
        client.verify(b"e=invalid-proof").unwrap_err();
    }

    #[test]
    fn a_challenge_for_somebody_else_or_with_few_rounds_is_not_answered() {
        let mut client = client();
        for challenge in [
            &b"r=other,s=W22Z,i=4096"[..],
            b"r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=1",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z",
            b"\xff",
        ] {
            client.answer(challenge).unwrap_err();
        }
    }

    #[test]
    fn names_are_escaped_and_odd_passwords_refused() {
        let client = Client::with_nonce("a=b,c", "pencil", "x".to_owned()).unwrap();
        assert_eq!(client.first(), "n,,n=a=3Db=2Cc,r=x");
        assert!(Client::with_nonce("a", "pässword", "x".to_owned()).is_err());
    }
}
