//! Encrypted keys (RFC 6030 §6): AES in CBC mode, and an HMAC that is checked before anything is decrypted.
//!
//! The key of that HMAC is encrypted in the same way, and nothing authenticates it. If an error told whether its padding was right,
//! whoever can have files read could put any value of another file into its place, change the block in front, and decrypt the value
//! byte by byte from the errors. So a MAC key that can't be opened is one that fits no value, and all that keeps a value from being
//! opened, the keys and the layout given, is one error: [`KeyError::NotAuthentic`].

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Iso10126;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use roxmltree::Node;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::xml::{self, DS, PSKC, XENC, XENC11};
use super::{KeyError, Protection, PskcError};

/// A shorter key for the MAC is no key.
const MIN_MAC_KEY_BYTES: usize = 16;

/// The size of AES's blocks.
const BLOCK: usize = 16;

/// What opens a container's encrypted values.
pub(super) struct Opener {
    key: Zeroizing<Vec<u8>>,
    mac: Option<ValueMac>,
}

/// What checks a value before it is decrypted.
struct ValueMac {
    method: MacMethod,
    key: Zeroizing<Vec<u8>>,
    /// `false` for the key that stands in for one that couldn't be opened: nothing fits it.
    opened: bool,
}

#[derive(Clone, Copy)]
enum MacMethod {
    Sha1,
    Sha256,
    Sha512,
}

impl Opener {
    /// `None` for a container whose values are plain.
    pub(super) fn new(
        container: Node<'_, '_>,
        protection: Option<&Protection<'_>>,
    ) -> Result<Option<Self>, PskcError> {
        let Some(encryption) = xml::child(container, PSKC, "EncryptionKey")? else {
            // Whoever gives a key relies on it: a file that was made plain on its way must not pass.
            return if protection.is_some() { Err(PskcError::NotProtected) } else { Ok(None) };
        };
        let derived = xml::child(encryption, XENC11, "DerivedKey")?;
        // Encryption for a certificate is neither of the two: no key that the caller could give would help.
        if derived.is_none() && xml::child(encryption, DS, "KeyName")?.is_none() {
            return Err(PskcError::UnsupportedProtection);
        }
        let key = match (protection, derived) {
            (None, None) => return Err(PskcError::KeyNeeded),
            (None, Some(_)) => return Err(PskcError::PasswordNeeded),
            (Some(Protection::PreShared(key)), None) => Zeroizing::new(key.to_vec()),
            (Some(Protection::Password(_)), None) => return Err(PskcError::KeyNeeded),
            (Some(Protection::PreShared(_)), Some(_)) => return Err(PskcError::PasswordNeeded),
            (Some(Protection::Password(password)), Some(derived)) => derive(derived, password)?,
        };
        let mut opener = Self { key, mac: None };
        if let Some(method) = xml::child(container, PSKC, "MACMethod")? {
            let algorithm = match method.attribute("Algorithm") {
                Some("http://www.w3.org/2000/09/xmldsig#hmac-sha1") => MacMethod::Sha1,
                Some("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256") => MacMethod::Sha256,
                Some("http://www.w3.org/2001/04/xmldsig-more#hmac-sha512") => MacMethod::Sha512,
                _ => return Err(PskcError::UnsupportedMac),
            };
            let opened = match xml::child(method, PSKC, "MACKey")? {
                Some(key) => {
                    let sealed = cipher_value(key)?;
                    match opener.decrypt(key, &sealed) {
                        Err(KeyError::NotAuthentic) => None,
                        key => Some(key?),
                    }
                }
                // RFC 6030 §6.1.1: the encryption key then.
                None => Some(opener.key.clone()),
            };
            // Its padding is one byte: with some tries it can be forged to be empty, and then so can every MAC.
            let opened = opened.filter(|key| key.len() >= MIN_MAC_KEY_BYTES);
            opener.mac = Some(ValueMac {
                method: algorithm,
                opened: opened.is_some(),
                key: opened.unwrap_or_else(|| Zeroizing::new(vec![0; MIN_MAC_KEY_BYTES])),
            });
        }
        Ok(Some(opener))
    }

    /// The value of an element that holds `<EncryptedValue>` and `<ValueMAC>`.
    pub(super) fn open(&self, value: Node<'_, '_>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let encrypted = xml::required(value, PSKC, "EncryptedValue")?;
        let sealed = cipher_value(encrypted)?;
        // AES-CBC has no integrity of its own, so a MAC must be there (RFC 6030 §6.1.1).
        let Some(check) = &self.mac else { return Err(KeyError::NoMac) };
        let mac = xml::child(value, PSKC, "ValueMAC")?.ok_or(KeyError::NoMac)?;
        check.verify(&sealed, &xml::base64(mac, "ValueMAC")?)?;
        self.decrypt(encrypted, &sealed)
    }

