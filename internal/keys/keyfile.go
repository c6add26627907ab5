package keys

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"yipan/internal/fault"
	"yipan/internal/seal"
)

const (
	keyFileType  = "yipan key 1"
	keyFileLimit = 4096 // bytes; a file of suite 2 has about 200
)

// key is one parsed key file: of sign, sealing, data and index the one of its
// use is set.
type key struct {
	use     seal.Use
	suite   seal.Suite
	id      seal.KeyID
	created time.Time // whole seconds, UTC

	sign    seal.SigningKey
	sealing seal.SealingKey
	data    *seal.DataKey
	index   *seal.IndexKey
}

func keyFileName(use seal.Use, id seal.KeyID) string { return string(use) + "-" + id.String() + ".key" }

// newKey makes a random key of the default algorithm of its use.
func newKey(use seal.Use, now time.Time) (key, error) {
	k := key{use: use, suite: 1, created: now.UTC().Truncate(time.Second)}
	switch use {
	case seal.UseSign:
		k.sign = seal.NewSigningKey()
	case seal.UseSeal:
		k.suite = seal.DefaultSuite
		var err error
		if k.sealing, err = seal.NewSealingKey(k.suite); err != nil {
			return key{}, err
		}
	case seal.UseData:
		k.suite = seal.Suite(seal.CipherAES256GCM)
		k.data = seal.NewDataKey()
	case seal.UseIndex:
		k.index = seal.NewIndexKey()
	default:
		return key{}, errUse(use)
	}
	k.id = k.ownID()
	return k, nil
}

func errUse(use seal.Use) error { return fault.Invalid("KEY_USE", "keys: unknown use %q", string(use)) }

func (k *key) ownID() seal.KeyID {
	switch k.use {
	case seal.UseSign:
		return k.sign.ID()
	case seal.UseSeal:
		return k.sealing.ID()
	case seal.UseData:
		return k.data.ID()
	default:
		return k.index.ID()
	}
}

func (k *key) secret() []byte {
	switch k.use {
	case seal.UseSign:
		return k.sign.Secret()
	case seal.UseSeal:
		return k.sealing.Secret()
	case seal.UseData:
		return k.data.Secret()
	default:
		return k.index.Secret()
	}
}

// format writes the only accepted spelling of a key file.
func (k *key) format() []byte {
	return fmt.Appendf(nil, "%s\nuse: %s\nsuite: %d\nid: %s\ncreated: %s\nkey: %s\n",
		keyFileType, string(k.use), uint16(k.suite), k.id,
		k.created.Format(time.RFC3339), base64.StdEncoding.EncodeToString(k.secret()))
}

// parseKey reads a key file. It must be spelt exactly as format spells it, and
// the id must be that of the key: a damaged file is refused, not used. Errors:
// Invalid KEY_FILE_MALFORMED, SUITE_UNKNOWN.
func parseKey(content []byte) (key, error) {
	lines := strings.Split(string(content), "\n")
	labels := []string{"", "use: ", "suite: ", "id: ", "created: ", "key: ", ""}
	if len(lines) != len(labels) || lines[0] != keyFileType {
		return key{}, malformedKey("not a key file of this program")
	}
	values := make([]string, len(labels))
	for i, label := range labels[1:] {
		v, ok := strings.CutPrefix(lines[i+1], label)
		if !ok {
			return key{}, malformedKey("line " + strconv.Itoa(i+2))
		}
		values[i+1] = v
	}
	suite, err := strconv.ParseUint(values[2], 10, 16)
	if err != nil {
		return key{}, malformedKey("suite")
	}
	id, err := seal.ParseKeyID(values[3])
	if err != nil {
		return key{}, malformedKey("id")
	}
	created, err := time.Parse(time.RFC3339, values[4])
	if err != nil {
		return key{}, malformedKey("created")
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(values[5])
	if err != nil {
		return key{}, malformedKey("key") // the cause would quote key characters
	}
	k := key{use: seal.Use(values[1]), suite: seal.Suite(suite), id: id, created: created.UTC()}
	if err := k.parseSecret(secret); err != nil {
		return key{}, err
	}
	if k.ownID() != id {
		return key{}, malformedKey("the id is another key's")
	}
	if string(k.format()) != string(content) {
		return key{}, malformedKey("spelling")
	}
	return k, nil
}

func (k *key) parseSecret(secret []byte) (err error) {
	switch k.use {
	case seal.UseSign:
		k.sign, err = seal.ParseSigningKey(secret)
	case seal.UseSeal:
		k.sealing, err = seal.ParseSealingKey(k.suite, secret)
	case seal.UseData:
		if k.suite > 0xff {
			return fault.Invalid("SUITE_UNKNOWN", "keys: unknown field cipher %d", uint16(k.suite))
		}
		k.data, err = seal.ParseDataKey(seal.Cipher(k.suite), secret)
	case seal.UseIndex:
		k.index, err = seal.ParseIndexKey(secret)
	default:
		err = malformedKey("unknown use")
	}
	if err == nil && (k.use == seal.UseSign || k.use == seal.UseIndex) && k.suite != 1 {
		err = fault.Invalid("SUITE_UNKNOWN", "keys: unknown suite %d of a %s key", uint16(k.suite), string(k.use))
	}
	return err
}

func malformedKey(what string) error {
	return fault.Invalid("KEY_FILE_MALFORMED", "keys: malformed key file: %s", what)
}
