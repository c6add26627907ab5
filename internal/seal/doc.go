// Package seal owns what yipan does with keys: signing, sealing parcels to a
// node, encrypting fields, blind indexes, bearer tokens and access-log
// commitments, and the ids and suites that name the keys. It is pure: it reads
// no file and no clock; where keys lie and which is current is package keys'.
//
// Invariants:
//   - A signature is made for one context and verifies in no other.
//   - A sealed parcel opens only with the info it was sealed with, and only
//     with the key of the suite named; an unknown suite is refused as Invalid,
//     one weaker than the receiver's floor as Denied.
//   - A field's ciphertext decrypts only in the table, column and row it was
//     written for, and a wrapped key never decrypts as a field or the reverse.
//   - No key byte appears in an error, a log or a formatted value: the key
//     types redact themselves and hide their bytes behind functions, so that
//     formatting a struct that contains them shows ids and addresses only.
//   - Keys hold their parsed form; keep and reuse them. All types are safe for
//     concurrent use after construction.
//
// It refuses to derive keys from passwords and to store anything.
//
// Standards: RFC 8032 (Ed25519), RFC 9180 and draft-ietf-hpke-pq (HPKE), FIPS
// 197 and NIST SP 800-38D (AES-GCM), RFC 2104 (HMAC), FIPS 180-4 (SHA-256).
package seal