    fn decrypt(&self, node: Node<'_, '_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let method = xml::required(node, XENC, "EncryptionMethod")?;
        match method.attribute("Algorithm") {
            Some("http://www.w3.org/2001/04/xmlenc#aes128-cbc") => {
                decrypt_cbc::<cbc::Decryptor<Aes128>>(&self.key, sealed)
            }
            Some("http://www.w3.org/2001/04/xmlenc#aes192-cbc") => {
                decrypt_cbc::<cbc::Decryptor<Aes192>>(&self.key, sealed)
            }
            Some("http://www.w3.org/2001/04/xmlenc#aes256-cbc") => {
                decrypt_cbc::<cbc::Decryptor<Aes256>>(&self.key, sealed)
            }
            _ => Err(KeyError::UnsupportedCipher),
        }
    }
}

impl ValueMac {
    /// Over what was encrypted, initialisation vector included (RFC 6030 §6.1.1), in constant time.
    fn verify(&self, message: &[u8], mac: &[u8]) -> Result<(), KeyError> {
        fn fits<M: Mac + KeyInit>(key: &[u8], message: &[u8], mac: &[u8]) -> bool {
            <M as KeyInit>::new_from_slice(key)
                .is_ok_and(|hmac| hmac.chain_update(message).verify_slice(mac).is_ok())
        }
        let fits = match self.method {
            MacMethod::Sha1 => fits::<Hmac<Sha1>>(&self.key, message, mac),
            MacMethod::Sha256 => fits::<Hmac<Sha256>>(&self.key, message, mac),
            MacMethod::Sha512 => fits::<Hmac<Sha512>>(&self.key, message, mac),
        };
        // Computed first: without its key, the MAC costs what it costs with it.
        if fits & self.opened { Ok(()) } else { Err(KeyError::NotAuthentic) }
    }
}

/// The vector is in front of what is encrypted. Of the padding only its length counts (XML Encryption §5.2).
fn decrypt_cbc<C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (vector, body) = sealed.split_at_checked(BLOCK).ok_or(KeyError::NotAuthentic)?;
    let cipher = C::new_from_slices(key, vector).map_err(|_| KeyError::KeyLength { got: key.len() })?;
    let mut buffer = Zeroizing::new(body.to_vec());
    let length = cipher.decrypt_padded::<Iso10126>(&mut buffer).map_err(|_| KeyError::NotAuthentic)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

fn cipher_value(node: Node<'_, '_>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let data = xml::required(node, XENC, "CipherData")?;
    xml::base64(xml::required(data, XENC, "CipherValue")?, "CipherValue")
}

/// PBKDF2 (RFC 6030 §6.2; RFC 8018 §5.2).
fn derive(derived: Node<'_, '_>, password: &str) -> Result<Zeroizing<Vec<u8>>, PskcError> {
    let method = xml::required(derived, XENC11, "KeyDerivationMethod")?;
    // By their local names: RFC 6030's example and RSA's schema put the parameters into different namespaces.
    let find = |node: Node<'_, '_>, name: &str| {
        node.descendants().find(|child| child.tag_name().name() == name).map(|found| found.id())
    };
    let document = method.document();
    let node = |name: &'static str| {
        let id = find(method, name).ok_or(KeyError::Missing { element: name })?;
        document.get_node(id).ok_or(KeyError::Missing { element: name })
    };
    let is_pbkdf2 = method.attribute("Algorithm").is_some_and(|name| name.ends_with("#pbkdf2"));
    if !is_pbkdf2 {
        return Err(PskcError::UnsupportedProtection);
    }
    let salt = xml::base64(node("Specified")?, "Specified")?;
    let rounds: u32 = number(node("IterationCount")?, "IterationCount")?;
    if rounds == 0 || rounds > super::PskcReader::MAX_PBKDF2_ITERATIONS {
        return Err(PskcError::Iterations { got: rounds });
    }
    let length: usize = number(node("KeyLength")?, "KeyLength")?;
    if ![16, 24, 32].contains(&length) {
        return Err(KeyError::KeyLength { got: length }.into());
    }
    let mut key = Zeroizing::new(vec![0; length]);
    let password = password.as_bytes();
    let prf =
        find(method, "PRF").and_then(|id| document.get_node(id)).and_then(|prf| prf.attribute("Algorithm"));
    match prf.map(|name| name.rsplit_once('#').map_or(name, |(_, name)| name)) {
        None | Some("hmac-sha1") => pbkdf2::pbkdf2_hmac::<Sha1>(password, &salt, rounds, &mut key),
        Some("hmac-sha256") => pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, rounds, &mut key),
        Some("hmac-sha512") => pbkdf2::pbkdf2_hmac::<Sha512>(password, &salt, rounds, &mut key),
        Some(_) => return Err(PskcError::UnsupportedProtection),
    }
    Ok(key)
}

fn number<N: std::str::FromStr>(node: Node<'_, '_>, element: &'static str) -> Result<N, KeyError> {
    xml::text(node, element)?.parse().map_err(|_| KeyError::Value { element })
}
