// Package keys owns the node's secrets on disk: the key files and their
// rotation, the TLS certificate, and the erasure journal. All of them lie
// outside the data directory and outside backups (SECURITY D10).
//
// Layout of a key directory (0700, every file 0600):
//
//	keyring               which key of each use is current, next or old; no secret
//	<use>-<key id>.key    one key: type line, use, suite, id, created, base64
//	tls.pem               the node's certificate and its key
//	.lock                 taken (flock) by whoever changes the directory
//
// Invariants:
//   - A key file never changes. Only the keyring does, by one rename, so a
//     crash at any point leaves the old or the new set, whole; what it leaves
//     besides (temporary files, a key that no keyring named) is never used.
//   - Each use has a current and a next key. The next one can be announced, and
//     copied to other replicas, before Rotate makes it current.
//   - Old sealing and signing keys are kept for KeepOld, old data and index
//     keys until Remove: what they protect has to be written anew first.
//   - A directory or file that others than its owner can read is refused, not
//     repaired: the key may have been read already.
//   - A missing keyring or journal is an error, never made anew by opening it.
//
// It refuses to print a key: Files shows ids, errors name files and lines,
// never their content. Unix only (flock).
package keys
