package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"yipan/internal/fault"
)

// TokenPrefix starts every bearer token, so that secret scanners find a leaked
// one.
const TokenPrefix = "yp1_"

const tokenBytes = 32

var tokenEncoding = base64.RawURLEncoding.Strict()

// Token makes a bearer token: TokenPrefix and 32 random bytes in base64url (47
// characters). secret is shown once to its owner; hash, its SHA-256, is stored.
// 256 random bits need no slow hash.
func Token() (secret string, hash [32]byte) {
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	secret = TokenPrefix + tokenEncoding.EncodeToString(b[:])
	return secret, sha256.Sum256([]byte(secret))
}

// HashToken returns the stored form of a presented token. Errors: Denied
// TOKEN_MALFORMED when it cannot be one of ours.
func HashToken(secret string) (hash [32]byte, err error) {
	body, ok := strings.CutPrefix(secret, TokenPrefix)
	if !ok || len(body) != tokenEncoding.EncodedLen(tokenBytes) {
		return hash, errToken()
	}
	// The decoder skips line ends, so the decoded length counts too.
	if b, err := tokenEncoding.DecodeString(body); err != nil || len(b) != tokenBytes {
		return hash, errToken()
	}
	return sha256.Sum256([]byte(secret)), nil
}

// TokenMatches reports, in constant time, whether a presented token has the
// stored hash.
func TokenMatches(secret string, hash [32]byte) bool {
	got, err := HashToken(secret)
	return err == nil && subtle.ConstantTimeCompare(got[:], hash[:]) == 1
}

func errToken() error {
	return fault.Denied("TOKEN_MALFORMED", "seal: not a token of this program")
}
